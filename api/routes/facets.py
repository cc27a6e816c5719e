"""The facets of the library, and completions for the search box."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import ServicesDep
from api.schemas import FacetsOut, Suggestion, SuggestOut, facets_out
from search import filters
from search.facets import FACETS
from search.limits import FACET_VALUES
from search.types import Filter

router = APIRouter(tags=["facets"])


@router.get("/v1/facets")
def facets(
    services: ServicesDep, filter: Annotated[str, Query(description="Count within this filter")] = ""
) -> FacetsOut:
    """Count every facet of the library."""
    parsed = filters.parse(filter) if filter else Filter()
    return facets_out(tuple(services.tags.facets(list(FACETS), parsed, within=None, size=FACET_VALUES)))


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
