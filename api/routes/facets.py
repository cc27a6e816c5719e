"""The facets of the library, and completions for the search box."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import ServicesDep
from api.routes.search import split_names
from api.schemas import FacetsOut, Suggestion, SuggestOut, facets_out
from search import filters
from search.facets import FACETS
from search.limits import FACET_VALUES, MAX_FACET_VALUES, MAX_PREFIX
from search.types import Filter

router = APIRouter(tags=["facets"])


@router.get("/v1/facets")
def facets(
    services: ServicesDep,
    filter: Annotated[str, Query(description="Count within this filter")] = "",
    facet: Annotated[str, Query(description="Facets to count, separated by commas; all without one")] = "",
    prefix: Annotated[
        str, Query(max_length=MAX_PREFIX, description="Only values with a word that starts so, whatever its case")
    ] = "",
    k: Annotated[int, Query(ge=1, le=MAX_FACET_VALUES, description="Values of each facet")] = FACET_VALUES,
) -> FacetsOut:
    """Count the facets of the library, or find values of one by how they begin."""
    parsed = filters.parse(filter) if filter else Filter()
    names = split_names(facet) or tuple(FACETS)
    return facets_out(services.tags.facets(names, parsed, within=None, size=k, prefix=prefix))


@router.get("/v1/suggest")
def suggest(
    services: ServicesDep,
    q: Annotated[str, Query(description="The beginning of a word", max_length=100)] = "",
    k: Annotated[int, Query(ge=1, le=100, description="How many completions")] = 10,
) -> SuggestOut:
    """Complete a word to labels of the library, with counts, and to fields of the filter language."""
    labels = services.tags.labels(q.strip(), k=k) if q.strip() else []
    suggestions = [
        Suggestion(text=f"{kind}:{filters.quoted(label)}", kind=kind, label=label, count=count)
        for kind, label, count in labels
    ]
    fields = [name for name in filters.FIELDS if q.strip() and name.startswith(q.strip().casefold())]
    suggestions += [Suggestion(text=f"{name}:", kind="field", label=name, count=None) for name in fields]
    return SuggestOut(suggestions=suggestions[:k])
