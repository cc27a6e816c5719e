"""Which facets exist, in the order of the page, and how their counted values are listed. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search.errors import InvalidQuery
from search.types import FacetValue
from search.words import fold

UNBOUNDED = sys.maxsize

PEOPLE_BUCKETS: Mapping[str, tuple[int, int]] = {
    "0": (0, 0),
    "1": (1, 1),
    "2": (2, 2),
    "3-5": (3, 5),
    "6+": (6, UNBOUNDED),
}
"""The values of the facet ``people``, each with its first and last number of persons."""


@dataclass(frozen=True, slots=True)
class FacetSpec:
    """A field with counted values that a result list can be narrowed by."""

    name: str
    title: str
    field: str
    """The field of the filter language that a value of it selects."""


FACETS: Mapping[str, FacetSpec] = {
    name: FacetSpec(name, title, field=name)
    for name, title in (
        ("object", "Objects"),
        ("class", "Looks like"),
        ("scene", "Scenes"),
        ("attribute", "Attributes"),
        ("style", "Style"),
        ("segment", "Surfaces"),
        ("color", "Colours"),
        ("people", "People"),
        ("orientation", "Orientation"),
        ("year", "Year"),
        ("compound", "Combinations"),
        ("moderation", "Moderation"),
        ("source", "Found by"),
    )
}


def facet_named(name: str) -> FacetSpec:
    """Return a facet. Raises InvalidQuery, with the names there are, for one that does not exist."""
    spec = FACETS.get(name)
    if spec is None:
        raise InvalidQuery(f"there is no facet {name!r}; there are {', '.join(FACETS)}")
    return spec


def selectable_fields(names: Iterable[str]) -> tuple[str, ...]:
    """Return the filter fields of the named facets, each once. Raises InvalidQuery for a name that is no facet."""
    return tuple(dict.fromkeys(facet_named(name).field for name in names))


def people_bucket(count: int) -> str:
    """Return the value of the facet ``people`` that a number of persons falls into."""
    return next(name for name, (first, last) in PEOPLE_BUCKETS.items() if first <= count <= last)


def listed(counts: Mapping[str, int], selected: Iterable[str], size: int) -> tuple[FacetValue, ...]:
    """Return the ``size`` commonest values and all selected ones, by count and then by value.

    Values that no image has are left out unless selected. ``counts`` has one spelling for each value.
    """
    chosen = {fold(value): value for value in selected}
    spelt = {fold(value): value for value in counts}
    values = [FacetValue(value, count, fold(value) in chosen) for value, count in counts.items() if count]
    values.sort(key=_by_count)
    values = values[:size] + [value for value in values[size:] if value.selected]
    shown = {fold(value.value) for value in values}
    values += [FacetValue(spelt.get(key, value), 0, True) for key, value in chosen.items() if key not in shown]
    return tuple(sorted(values, key=_by_count))


def _by_count(value: FacetValue) -> tuple[int, str]:
    return -value.count, value.value
