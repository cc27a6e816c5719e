"""The pages. Each works without JavaScript; HTMX asks for the same addresses and gets their inner part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from search import explain, filters
from search.boxes import parse_box
from search.duplicates import DuplicateGroups
from search.engine import Picture
from search.errors import InvalidQuery, NotFound
from search.facets import RANGES
from search.limits import FACET_VALUES
from search.types import Box, Filter, ImageId, ImageRecord, Query, SearchResults, SimilarBy
from ui import views
from ui.api_docs import operations
from ui.state import SearchState

STATIC = Path(__file__).with_name("static")
PAGE_SIZE = 48
SIMILAR_SHOWN = 8
GROUPS_SHOWN = 24
FOUND = 20
"""Values of a facet that are shown for what was typed."""

templates = Environment(
    loader=PackageLoader("ui"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Library:
    """What every page tells of the library."""

    images: int
    profile: str
    behind: bool = False
    """Whether the latest changes are not to be found yet, for a server takes no writes."""


class PageBackend(Protocol):
    """What the pages ask of the application."""

    def library(self) -> Library | None:
        """Return None where nothing can be told, for the server that holds the library is away."""
        ...

    def search(self, query: Query) -> SearchResults: ...
    def record(self, id: ImageId) -> ImageRecord: ...
    def part(self, id: ImageId, box: Box) -> Picture:
        """Return what to search by for a part of an image."""
        ...

    def duplicates(self, *, cursor: str | None, k: int) -> DuplicateGroups: ...
    def similar(self, id: ImageId, *, by: SimilarBy, filter: Filter, k: int) -> SearchResults: ...
    def remember(self, upload: BinaryIO) -> str:
        """Return a token for an uploaded picture, good for some minutes. Raises UnsupportedImage, ImageTooLarge."""
        ...

    def remembered(self, token: str) -> Picture | None: ...


def make_router(backend: PageBackend) -> APIRouter:
    """Return the routes of the pages over a backend."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/")
    def search(request: Request) -> Response:
        params = dict(request.query_params)
        try:
            state = SearchState.of(params)
            query, reference = _query(backend, state)
            view = views.search_view(state, backend.search(query), reference)
            if "facet" in params:
                view = replace(view, facets=_with_found(view.facets, _found(backend, state, params)))
            return _page(request, backend, "search.html", view=view, pushed=state.url())
        except (InvalidQuery, NotFound) as error:
            shown = views.ErrorView("This search cannot be read", str(error), _marked(params, error))
            view = views.failed_view(params.get("q", ""), shown)
            return _page(request, backend, "search.html", view=view, status=422)

    @router.get("/facet")
    def facet(request: Request) -> Response:
        params = dict(request.query_params)
        view = _found(backend, SearchState.of(params), params)
        return _page(request, backend, "_values.html", view=view)

    @router.get("/images/{id}")
    def image(request: Request, id: str) -> Response:
        record = backend.record(ImageId(id))
        alike = backend.similar(record.id, by=SimilarBy.IMAGE, filter=Filter(), k=SIMILAR_SHOWN)
        matched = explain.matched(record, _asked(request.query_params))
        return _page(request, backend, "image.html", view=views.image_view(record, alike.hits, matched))

    @router.get("/duplicates")
    def duplicates(request: Request, cursor: str | None = None) -> Response:
        view = views.duplicates_view(backend.duplicates(cursor=cursor, k=GROUPS_SHOWN))
        return _page(request, backend, "duplicates.html", view=view)

    @router.get("/docs")
    def docs(request: Request) -> Response:
        return _page(request, backend, "docs.html", view=tuple(operations(request.app.openapi())))

    @router.post("/similar")
    def by_picture(file: Annotated[UploadFile, File()]) -> Response:
        token = backend.remember(file.file)
        return RedirectResponse(SearchState(like=token).url(), status_code=303)

    return router


