"""Pages about the library as a whole: copies, the settings of a person, the description of the API."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from ui.api_docs import operations
from ui.backend import PageBackend
from ui.language import LANGUAGES
from ui.library_views import duplicates_view
from ui.rendering import THEMES, local_path, page, same_origin, words_for

GROUPS_SHOWN = 24
A_YEAR_S = 365 * 24 * 3600


def add_library_pages(router: APIRouter, backend: PageBackend) -> None:
    @router.get("/duplicates")
    def duplicates(request: Request, cursor: str | None = None, removed: int = 0) -> Response:
        words = words_for(request)
        groups = backend.duplicates(cursor=cursor, k=GROUPS_SHOWN)
        here = f"/duplicates?{urlencode({'cursor': cursor})}" if cursor else "/duplicates"
        said = words("remove.removed", count=removed) if removed > 0 else ""
        return page(request, backend, "duplicates.html", duplicates_view(words, groups, here_url=here, said=said))

    @router.get("/docs")
    def docs(request: Request) -> Response:
        return page(request, backend, "docs.html", tuple(operations(request.app.openapi())))

    @router.post("/settings", dependencies=[Depends(same_origin)])
    def settings(
        request: Request,
        language: Annotated[str, Form()] = "",
        theme: Annotated[str, Form()] = "",
        back: Annotated[str, Form()] = "/",
    ) -> Response:
        """Keep a person's language or theme in a cookie."""
        response = RedirectResponse(local_path(back), status_code=303)
        kept = {"language": (language, LANGUAGES), "theme": (theme, THEMES)}
        for name, (value, allowed) in kept.items():
            if value in allowed:
                secure = request.url.scheme == "https"
                response.set_cookie(name, value, A_YEAR_S, samesite="lax", httponly=True, secure=secure)
            elif value:
                response.delete_cookie(name)
        return response
