"""Look-up by a picture: one of the library, an uploaded one that is not kept, or a part of either; and duplicates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile

from api.deps import ContextDep, ImageIdDep, ServicesDep
from api.schemas import DuplicatesOut, SearchOut
from search import filters
from search.boxes import parse_box
from search.limits import MAX_K
from search.types import Filter, SimilarBy

router = APIRouter(tags=["similar"])

By = Annotated[SimilarBy, Query(description="What counts as like: the picture, its tags, both, or altered copies only")]
Hits = Annotated[int, Query(ge=1, le=MAX_K, description="How many images")]
FilterText = Annotated[str, Query(alias="filter", description="Filter expression")]
PART = "A part of the picture to look for: `x,y,width,height` as fractions of it, upright; at least 16 pixels a side"


@router.get("/v1/images/{id}/similar")
def similar(
    services: ServicesDep,
    context: ContextDep,
    id: ImageIdDep,
    by: By = SimilarBy.IMAGE,
    filter_: FilterText = "",
    k: Hits = 24,
    box: Annotated[str, Query(description=PART)] = "",
) -> SearchOut:
    """Find the images most like one of the library, or like a part of it."""
    if box:
        part = context.part(id, parse_box(box))
        found = services.engine.similar_to(part, by=by, filter=_parsed(filter_), k=k, leave_out=id)
    else:
        found = services.engine.similar(id, by=by, filter=_parsed(filter_), k=k)
    return SearchOut.from_domain(found)


@router.post("/v1/similar")
def look_up(
    services: ServicesDep,
    context: ContextDep,
    file: Annotated[UploadFile, File(description="A picture; it is not kept")],
    by: By = SimilarBy.IMAGE,
    filter_: FilterText = "",
    k: Hits = 24,
    box: Annotated[str, Form(description=PART)] = "",
) -> SearchOut:
    """Find the images most like an uploaded picture, or like a part of it."""
    picture = context.lookup.picture(file.file, parse_box(box) if box else None)
    return SearchOut.from_domain(services.engine.similar_to(picture, by=by, filter=_parsed(filter_), k=k))


@router.get("/v1/duplicates")
def duplicates(
    services: ServicesDep,
    k: Annotated[int, Query(ge=1, le=MAX_K, description="Groups a page")] = 24,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
) -> DuplicatesOut:
    """List groups of images that are one picture in several sizes, crops, colours or formats."""
    return DuplicatesOut.from_domain(services.engine.duplicate_groups(cursor=cursor, k=k))


def _parsed(expression: str) -> Filter:
    return filters.parse(expression) if expression else Filter()
