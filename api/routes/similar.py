"""Look-up by a picture: one of the library, an uploaded one that is not kept, or a part of either; and duplicates."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from api.deps import ContextDep, ImageIdDep, ServicesDep
from api.schemas import DuplicatesOut, LookUpIn, SearchOut
from search import filters
from search.boxes import parse_box
from search.errors import Forbidden, InvalidQuery, UnsupportedMedia
from search.limits import MAX_K
from search.types import Filter, SimilarBy

router = APIRouter(tags=["similar"])

By = Annotated[SimilarBy, Query(description="What counts as like: the picture, its tags, both, or altered copies only")]
Hits = Annotated[int, Query(ge=1, le=MAX_K, description="How many images")]
FilterText = Annotated[str, Query(alias="filter", description="Filter expression")]
PART = "A part of the picture to look for: `x,y,width,height` as fractions of it, upright; at least 16 pixels a side"


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "A picture; it is not kept"},
                        "box": {"type": "string", "default": "", "description": PART},
                    },
                }
            },
            "application/json": {"schema": LookUpIn.model_json_schema()},
        },
    }
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A picture to look up: a file that was sent, or an address."""

    file: BinaryIO | None
    url: str
    box: str


async def get_asked(request: Request) -> AsyncIterator[Asked]:
    """Yield what a body asks for. Raises InvalidQuery, UnsupportedMedia."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            body = LookUpIn.model_validate_json(await request.body())
        except ValidationError as error:
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error
        yield Asked(None, body.url, body.box)
        return
    if not kind:
        raise InvalidQuery("there is no picture in the body: send it in a field `file`, with a file name")
    if kind != "multipart/form-data":
        raise UnsupportedMedia("send a picture as multipart/form-data in a field `file`, or an address as JSON")
    async with request.form(max_files=1, max_fields=4, max_part_size=1_000) as form:
        file, box = form.get("file"), form.get("box", "")
        if not isinstance(file, UploadFile) or not isinstance(box, str):
            raise InvalidQuery("there is no picture in the body: send it in a field `file`, with a file name")
        yield Asked(file.file, "", box)


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


@router.post("/v1/similar", openapi_extra=BODY)
def look_up(
    services: ServicesDep,
    context: ContextDep,
    asked: Annotated[Asked, Depends(get_asked)],
    by: By = SimilarBy.IMAGE,
    filter_: FilterText = "",
    k: Hits = 24,
) -> SearchOut:
    """Find the images most like a picture that is sent, or like a part of it.

    Where the option `url_lookup` is on, the address of a picture on the web may be sent instead, as JSON.
    """
    part = parse_box(asked.box) if asked.box else None
    file = asked.file
    if file is None:
        if context.fetcher is None:
            raise Forbidden("pictures on the web are not looked up here: the option url_lookup is off")
        file = io.BytesIO(context.fetcher.picture(asked.url))
    picture = context.lookup.picture(file, part)
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
