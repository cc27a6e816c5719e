"""Facet counts by brute force: every record looked at, by `search.matching`, which says what a filter means."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from search import filters
from search.facets import facet_named, listed, people_bucket
from search.matching import filter_confidence, least_confidence, matches, people, single, sources
from search.selection import selected_values, without_selection
from search.types import Facet, Filter, ImageRecord, TagKind, quoted
from search.words import fold

Values = Callable[[ImageRecord, float | None], Iterable[str]]

OF_RECORD: Mapping[str, Values] = {
    "people": lambda record, overall: (people_bucket(people(record, overall)),),
    "orientation": lambda record, overall: (record.orientation,),  # noqa: ARG005
    "year": lambda record, overall: () if record.year is None else (str(record.year),),  # noqa: ARG005
    "source": sources,
}
"""The values that a record has in each facet that is not of labels."""


def agrees(facet: Facet, filter: Filter, among: Iterable[ImageRecord], *, size: int) -> bool:
    """Return whether a facet's values and counts are those of the records that match all but its own selection."""
    field = facet_named(facet.name).field
    rest = without_selection(filter, field)
    overall = filter_confidence(filter)
    counts = Counter(
        value for record in among if matches(rest, record) for value in set(_values(facet.name, record, overall))
    )
    # Where several values have the last place's count, any of them may be listed.
    should = listed(counts, selected_values(filter, field), size)
    right = all(value.count == counts[fold(value.value)] for value in facet.values)
    return right and sorted(v.count for v in facet.values) == sorted(v.count for v in should)


def _values(name: str, record: ImageRecord, overall: float | None) -> Iterable[str]:
    if name in OF_RECORD:
        return map(fold, OF_RECORD[name](record, overall))
    kind = TagKind(name)
    least = least_confidence(kind, overall)
    return (fold(tag.label) for tag in record.tags if tag.kind is kind and single(tag.confidence) >= least)


def random_filters(records: Sequence[ImageRecord], count: int, *, seed: int) -> list[Filter]:
    """Return filters of one to three terms, of labels and numbers that records have; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    labels = sorted(
        {(tag.kind, tag.label) for record in records for tag in record.tags if tag.kind is not TagKind.TEXT}
    )
    years = sorted({record.year for record in records if record.year is not None})

    def term() -> str:
        sign = rng.choice(("", "", "", "-"))
        choice = rng.random()
        if labels and choice < 0.7:
            kind, label = rng.choice(labels)
            alike = [other for of_kind, other in labels if of_kind is kind]
            values = [label, *rng.sample(alike, min(len(alike), rng.choice((0, 0, 1))))]
            least = rng.choice(("", "", "", "@0.3", "@0.8"))
            return f"{sign}{kind}:{'|'.join(map(quoted, values))}{least}"
        if labels and choice < 0.8:
            kind, label = rng.choice(labels)
            return f"{sign}count({kind}:{quoted(label)}):{rng.choice(('>=1', '>=2', '1..3'))}"
        if years and choice < 0.85:
            return f"{sign}year:{rng.choice(years)}"
        return sign + rng.choice(("people:0", "people:1|2", "people:>=1", "orientation:landscape", "has:faces"))

    made = []
    for _ in range(count):
        terms = [term() for _ in range(rng.choice((1, 1, 2, 3)))]
        overall = rng.choice(("", "", "", "confidence:>=0.7"))
        made.append(filters.joined(*map(filters.parse, [*terms, overall])))
    return made
