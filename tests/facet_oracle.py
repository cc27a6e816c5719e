"""What facets and ranges have to say, by looking at every image with the definition of the filter language."""

from __future__ import annotations

from collections.abc import Sequence

from pyroaring import BitMap

from search.facets import PEOPLE_BUCKETS, RANGES
from search.filters import without_selection
from search.matching import filter_confidence, matches, people
from search.types import Filter, ImageRecord, Op, Term
from search.words import fold


def recounted(
    name: str, filter: Filter, library: Sequence[ImageRecord], within: BitMap, *, conjunctive: bool = False
) -> dict[str, int]:
    """Return a facet's counts by asking for each value by itself."""
    values = {
        "people": list(PEOPLE_BUCKETS),
        "orientation": ["landscape", "portrait", "square"],
        "year": sorted({str(record.year) for record in library if record.year}),
        "source": sorted({tag.source for record in library for tag in record.tags} | _tellers(library)),
    }.get(name, [tag.label for record in library for tag in record.tags if tag.kind == name])
    scope = filter if conjunctive else without_selection(filter, name)
    found = {}
    for value in values:
        alone = Filter((*scope.terms, Term(name, Op.EQ, (value,))))
        found[fold(value)] = sum(record.ordinal in within and matches(alone, record) for record in library)
    return {value: count for value, count in found.items() if count}


def _tellers(library: Sequence[ImageRecord]) -> set[str]:
    return {"person"} | {record.caption_source for record in library if record.caption_source}


def ranges_of(filter: Filter, library: Sequence[ImageRecord], within: BitMap) -> dict[str, tuple[int, int]]:
    """Return the least and greatest number of each field, by looking at every image."""
    found = {}
    for name in RANGES:
        scope = without_selection(filter, name)
        images = [record for record in library if record.ordinal in within and matches(scope, record)]
        numbers = {
            "people": [people(record, filter_confidence(filter)) for record in images],
            "year": [record.year for record in images if record.year is not None],
            "width": [record.width for record in images],
            "height": [record.height for record in images],
        }[name]
        if numbers:
            found[name] = min(numbers), max(numbers)
    return found
