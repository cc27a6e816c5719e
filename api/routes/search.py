"""GET and POST /v1/search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import ServicesDep
from api.schemas import SearchIn, SearchOut
from search import filters
from search.errors import InvalidQuery
from search.limits import MAX_K
from search.shuffle import MAX_SEED
from search.types import Filter, Mode, Sort
from search.types import Query as SearchQuery

router = APIRouter(tags=["search"])


@router.get("/v1/search")
def search(
    services: ServicesDep,
    q: Annotated[
        str, Query(description='What to look for; `"in quotes"` word by word; empty lists by the filter alone')
    ] = "",
    filter: Annotated[str, Query(description="Filter expression: `object:dog -object:person year:2024`")] = "",
    not_: Annotated[str, Query(alias="not", description="What to move away from, in words")] = "",
    k: Annotated[int, Query(ge=1, le=MAX_K, description="Hits a page")] = 24,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    facets: Annotated[str, Query(description="Facets to count, separated by commas")] = "",
    all_: Annotated[
        str, Query(alias="all", description="Facets that are counted within their own selection: all values must hold")
    ] = "",
    ranges: Annotated[str, Query(description="Number fields whose ends are wanted: people,year,width,height")] = "",
    sort: Sort = Sort.RELEVANCE,
    seed: Annotated[
        int | None, Query(ge=0, le=MAX_SEED, description="Of `random`; without one, every search has its own")
    ] = None,
    mode: Mode = Mode.BLEND,
    cutoff: Annotated[str, Query(description="auto, none or the least relevance, 0–1")] = "auto",
) -> SearchOut:
    """Find images by words and filters, with facet counts over all that matched."""
    query = SearchQuery(
        texts=(q,) if q else (),
        not_texts=(not_,) if not_ else (),
        filter=filters.parse(filter) if filter else Filter(),
        k=k,
        cursor=cursor,
        facets=split_names(facets),
        conjunctive=split_names(all_),
        ranges=split_names(ranges),
        sort=sort,
        seed=seed,
        mode=mode,
        cutoff=parse_cutoff(cutoff),
    )
    return SearchOut.from_domain(services.engine.search(query))


@router.post("/v1/search")
def compose(services: ServicesDep, body: SearchIn) -> SearchOut:
    """Find images by a composition of texts, pictures and a vector, wanted and unwanted."""
    if body.space is not None:
        services.engine.expect_space(body.space)
    return SearchOut.from_domain(services.engine.search(body.to_domain()))


def split_names(names: str) -> tuple[str, ...]:
    """Return the facet names of a comma-separated list."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


def parse_cutoff(text: str) -> str | float:
    """Return ``auto``, ``none`` or a number. Raises InvalidQuery for anything else."""
    if text in ("auto", "none"):
        return text
    try:
        return float(text)
    except ValueError as error:
        raise InvalidQuery(f"cutoff must be auto, none or a relevance of 0–1, got {text!r}") from error