def error_page(request: Request, backend: PageBackend, error: views.ErrorView, status: int) -> Response:
    """Return an error as a page: the same title and detail as the problem document."""
    return _page(request, backend, "error.html", view=error, status=status)


def _page(
    request: Request, backend: PageBackend, template: str, *, view: object, status: int = 200, pushed: str = ""
) -> Response:
    fragment = "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers
    if fragment and template == "search.html":
        template = "_results.html"
    headers = {"Vary": "HX-Request", "Cache-Control": "no-store"}
    if fragment and pushed:
        headers["HX-Push-Url"] = pushed
    content = templates.get_template(template).render(
        view=view, library=backend.library(), box=getattr(view, "box", ""), fragment=fragment
    )
    return HTMLResponse(content, status, headers)


def _query(backend: PageBackend, state: SearchState) -> tuple[Query, views.Reference | None]:
    """Return what to ask the engine for a state, and the picture that is searched by, if any."""
    vector: tuple[float, ...] | None = None
    images: tuple[ImageId, ...] = ()
    reference = None
    remove_url = SearchState(text=state.text, filter=state.filter, sort=state.sort).url()
    if state.like:
        picture = backend.remembered(state.like)
        if picture is not None:
            vector = tuple(picture.vector.tolist())
            reference = views.Reference("your picture, which is not kept", "", "", remove_url)
        elif _is_id(state.like):
            record = backend.record(ImageId(state.like))
            title = views.described(record)
            if state.box:
                vector = tuple(backend.part(record.id, parse_box(state.box)).vector.tolist())
                title = f"a part of {title}"
            else:
                images = (record.id,)
            thumbnail = f"/v1/images/{record.id}/thumbnail?size=256"
            reference = views.Reference(title, thumbnail, f"/images/{record.id}", remove_url)
        else:
            raise NotFound("your picture is no longer remembered: choose it once more")
    query = Query(
        texts=(state.text,) if state.text else (),
        not_texts=(state.not_text,) if state.not_text else (),
        images=images,
        vector=vector,
        filter=state.filter,
        k=PAGE_SIZE,
        cursor=state.cursor,
        facets=views.PAGE_FACETS,
        conjunctive=tuple(name for name in views.PAGE_FACETS if state.wants_all(name)),
        ranges=tuple(RANGES),
        sort=state.sort,
        seed=state.seed,
        cutoff="none" if state.anyway else "auto",
    )
    return query, reference


def _found(backend: PageBackend, state: SearchState, params: Mapping[str, str]) -> views.FacetView:
    """Return the values of a facet that start as was typed; nothing typed finds the commonest."""
    name, prefix = params.get("facet", ""), params.get("prefix", "").strip()
    query, _ = _query(backend, replace(state, cursor=None))
    size = FOUND if prefix else FACET_VALUES
    listing = replace(query, k=1, facets=(name,), facet_prefix=prefix, facet_size=size, ranges=())
    (facet,) = backend.search(listing).facets
    return views.facet_view(facet, state, prefix)


def _with_found(facets: Sequence[views.FacetView], found: views.FacetView) -> tuple[views.FacetView, ...]:
    """Return the facets with the one in which values were looked for."""
    return tuple(replace(found, values=f.values, range=f.range) if f.name == found.name else f for f in facets)


def _marked(params: Mapping[str, str], error: InvalidQuery | NotFound) -> str:
    """Return the expression that does not parse, with a mark under the place."""
    position = getattr(error, "position", None)
    try:
        filters.split(params.get("q", ""))
    except InvalidQuery:
        return views.marked(params["q"], position)
    return views.marked(params.get("filter", ""), position)


def _asked(params: Mapping[str, str]) -> Query:
    """Return what led to an image, as far as it names labels. An address that was tampered with asks for nothing."""
    try:
        state = SearchState.of({name: params[name] for name in ("q", "filter") if name in params})
    except InvalidQuery:
        return Query()
    return Query(texts=(state.text,) if state.text else (), filter=state.filter)


def _is_id(text: str) -> bool:
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)
