"""The page of one image, what a person changes of it, and the search by a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from search import explain
from search.boxes import box_text
from search.errors import InvalidQuery
from search.recommend.events import EventType
from search.types import Box, Filter, ImageId, SimilarBy, TagKind
from search.types import Query as SearchQuery
from ui.addresses import at
from ui.backend import PageBackend
from ui.image_views import KINDS_TO_ADD, ImageView, image_view
from ui.rendering import local_path, page, words_for
from ui.state import Like, SearchState
from ui.taste_pages import learns

SIMILAR_SHOWN = 8
COPIES_SHOWN = 8
IMAGE_MODULES = ("boxes.js", "part.js")
MOST_LABELS = 20
"""Added, or taken away, at once."""
LONGEST_LABEL = 100

Percent = Annotated[float, Query(ge=0, le=100)]


def add_image_pages(router: APIRouter, backend: PageBackend) -> None:
    @router.get("/images/{id}")
    def image(request: Request, id: str, said: str = "") -> Response:
        words = words_for(request)
        view = _view(backend, request, ImageId(id), request.query_params, said=words("edit.saved") if said else "")
        if learns(request):
            backend.note(request, view.id, EventType.VIEW)
        return page(request, backend, "image.html", view, fragment="_image.html", modules=IMAGE_MODULES)

    @router.get("/part")
    def part(id: str, x: Percent, y: Percent, width: Percent, height: Percent) -> Response:
        """Search by a part of an image, told in percent of its sides."""
        left, top = min(x, 100.0) / 100, min(y, 100.0) / 100
        right, bottom = min(x + width, 100.0) / 100, min(y + height, 100.0) / 100
        if right <= left or bottom <= top:
            raise InvalidQuery("the part must have a width and a height inside the picture")
        box = box_text(Box(left, top, right - left, bottom - top))
        return RedirectResponse(SearchState(likes=(Like(id, box),)).url(), status_code=303)


def add_image_changes(router: APIRouter, backend: PageBackend) -> None:
    """Add what needs the right to write."""

    @router.post("/images/{id}/edit")
    def edit(
        request: Request,
        id: str,
        caption: Annotated[str, Form(max_length=2_000)] = "",
        alt_text: Annotated[str, Form(max_length=2_000)] = "",
        add: Annotated[str, Form(max_length=400)] = "",
        kind: Annotated[str, Form()] = TagKind.USER,
        remove: Annotated[list[str] | None, Form()] = None,
        asked_q: Annotated[str, Form()] = "",
        asked_filter: Annotated[str, Form()] = "",
    ) -> Response:
        image_id = ImageId(id)
        before = backend.record(image_id)
        backend.edit(
            image_id,
            add=_added(kind, add),
            remove=_removed(remove or ()),
            caption=None if caption.strip() == (before.caption or "") else caption.strip(),
            alt_text=None if alt_text.strip() == (before.alt_text or "") else alt_text.strip(),
        )
        if "HX-Request" not in request.headers:
            return RedirectResponse(at(f"/images/{image_id}?said=saved"), status_code=303)
        words = words_for(request)
        view = _view(backend, request, image_id, {"q": asked_q, "filter": asked_filter}, said=words("edit.saved"))
        return page(request, backend, "image.html", view, fragment="_image.html")

    @router.post("/remove")
    def remove(id: Annotated[list[str] | None, Form()] = None, back: Annotated[str, Form()] = "") -> Response:
        ids = [ImageId(one) for one in id or ()]
        backend.remove(ids)
        joint = "&" if "?" in back else "?"
        return RedirectResponse(f"{local_path(back)}{joint}removed={len(ids)}", status_code=303)


def _view(
    backend: PageBackend, request: Request, id: ImageId, params: Mapping[str, str], *, said: str = ""
) -> ImageView:
    record = backend.record(id)
    alike = backend.similar(record.id, by=SimilarBy.IMAGE, filter=Filter(), k=SIMILAR_SHOWN)
    copies = backend.similar(record.id, by=SimilarBy.DUPLICATE, filter=Filter(), k=COPIES_SHOWN)
    state = _asked(params)
    query = SearchQuery(texts=(state.text,) if state.text else (), filter=state.filter)
    return image_view(
        words_for(request),
        record,
        alike.hits,
        copies.hits,
        matched=explain.matched(record, query),
        why=explain.why(record, query, relevance=None, similarity=None),
        asked=state,
        stance=backend.stance(request, record.id),
        said=said,
    )


def _asked(params: Mapping[str, str]) -> SearchState:
    """Return what led to an image, as far as it names labels. An address that was tampered with asks for nothing."""
    try:
        return SearchState.of({name: params[name] for name in ("q", "filter") if params.get(name)})
    except InvalidQuery:
        return SearchState()


def _added(kind: str, labels: str) -> list[tuple[TagKind, str]]:
    if kind not in KINDS_TO_ADD:
        raise InvalidQuery(f"a person can add {', '.join(KINDS_TO_ADD)}, not {kind[:40]!r}")
    names = [name.strip() for name in labels.split(",") if name.strip()]
    _check_labels(names)
    return [(TagKind(kind), name) for name in names]


def _removed(values: Sequence[str]) -> list[tuple[TagKind, str]]:
    found = []
    for value in values:
        kind, _, label = value.partition(":")
        if kind not in list(TagKind) or not label:
            raise InvalidQuery(f"a label to take away is kind:label, got {value[:100]!r}")
        found.append((TagKind(kind), label))
    _check_labels([label for _, label in found])
    return found


def _check_labels(names: Sequence[str]) -> None:
    if len(names) > MOST_LABELS:
        raise InvalidQuery(f"at most {MOST_LABELS} labels at once, got {len(names)}")
    if any(len(name) > LONGEST_LABEL for name in names):
        raise InvalidQuery(f"a label has at most {LONGEST_LABEL} characters")
