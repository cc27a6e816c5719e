"""The facets beside the results: each value a link that turns it on or off, each facet in the shape that suits it."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from search import filters
from search.encoders.places import place_rows
from search.facets import FACETS, PEOPLE_BUCKETS, FacetSpec
from search.types import Facet, Filter, Op, SearchResults, Term
from ui.language import Words
from ui.parts import Link
from ui.state import SearchState

PAGE_FACETS = (
    "object",
    "people",
    "scene",
    "color",
    "year",
    "attribute",
    "style",
    "segment",
    "compound",
    "class",
    "user",
    "orientation",
)
SHORT_LIST = 6
"""Values of a facet that show before the rest is unfolded."""
WHOLE_LISTS = frozenset({"color", "people", "year"})
"""Facets that are short, or drawn, and need no folding."""
IN_ORDER: Mapping[str, Callable[[str], int]] = {"people": list(PEOPLE_BUCKETS).index, "year": lambda year: -int(year)}
"""Facets whose values have an order of their own."""
MOST_YEARS = 80
"""That are drawn as bars, side by side."""
SIZES = ("width", "height")
OTHER_PLACES = "other"


@dataclass(frozen=True, slots=True)
class FacetValueView:
    value: str
    title: str
    """The value in the language of the page."""
    count: str
    selected: bool
    toggle_url: str
    without_url: str = ""
    """Where pictures with it are left out."""
    swatch: str = ""


@dataclass(frozen=True, slots=True)
class RangeView:
    """A field of numbers to be narrowed from and to."""

    field: str
    title: str
    first: str
    last: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A year of the histogram; places and lengths in a box of 100 by 40."""

    year: int
    title: str
    x: float
    width: float
    height: float
    within: bool
    """Whether the search lets it through."""


