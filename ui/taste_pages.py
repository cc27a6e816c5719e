"""What a person likes and hides, what is recommended to them for it, and how all of that is forgotten."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from search.errors import NotFound
from search.recommend.events import expect_type
from search.types import ImageId
from ui.addresses import at
from ui.backend import PageBackend
from ui.parts import described
from ui.rendering import page, words_for
from ui.taste_views import recommendations_view, taste_view

SHOWN = 48
VIEWS_COOKIE = "views"
"""Set by who lets it be remembered what they look at."""
A_YEAR_S = 365 * 24 * 3600


def learns(request: Request) -> bool:
    """Return whether who asks lets it be remembered what they look at."""
    return request.cookies.get(VIEWS_COOKIE) == "on"


def add_taste_pages(router: APIRouter, backend: PageBackend) -> None:
    @router.get("/recommendations")
    def recommendations(request: Request, erased: int | None = None) -> Response:
        words = words_for(request)
        found = backend.recommendations(request, k=SHOWN)
        names: dict[ImageId, str] = {}
        for id in {reason.image for one in found.shown for reason in one.reasons}:
            try:
                names |= {} if id is None else {id: described(words, backend.record(id))}
            except NotFound:  # it was taken out meanwhile
                continue
        said = "" if erased is None else words("taste.erased", count=max(0, erased))
        view = recommendations_view(words, found, names, learns=learns(request), said=said)
        return page(request, backend, "recommendations.html", view)

    @router.post("/images/{id}/taste")
    def say(request: Request, id: str, type: Annotated[str, Form()]) -> Response:
        image = ImageId(id)
        backend.note(request, image, expect_type(type))
        if "HX-Request" not in request.headers:
            return RedirectResponse(at(f"/images/{image}"), status_code=303)
        view = taste_view(image, backend.stance(request, image))
        return page(request, backend, "_taste.html", view, fragment="_taste.html")

    @router.post("/recommendations/erase")
    def erase(request: Request) -> Response:
        erased = backend.erase_events(request)
        return RedirectResponse(at(f"/recommendations?erased={erased}"), status_code=303)

    @router.post("/recommendations/views")
    def remember_views(request: Request, learn: Annotated[str, Form()]) -> Response:
        response = RedirectResponse(at("/recommendations"), status_code=303)
        if learn == "on":
            secure = request.url.scheme == "https"
            response.set_cookie(VIEWS_COOKIE, "on", A_YEAR_S, samesite="lax", httponly=True, secure=secure)
        else:
            response.delete_cookie(VIEWS_COOKIE)
        return response
