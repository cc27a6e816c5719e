"""The search page, its parts, and the export of what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from search import filters
from search.errors import InvalidQuery, NotFound
from search.limits import FACET_VALUES
from ui import exporting
from ui.backend import PageBackend
from ui.composing import composed
from ui.facet_views import FacetView, facet_view
from ui.language import Words
from ui.parts import ErrorView, marked
from ui.rendering import SEARCH_MODULES, page, words_for
from ui.search_views import failed_view, search_view
from ui.state import Like, SearchState
from ui.suggestions import suggestions

FOUND = 20
"""Values of a facet that are shown for what was typed."""


def add_search_pages(router: APIRouter, backend: PageBackend) -> None:
    @router.get("/")
    def search(request: Request) -> Response:
        params, words = dict(request.query_params), words_for(request)
        try:
            state = SearchState.of(params)
            query, pictures = composed(backend, words, state)
            view = search_view(words, state, backend.search(query), pictures)
            if "facet" in params:
                view = replace(view, facets=_with_found(view.facets, _found(backend, words, state, params)))
            fragment = "_more.html" if request.headers.get("HX-Target") == "more" else "_results.html"
            pushed = state.url() if fragment == "_results.html" else ""
            return page(request, backend, "search.html", view, fragment=fragment, modules=SEARCH_MODULES, pushed=pushed)
        except (InvalidQuery, NotFound) as error:
            shown = ErrorView(words("search.cannot-read"), str(error), _marked(params, error))
            view = failed_view(params.get("q", ""), shown)
            return page(
                request, backend, "search.html", view, fragment="_results.html", modules=SEARCH_MODULES, status=422
            )

    @router.get("/facet")
    def facet(request: Request) -> Response:
        params, words = dict(request.query_params), words_for(request)
        view = _found(backend, words, SearchState.of(params), params)
        return page(request, backend, "_values.html", view, fragment="_values.html")

    @router.get("/suggest")
    def suggest(request: Request) -> Response:
        view = tuple(suggestions(backend, words_for(request), dict(request.query_params)))
        return page(request, backend, "_suggestions.html", view, fragment="_suggestions.html")

    @router.get("/export.{kind}")
    def export(request: Request, kind: str) -> Response:
        if kind not in exporting.KINDS:
            raise NotFound(f"results are exported as {' or '.join(exporting.KINDS)}, not as {kind}")
        state = SearchState.of(dict(request.query_params)).first()
        query, _ = composed(backend, words_for(request), state)
        return exporting.exported(kind, query, backend.search)

    @router.post("/similar")
    async def by_picture(request: Request, file: UploadFile, typed: Annotated[str, Form()] = "") -> Response:
        """Search by an uploaded picture beside all that is asked already."""
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        return await _remembered(backend, form, file, typed)


async def _remembered(backend: PageBackend, form: Mapping[str, str], file: UploadFile, typed: str) -> Response:
    from starlette.concurrency import run_in_threadpool

    state = SearchState.of({**form, "q": typed or form.get("q", "")})
    token = await run_in_threadpool(backend.remember, file.file)
    return RedirectResponse(state.first(likes=(*state.likes, Like(token))).url(), status_code=303)


def _found(backend: PageBackend, words: Words, state: SearchState, params: Mapping[str, str]) -> FacetView:
    """Return the values of a facet that start as was typed; nothing typed finds the commonest."""
    name, prefix = params.get("facet", ""), params.get("prefix", "").strip()
    query, _ = composed(backend, words, state.first())
    size = FOUND if prefix else FACET_VALUES
    listing = replace(query, k=1, facets=(name,), facet_prefix=prefix, facet_size=size, ranges=())
    (facet,) = backend.search(listing).facets
    return facet_view(words, facet, state, prefix)


def _with_found(facets: Sequence[FacetView], found: FacetView) -> tuple[FacetView, ...]:
    """Return the facets with the one in which values were looked for."""
    return tuple(
        replace(found, values=f.values, range=f.range, bars=f.bars) if f.name == found.name else f for f in facets
    )


def _marked(params: Mapping[str, str], error: InvalidQuery | NotFound) -> str:
    """Return the expression that does not parse, with a mark under the place."""
    position = getattr(error, "position", None)
    try:
        filters.split(params.get("q", ""))
    except InvalidQuery:
        return marked(params["q"], position)
    return marked(params.get("filter", ""), position)