@dataclass(frozen=True, slots=True)
class GroupView:
    """Scenes of one sort, folded."""

    name: str
    title: str
    values: tuple[FacetValueView, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class FacetView:
    name: str
    title: str
    values: tuple[FacetValueView, ...]
    more: tuple[FacetValueView, ...]
    modes: tuple[Link, ...] = ()
    """Where an image can have several values: whether any or all of those that are turned on must hold."""
    groups: tuple[GroupView, ...] = ()
    bars: tuple[Bar, ...] = ()
    range: RangeView | None = None
    prefix: str = ""
    """What was typed to find values; `more` are those that were found."""
    found: bool = False
    """Whether something was typed."""
    findable: bool = True


def facet_views(words: Words, state: SearchState, results: SearchResults) -> Iterable[FacetView]:
    """Yield the facets that could narrow the results, or do."""
    ranges = {view.field: view for view in range_views(words, [f.name for f in results.facets], state, results)}
    for facet in results.facets:
        if _can_narrow(facet, state, results.total) or facet.name in ranges:
            yield replace(facet_view(words, facet, state), range=ranges.get(facet.name))


def facet_view(words: Words, facet: Facet, state: SearchState, prefix: str | None = None) -> FacetView:
    """Return a facet; with a ``prefix``, even an empty one, its values are those that were found by it."""
    spec = FACETS[facet.name]
    values = [_value_view(words, spec, value.value, value.count, value.selected, state) for value in facet.values]
    if facet.name in IN_ORDER:
        values.sort(key=lambda value: IN_ORDER[facet.name](value.value))
    else:  # what is turned on stays in sight, whatever its count
        values.sort(key=lambda value: not value.selected)
    short = SHORT_LIST if prefix is None else 0
    whole = prefix is None and facet.name in WHOLE_LISTS
    groups = tuple(_groups(words, values[short:])) if facet.name == "scene" and prefix is None else ()
    return FacetView(
        facet.name,
        words(f"facet.{facet.name}"),
        tuple(values if whole else values[:short]),
        () if whole else tuple(values[short:]),
        modes=_modes(words, spec, state) if spec.many and filters.selected_values(state.filter, spec.field) else (),
        groups=groups,
        bars=tuple(_bars(words, facet, state)) if facet.name == "year" and prefix is None else (),
        prefix=prefix or "",
        found=prefix is not None,
        findable=not whole and len(values) > short,
    )


def range_views(words: Words, names: Iterable[str], state: SearchState, results: SearchResults) -> Iterable[RangeView]:
    """Yield the ranges that there is something to choose from, or that something was chosen of."""
    known = {range.field: range for range in results.ranges}
    for name in names:
        ends = filters.ends(state.filter, name)
        if name in known and (any(ends) or known[name].least < known[name].most):
            yield RangeView(name, words(f"range.{name}"), *ends, known[name].least, known[name].most)


def value_title(words: Words, facet: str, value: str) -> str:
    """Return a value in the language of the page, where its few values are translated."""
    return words.named(f"value.{facet}.{value}", value)


def _can_narrow(facet: Facet, state: SearchState, total: int) -> bool:
    """Return whether anything of a facet is turned on, or some value is not on all pictures."""
    field = FACETS[facet.name].field
    is_on = filters.without_selection(state.filter, field) != state.filter
    return is_on or any(value.count != total for value in facet.values)


def _modes(words: Words, spec: FacetSpec, state: SearchState) -> tuple[Link, ...]:
    others = tuple(name for name in state.conjunctive if name != spec.name)
    wants_all = state.wants_all(spec.name)
    any_of = state.first(filter=filters.any_of(state.filter, spec.field), conjunctive=others)
    all_of = state.first(filter=filters.all_of(state.filter, spec.field), conjunctive=(*others, spec.name))
    return Link(words("facets.any"), any_of.url(), not wants_all), Link(words("facets.all"), all_of.url(), wants_all)


def _value_view(
    words: Words, spec: FacetSpec, value: str, count: int, selected: bool, state: SearchState
) -> FacetValueView:
    # A value takes the place of a range, as its count says.
    filter = filters.without_comparisons(state.filter, spec.field)
    adds = state.wants_all(spec.name) and not selected
    narrowed = filters.also(filter, spec.field, value) if adds else filters.toggled(filter, spec.field, value)
    without = ""
    if spec.many and not selected:
        term = Term(spec.field, Op.EQ, (value,), negated=True)
        if term not in state.filter.terms:
            without = state.with_filter(Filter((*state.filter.terms, term))).url()
    return FacetValueView(
        value,
        value_title(words, spec.name, value),
        words.number(count),
        selected,
        state.with_filter(narrowed).url(),
        without,
        f"swatch-{value}" if spec.name == "color" else "",
    )


def _groups(words: Words, values: Sequence[FacetValueView]) -> Iterable[GroupView]:
    """Yield the scenes by what sort of place they are, the sort of the commonest scene first."""
    by_group: dict[str, list[FacetValueView]] = defaultdict(list)
    for value in values:
        by_group[scene_groups().get(value.value, OTHER_PLACES)].append(value)
    for name, members in by_group.items():
        yield GroupView(
            name, words.named(f"places.{name}", name), tuple(members), any(member.selected for member in members)
        )


@functools.cache
def scene_groups() -> Mapping[str, str]:
    """Return the sort of place that each known scene is."""
    return {name: group for name, _, group in place_rows()}


def _bars(words: Words, facet: Facet, state: SearchState) -> Iterable[Bar]:
    counts = {int(value.value): value.count for value in facet.values}
    first, last = (min(counts), max(counts)) if counts else (0, -1)
    span = last - first + 1
    if span < 2 or span > MOST_YEARS:
        return
    narrowed = filters.without_selection(state.filter, "year") != state.filter
    low, high = filters.ends(state.filter, "year")
    chosen = filters.selected_values(state.filter, "year")
    most = max(counts.values()) or 1
    for year in range(first, last + 1):
        count = counts.get(year, 0)
        between = int(low or year) <= year <= int(high or year)
        within = not narrowed or (str(year) in chosen if chosen else between)
        yield Bar(
            year,
            words("facets.bar", year=str(year), count=count),
            x=round((year - first) * 100 / span, 2),
            width=round(100 / span * 0.82, 2),
            height=round(max(1.2 if count else 0.0, 40 * count / most), 2),
            within=within,
        )
