"""What a library is made of, as small charts whose bars lead into the search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search import filters
from search.facets import PEOPLE_BUCKETS
from search.types import Facet, Filter, Op, Term
from ui.facet_views import OTHER_PLACES, scene_groups, value_title
from ui.language import Words
from ui.state import SearchState

CHART_FACETS = ("year", "object", "scene", "color", "people", "attribute", "orientation")
MOST_BARS = 12
FACET_SIZE = 400
MOST_VALUES = filters.MAX_VALUES


@dataclass(frozen=True, slots=True)
class ChartBar:
    title: str
    count: str
    """Empty where bars count labels, not pictures."""
    share: float
    """Of the longest bar, 0–100."""
    url: str
    swatch: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    title: str
    bars: tuple[ChartBar, ...]


def charts(words: Words, facets: Sequence[Facet], groups: Sequence[tuple[str, Filter, int]]) -> tuple[Chart, ...]:
    """Return the charts of those facets; ``groups``: the sorts of places, each with its filter and its pictures."""
    found = []
    for facet in facets:
        if facet.name == "scene":
            found.append(Chart("places", words("insights.places"), tuple(_group_bars(words, groups))))
        bars = tuple(_bars(words, facet))
        if bars:
            found.append(Chart(facet.name, words(f"facet.{facet.name}"), bars))
    return tuple(chart for chart in found if chart.bars)


def place_filters(facet: Facet) -> Iterable[tuple[str, Filter]]:
    """Yield the sorts of places that a library has scenes of, each with the filter for its commonest scenes."""
    members: dict[str, list[str]] = defaultdict(list)
    for value in facet.values:
        members[scene_groups().get(value.value, OTHER_PLACES)].append(value.value)
    for name, scenes in members.items():
        yield name, Filter((Term("scene", Op.EQ, tuple(scenes[:MOST_VALUES])),))


def _bars(words: Words, facet: Facet) -> Iterable[ChartBar]:
    values = list(facet.values)
    if facet.name == "year":
        values.sort(key=lambda value: int(value.value))
    elif facet.name == "people":
        values.sort(key=lambda value: list(PEOPLE_BUCKETS).index(value.value))
    else:
        values = values[:MOST_BARS]
    most = max((value.count for value in values), default=1)
    for value in values:
        yield ChartBar(
            value_title(words, facet.name, value.value),
            words.number(value.count),
            round(100 * value.count / most, 1),
            SearchState(filter=filters.with_value(Filter(), facet.name, value.value)).url(),
            f"swatch-{value.value}" if facet.name == "color" else "",
        )


def _group_bars(words: Words, groups: Sequence[tuple[str, Filter, int]]) -> Iterable[ChartBar]:
    ordered = sorted(groups, key=lambda group: -group[2])
    most = max((count for _, _, count in ordered), default=1) or 1
    for name, filter, count in ordered:
        title = words.named(f"places.{name}", name)
        yield ChartBar(title, words.number(count), round(100 * count / most, 1), SearchState(filter=filter).url())
