"""Pages about the library as a whole: copies, the settings of a person, the description of the API."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from search.saved import SavedSearch
from search.types import Filter
from ui.addresses import at
from ui.api_docs import operations
from ui.backend import PageBackend
from ui.insights import CHART_FACETS, FACET_SIZE, charts, place_filters
from ui.language import LANGUAGES
from ui.library_views import duplicates_view, map_view
from ui.parts import Link
from ui.rendering import THEMES, local_path, page, words_for
from ui.state import SearchState

GROUPS_SHOWN = 24
A_YEAR_S = 365 * 24 * 3600


def add_library_pages(router: APIRouter, backend: PageBackend) -> None:
    @router.get("/duplicates")
    def duplicates(request: Request, cursor: str | None = None, removed: int = 0) -> Response:
        words = words_for(request)
        groups = backend.duplicates(cursor=cursor, k=GROUPS_SHOWN)
        here = at(f"/duplicates?{urlencode({'cursor': cursor})}" if cursor else "/duplicates")
        said = words("remove.removed", count=removed) if removed > 0 else ""
        return page(request, backend, "duplicates.html", duplicates_view(words, groups, here_url=here, said=said))

    @router.get("/saved")
    def saved(request: Request) -> Response:
        view = tuple(Link(search.name, at(f"/?{search.query}")) for search in backend.saved())
        return page(request, backend, "saved.html", view)

    @router.get("/insights")
    def insights(request: Request) -> Response:
        facets = backend.facets(CHART_FACETS, Filter(), size=FACET_SIZE)
        scenes = next(facet for facet in facets if facet.name == "scene")
        named = list(place_filters(scenes))
        counts = backend.counts([filter for _, filter in named])
        groups = [(name, filter, count) for (name, filter), count in zip(named, counts, strict=True)]
        return page(request, backend, "insights.html", charts(words_for(request), facets, groups))

    @router.get("/map")
    def library_map(request: Request) -> Response:
        drawn, drawing = backend.map()
        view = map_view(words_for(request), drawn, drawing=drawing)
        return page(request, backend, "map.html", view, fragment="_map.html", modules=("map.js",))

    @router.get("/map.json")
    def map_points() -> Response:
        """Return the points, as `[id, x, y]`, and the names of regions, as `[title, x, y]`; places are 0–1."""
        drawn, _ = backend.map()
        points = [(point.id, round(point.x, 4), round(point.y, 4)) for point in drawn.points] if drawn else []
        regions = [(one.title, round(one.x, 4), round(one.y, 4)) for one in drawn.regions if one.title] if drawn else []
        return JSONResponse({"points": points, "regions": regions}, headers={"Cache-Control": "no-store"})

    @router.get("/docs")
    def docs(request: Request) -> Response:
        return page(request, backend, "docs.html", tuple(operations(request.app.openapi())))

    @router.post("/settings")
    def settings(
        request: Request,
        language: Annotated[str, Form()] = "",
        theme: Annotated[str, Form()] = "",
        back: Annotated[str, Form()] = "",
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


def add_library_changes(router: APIRouter, backend: PageBackend) -> None:
    """Add what needs the right to write."""

    @router.post("/saved")
    def save(name: Annotated[str, Form()], query: Annotated[str, Form()] = "") -> Response:
        """Keep a search under a name. What is kept is what the page itself would say of it."""
        state = SearchState.of(dict(parse_qsl(query)))
        backend.save(SavedSearch(name.strip(), urlencode(state.first().params())))
        return RedirectResponse(at("/saved"), status_code=303)

    @router.post("/saved/forget")
    def forget(name: Annotated[str, Form()]) -> Response:
        backend.forget(name)
        return RedirectResponse(at("/saved"), status_code=303)
