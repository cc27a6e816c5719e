"""Look-up by a picture: one of the library, or an uploaded one that is not kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Query, UploadFile

from api.deps import ContextDep, ImageIdDep, ServicesDep
from api.schemas import SearchOut
from search import filters
from search.limits import MAX_K
from search.types import Filter, SimilarBy

router = APIRouter(tags=["similar"])

By = Annotated[SimilarBy, Query(description="What counts as like: the picture, its tags, both, or altered copies only")]
Hits = Annotated[int, Query(ge=1, le=MAX_K, description="How many images")]
FilterText = Annotated[str, Query(alias="filter", description="Filter expression")]


@router.get("/v1/images/{id}/similar")
def similar(
    services: ServicesDep, id: ImageIdDep, by: By = SimilarBy.IMAGE, filter_: FilterText = "", k: Hits = 24
) -> SearchOut:
    """Find the images most like one of the library."""
    return SearchOut.from_domain(services.engine.similar(id, by=by, filter=_parsed(filter_), k=k))


@router.post("/v1/similar")
def look_up(
    services: ServicesDep,
    context: ContextDep,
    file: Annotated[UploadFile, File(description="A picture; it is not kept")],
    by: By = SimilarBy.IMAGE,
    filter_: FilterText = "",
    k: Hits = 24,
) -> SearchOut:
    """Find the images most like an uploaded picture."""
    picture = context.lookup.picture(file.file)
    return SearchOut.from_domain(services.engine.similar_to(picture, by=by, filter=_parsed(filter_), k=k))


def _parsed(expression: str) -> Filter:
    return filters.parse(expression) if expression else Filter()
