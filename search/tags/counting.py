"""Facet counts: each facet over the images that match the filter without the facet's own selection."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from pyroaring import BitMap

from search.bitmaps import ordinals_of
from search.facets import PEOPLE_BUCKETS, FacetSpec, listed, people_bucket
from search.matching import filter_confidence
from search.selection import selected_values, without_selection
from search.tags.projection import Projection
from search.tags.terms import match, persons
from search.types import Facet, Filter


def facets(
    specs: Sequence[FacetSpec],
    filter: Filter,
    projection: Projection,
    connection: sqlite3.Connection,
    *,
    within: BitMap | None,
    size: int,
) -> list[Facet]:
    """Return the facets in the order asked; those that leave out nothing of the filter are counted in one go."""
    scopes: dict[Filter, list[FacetSpec]] = defaultdict(list)
    for spec in specs:
        scopes[without_selection(filter, spec.field)].append(spec)
    counts: dict[str, dict[str, int]] = {}
    for scope, members in scopes.items():
        images = match(scope, projection, connection)
        if within is not None:
            images &= within
        counts |= _counts(members, filter, images, projection)
    return [Facet(spec.name, listed(counts[spec.name], selected_values(filter, spec.field), size)) for spec in specs]


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
