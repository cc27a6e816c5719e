"""Which facets exist, in the order of the page, and how their counted values are listed. Pure."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search.errors import InvalidQuery
from search.selection import without_selection
from search.types import FacetValue, Filter
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
    many: bool
    """Whether an image can have several values, so that to have one and another is something to ask for."""


@dataclass(frozen=True, slots=True)
class FacetWish:
    """Which values of facets are listed, and how they are counted."""

    size: int
    """The commonest; selected ones are listed besides."""
    prefix: str = ""
    """Only values with a word that starts so."""
    conjunctive: tuple[str, ...] = ()
    """Facets whose own selection narrows their counts: those of what is left if a value has to hold as well."""


FACETS: Mapping[str, FacetSpec] = {
    name: FacetSpec(name, title, field=name, many=name not in ("people", "orientation", "year"))
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
        ("user", "Added by people"),
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


RANGES: Mapping[str, str] = {"people": "People", "year": "Year", "width": "Width", "height": "Height"}
"""The fields of numbers that can be narrowed from and to, with their titles."""


def check_ranges(names: Iterable[str]) -> None:
    """Raise InvalidQuery, with the names there are, for one that is no range."""
    for name in names:
        if name not in RANGES:
            raise InvalidQuery(f"there is no range {name!r}; there are {', '.join(RANGES)}")


def starts_a_word(prefix: str, value: str) -> bool:
    """Return whether a word of a value starts with a prefix, as labels are compared; every one does with none."""
    return f" {fold(prefix)}" in f" {fold(value)}"


def counted_under(filter: Filter, field: str, wish: FacetWish) -> Filter:
    """Return the filter that a facet is counted under: without its own selection, unless it has to hold as well."""
    return filter if field in wish.conjunctive else without_selection(filter, field)


def scopes(specs: Iterable[FacetSpec], filter: Filter, wish: FacetWish) -> dict[Filter, list[FacetSpec]]:
    """Return the filters that facets are counted under, each with its facets: those of one are counted in one go."""
    found: dict[Filter, list[FacetSpec]] = defaultdict(list)
    for spec in specs:
        found[counted_under(filter, spec.field, wish)].append(spec)
    return found


def selectable_fields(names: Iterable[str]) -> tuple[str, ...]:
    """Return the filter fields of the named facets, each once. Raises InvalidQuery for a name that is no facet."""
    return tuple(dict.fromkeys(facet_named(name).field for name in names))


def people_bucket(count: int) -> str:
    """Return the value of the facet ``people`` that a number of persons falls into."""
    return next(name for name, (first, last) in PEOPLE_BUCKETS.items() if first <= count <= last)


def listed(counts: Mapping[str, int], selected: Iterable[str], size: int, prefix: str = "") -> tuple[FacetValue, ...]:
    """Return the ``size`` commonest values and all selected ones, by count and then by value.

    Values that no image has are left out unless selected, and those without a word that starts with ``prefix`` anyway.
    ``counts`` has one spelling for each value.
    """
    wanted = counts.items() if not prefix else [pair for pair in counts.items() if starts_a_word(prefix, pair[0])]
    commonest = sorted(((-count, value) for value, count in wanted if count))[:size]
    chosen = {fold(value): value for value in selected if starts_a_word(prefix, value)}
    if not chosen:  # mostly: no label needs to be folded then
        return tuple(FacetValue(value, -count, selected=False) for count, value in commonest)
    spelt = {fold(value): value for value in counts}
    listed = {fold(value) for _, value in commonest} | chosen.keys()
    values = [(spelt.get(key, chosen.get(key, key)), key in chosen) for key in listed]
    return tuple(sorted((FacetValue(value, counts.get(value, 0), own) for value, own in values), key=_by_count))


def _by_count(value: FacetValue) -> tuple[int, str]:
    return -value.count, value.value
