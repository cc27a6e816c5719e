"""Facet counts: each facet over the images that match the filter without the facet's own selection."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from pyroaring import BitMap

from search.bitmaps import ordinals_of
from search.facets import PEOPLE_BUCKETS, FacetSpec, FacetWish, listed, people_bucket, scopes
from search.matching import filter_confidence
from search.selection import selected_values, without_selection
from search.tags.projection import NUMBERS, Projection
from search.tags.terms import match, persons
from search.types import Facet, Filter, Range


def facets(
    specs: Sequence[FacetSpec],
    filter: Filter,
    projection: Projection,
    connection: sqlite3.Connection,
    *,
    within: BitMap | None,
    wish: FacetWish,
) -> list[Facet]:
    """Return the facets in the order asked; those that leave out nothing of the filter are counted in one go."""
    counts: dict[str, dict[str, int]] = {}
    for scope, members in scopes(specs, filter, wish).items():
        counts |= _counts(members, filter, _images(scope, projection, connection, within), projection)
    chosen = {spec.name: selected_values(filter, spec.field) for spec in specs}
    return [Facet(name, listed(counts[name], values, wish.size, wish.prefix)) for name, values in chosen.items()]


def ranges(
    names: Collection[str],
    filter: Filter,
    projection: Projection,
    connection: sqlite3.Connection,
    *,
    within: BitMap | None,
) -> list[Range]:
    """Return the ranges in the order asked, without those of fields that none of the images has."""
    found = []
    for name in dict.fromkeys(names):
        images = _images(without_selection(filter, name), projection, connection, within)
        numbers = _numbers(name, filter, images, projection)
        if numbers:
            found.append(Range(name, min(numbers), max(numbers)))
    return found


def _images(scope: Filter, projection: Projection, connection: sqlite3.Connection, within: BitMap | None) -> BitMap:
    images = match(scope, projection, connection)
    return images if within is None else images & within


def _numbers(name: str, filter: Filter, images: BitMap, projection: Projection) -> Collection[int]:
    """Return the numbers that the images have in a field, or the ends of what they have."""
    if name in NUMBERS:
        return projection.ends(name, images)
    overall = filter_confidence(filter)
    if name == "people" and overall is not None:
        return [number for number, count in _people(projection, images, overall).items() if count]
    return [int(label) for label in projection.count([name], images)[name]]


def _counts(
    specs: Iterable[FacetSpec], filter: Filter, images: BitMap, projection: Projection
) -> dict[str, dict[str, int]]:
    overall = filter_confidence(filter)
    by_field = projection.count([spec.field for spec in specs], images, overall)
    if "people" in by_field:
        numbers = {int(label): count for label, count in by_field["people"].items()}
        if overall is not None:
            numbers = _people(projection, images, overall)
        by_field["people"] = _in_buckets(numbers, selected_values(filter, "people"))
    return {spec.name: by_field[spec.field] for spec in specs}


def _people(projection: Projection, images: BitMap, overall: float) -> dict[int, int]:
    """Return how many of the images show each number of persons at a confidence that is not the default."""
    ordinals, counts = persons(projection, overall)
    counts = counts[np.isin(ordinals, ordinals_of(images))]
    numbers = dict(enumerate(np.bincount(counts).tolist()))
    return {**numbers, 0: len(images) - len(counts)}


def _in_buckets(numbers: dict[int, int], selected: Iterable[str]) -> dict[str, int]:
    """Return the counts by bucket, and those of selected numbers that are none, as in ``people:4``."""
    buckets: Counter[str] = Counter()
    for number, count in numbers.items():
        buckets[people_bucket(number)] += count
    for value in selected:
        if value not in PEOPLE_BUCKETS:
            buckets[value] = numbers.get(int(value), 0)
    return dict(buckets)
