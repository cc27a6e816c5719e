"""View models: all that a template may see, already worded and formatted."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from search import filters
from search.boxes import box_text
from search.duplicates import DuplicateGroups
from search.facets import FACETS, RANGES, FacetSpec
from search.types import (
    DEFAULT_CONFIDENCE,
    PERSON,
    Facet,
    Filter,
    Hit,
    ImageId,
    ImageRecord,
    SearchResults,
    Sort,
    Tag,
    TagKind,
)
from ui.state import SearchState

PAGE_FACETS = (
    "object",
    "people",
    "scene",
    "attribute",
    "style",
    "segment",
    "color",
    "compound",
    "class",
    "user",
    "orientation",
    "year",
)
SHORT_LIST = 6
"""Values of a facet that show before the rest is unfolded."""

SORT_TITLES = {
    Sort.RELEVANCE: "Best match",
    Sort.NEWEST: "Newest first",
    Sort.OLDEST: "Oldest first",
    Sort.RANDOM: "Shuffled",
}
SEEDS = 1_000_000
SIZES = ("width", "height")
KIND_TITLES = {
    TagKind.OBJECT: "Objects",
    TagKind.CLASS: "Looks like",
    TagKind.SCENE: "Scenes",
    TagKind.ATTRIBUTE: "Attributes",
    TagKind.STYLE: "Style",
    TagKind.SEGMENT: "Surfaces",
    TagKind.COLOR: "Colours",
    TagKind.COMPOUND: "Combinations",
    TagKind.MODERATION: "Moderation",
    TagKind.TEXT: "Text",
    TagKind.USER: "Added by people",
}
CAPTION_SOURCES = {"composed": "Caption put together from the tags.", PERSON: "Caption written by a person."}


@dataclass(frozen=True, slots=True)
class Link:
    title: str
    url: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Chip:
    """An active condition, with the address of the page without it."""

    title: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A filter that typed words stand for, with the address of the page where it has taken their place."""

    title: str
    words: str
    count: str
    url: str


@dataclass(frozen=True, slots=True)
class FacetValueView:
    value: str
    count: str
    selected: bool
    toggle_url: str
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
class FacetView:
    name: str
    title: str
    values: tuple[FacetValueView, ...]
    more: tuple[FacetValueView, ...]
    modes: tuple[Link, ...] = ()
    """Where an image can have several values: whether any or all of those that are turned on must hold."""
    range: RangeView | None = None
    prefix: str = ""
    """What was typed to find values; `more` are those that were found."""
    found: bool = False
    """Whether something was typed."""


@dataclass(frozen=True, slots=True)
class HitView:
    id: ImageId
    url: str
    thumbnail: str
    large: str
    width: int
    height: int
    alt: str
    caption: str
    why: str
    strength: str
    """Relevance in words, so that it is not told by a number alone."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The picture that is searched by."""

    title: str
    thumbnail: str
    url: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class ErrorView:
    title: str
    detail: str
    marked: str = ""
    """The expression with a mark under the place that does not parse."""


@dataclass(frozen=True, slots=True)
class SearchView:
    title: str
    box: str
    hidden: tuple[tuple[str, str], ...]
    summary: str
    hits: tuple[HitView, ...] = ()
    facets: tuple[FacetView, ...] = ()
    sizes: tuple[RangeView, ...] = ()
    carried: tuple[tuple[str, str], ...] = ()
    """The whole state, for forms that change one thing of it."""
    chips: tuple[Chip, ...] = ()
    offers: tuple[Offer, ...] = ()
    clear_url: str = "/"
    sorts: tuple[Link, ...] = ()
    next_url: str = ""
    anyway_url: str = ""
    reference: Reference | None = None
    error: ErrorView | None = None


@dataclass(frozen=True, slots=True)
class TagView:
    label: str
    confidence: str
    source: str
    search_url: str
    box: tuple[float, float, float, float] | None
    like_url: str
    """Where pictures are that look like what is in the box."""
    number: int
    matched: bool
    """Whether the search that led here asked for it."""


@dataclass(frozen=True, slots=True)
class TagGroup:
    title: str
    sources: str
    """Who said them: "by yolo11s and a person"."""
    mixed: bool
    """Whether each tag has to tell its own source."""
    tags: tuple[TagView, ...]
    more: tuple[TagView, ...]
    """Those that the models are less sure of than a filter asks for by default."""


@dataclass(frozen=True, slots=True)
class ImageView:
    title: str
    id: ImageId
    picture: str
    file: str
    width: int
    height: int
    alt: str
    caption: str
    caption_source: str
    alt_text: str
    groups: tuple[TagGroup, ...]
    boxes: tuple[TagView, ...]
    facts: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    similar: tuple[HitView, ...]
    similar_url: str


@dataclass(frozen=True, slots=True)
class VersionView:
    """One of several images that are one picture."""

    url: str
    thumbnail: str
    width: int
    height: int
    name: str
    facts: str
    differences: tuple[str, ...]
    """From the first of its group; none of its own."""


@dataclass(frozen=True, slots=True)
class DuplicatesView:
    title: str
    groups: tuple[tuple[VersionView, ...], ...]
    next_url: str


def search_view(state: SearchState, results: SearchResults, reference: Reference | None) -> SearchView:
    anyway = replace(state, anyway=True, cursor=None).url()
    return SearchView(
        title=state.text or str(state.filter) or "All pictures",
        box=state.text,
        hidden=hidden_fields(state),
        summary=_summary(results, state),
        hits=tuple(hit_view(hit, state) for hit in results.hits),
        facets=tuple(_facet_views(state, results)),
        sizes=tuple(_range_views(SIZES, state, results)),
        carried=carried_fields(state),
        chips=tuple(_chips(state)),
        offers=tuple(_offers(state, results)),
        clear_url=SearchState(text=state.text, like=state.like, box=state.box).url(),
        sorts=tuple(
            Link(title, replace(state, sort=sort, seed=_seed_for(sort), cursor=None).url(), sort is state.sort)
            for sort, title in SORT_TITLES.items()
        ),
        next_url=replace(state, cursor=results.next).url() if results.next else "",
        anyway_url=anyway if not results.total and results.cutoff is not None else "",
        reference=reference,
    )


def failed_view(box: str, error: ErrorView) -> SearchView:
    """Return the page for a query that means nothing: what was typed stays in the box."""
    return SearchView(title=error.title, box=box, hidden=(), summary="", error=error)


def hidden_fields(state: SearchState) -> tuple[tuple[str, str], ...]:
    """Return what the form carries along besides the box."""
    fields = {
        "filter": str(state.filter),
        "sort": "" if state.sort is Sort.RELEVANCE else state.sort.value,
        "seed": "" if state.seed is None else str(state.seed),
        "all": ",".join(state.conjunctive),
        "like": state.like,
        "box": state.box,
    }
    return tuple((name, value) for name, value in fields.items() if value)


def carried_fields(state: SearchState) -> tuple[tuple[str, str], ...]:
    """Return what a form carries along that has no box, so that it starts from the first page."""
    return tuple(replace(state, cursor=None).params().items())


def _seed_for(sort: Sort) -> int | None:
    """Return a seed for the link to an order: at every look, the random one is another."""
    return secrets.randbelow(SEEDS) if sort is Sort.RANDOM else None


def marked(text: str, position: int | None) -> str:
    """Return the text with a caret under a position."""
    return "" if position is None else f"{text}\n{' ' * position}^"


def _summary(results: SearchResults, state: SearchState) -> str:
    if not results.total:
        return "No good match" if results.cutoff is not None else "No pictures"
    about = "" if results.total_is_exact else "about "
    pictures = "picture" if results.total == 1 else "pictures"
    what = " match" if state.asks_something and not state.like else ""
    return f"{about}{results.total:,} {pictures}{what}{'es' if what and results.total == 1 else ''}"


def _facet_views(state: SearchState, results: SearchResults) -> Iterable[FacetView]:
    ranges = {view.field: view for view in _range_views([f.name for f in results.facets], state, results)}
    for facet in results.facets:
        if _can_narrow(facet, state, results.total) or facet.name in ranges:
            yield replace(facet_view(facet, state), range=ranges.get(facet.name))


def _can_narrow(facet: Facet, state: SearchState, total: int) -> bool:
    """Return whether anything of a facet is turned on, or some value is not on all pictures."""
    field = FACETS[facet.name].field
    is_on = filters.without_selection(state.filter, field) != state.filter
    return is_on or any(value.count != total for value in facet.values)


def _range_views(names: Iterable[str], state: SearchState, results: SearchResults) -> Iterable[RangeView]:
    """Yield the ranges that there is something to choose from, or that something was chosen of."""
    known = {range.field: range for range in results.ranges}
    for name in names:
        ends = filters.ends(state.filter, name)
        if name in known and (any(ends) or known[name].least < known[name].most):
            yield RangeView(name, RANGES[name], *ends, known[name].least, known[name].most)


def facet_view(facet: Facet, state: SearchState, prefix: str | None = None) -> FacetView:
    """Return a facet; with a ``prefix``, even an empty one, its values are those that were found by it."""
    spec = FACETS[facet.name]
    values = [_value_view(spec, value.value, value.count, value.selected, state) for value in facet.values]
    # What is turned on stays in sight, whatever its count.
    values.sort(key=lambda value: not value.selected)
    short = SHORT_LIST if prefix is None else 0
    return FacetView(
        facet.name,
        spec.title,
        tuple(values[:short]),
        tuple(values[short:]),
        modes=_modes(spec, state) if spec.many and filters.selected_values(state.filter, spec.field) else (),
        prefix=prefix or "",
        found=prefix is not None,
    )


def _modes(spec: FacetSpec, state: SearchState) -> tuple[Link, ...]:
    others = tuple(name for name in state.conjunctive if name != spec.name)
    wants_all = state.wants_all(spec.name)
    any_of = replace(state, filter=filters.any_of(state.filter, spec.field), conjunctive=others, cursor=None)
    all_of = replace(
        state, filter=filters.all_of(state.filter, spec.field), conjunctive=(*others, spec.name), cursor=None
    )
    return Link("any", any_of.url(), not wants_all), Link("all", all_of.url(), wants_all)


def _value_view(spec: FacetSpec, value: str, count: int, selected: bool, state: SearchState) -> FacetValueView:
    # A value takes the place of a range, as its count says.
    filter = filters.without_comparisons(state.filter, spec.field)
    adds = state.wants_all(spec.name) and not selected
    narrowed = filters.also(filter, spec.field, value) if adds else filters.toggled(filter, spec.field, value)
    url = state.with_filter(narrowed).url()
    return FacetValueView(value, f"{count:,}", selected, url, f"swatch-{value}" if spec.name == "color" else "")


def _offers(state: SearchState, results: SearchResults) -> Iterable[Offer]:
    for one in results.suggested:
        narrowed = replace(state, text=one.rest).with_filter(filters.joined(state.filter, Filter((one.term,))))
        yield Offer(str(one.term), one.words, f"{one.count:,}", narrowed.url())


def _chips(state: SearchState) -> Iterable[Chip]:
    for term in state.filter.terms:
        yield Chip(str(term), state.with_filter(filters.without_term(state.filter, term)).url())
    if state.not_text:
        yield Chip(f"not {state.not_text}", replace(state, not_text="", cursor=None).url())
    if state.anyway:
        yield Chip("nearest, however far", replace(state, anyway=False, cursor=None).url())


def hit_view(hit: Hit, state: SearchState | None = None) -> HitView:
    """Return a hit; its page shows what matched of the ``state`` that found it."""
    image = hit.image
    asked = SearchState(text=state.text, filter=state.filter).params() if state else {}
    return HitView(
        id=image.id,
        url=f"/images/{image.id}" + (f"?{urlencode(asked)}" if asked else ""),
        thumbnail=f"/v1/images/{image.id}/thumbnail?size=512",
        large=f"/v1/images/{image.id}/thumbnail?size=1024",
        width=image.width,
        height=image.height,
        alt=described(image),
        caption=image.caption or "",
        why=" · ".join(hit.why),
        strength=_strength(hit.relevance),
    )


def _strength(relevance: float | None) -> str:
    if relevance is None:
        return ""
    bands = ((0.85, "strong match"), (0.5, "good match"), (0.2, "weak match"))
    return next((words for least, words in bands if relevance >= least), "far off")


def described(image: ImageRecord) -> str:
    """Return what stands for a picture where it cannot be seen."""
    return image.alt_text or image.caption or f"Picture {image.files[0] if image.files else image.id}"


def image_view(image: ImageRecord, similar: Sequence[Hit], matched: Collection[tuple[TagKind, str]] = ()) -> ImageView:
    """Return an image; ``matched``: the labels that were asked for."""
    tags = [_tag_view(image, number, (tag.kind, tag.label) in matched) for number, tag in enumerate(image.tags)]
    counted = {view.number for view, tag in zip(tags, image.tags, strict=True) if _counts(tag)}
    return ImageView(
        title=image.caption or (image.files[0] if image.files else image.id),
        id=image.id,
        picture=f"/v1/images/{image.id}/thumbnail?size=1024",
        file=f"/v1/images/{image.id}/file",
        width=image.width,
        height=image.height,
        alt=described(image),
        caption=image.caption or "",
        caption_source=CAPTION_SOURCES.get(image.caption_source or "", f"Caption by {image.caption_source}.")
        if image.caption
        else "",
        alt_text=image.alt_text or "",
        groups=tuple(_groups(image.tags, tags, counted)),
        boxes=tuple(view for view in tags if view.box and view.number in counted),
        facts=tuple(_facts(image)),
        files=image.files,
        similar=tuple(map(hit_view, similar)),
        similar_url=SearchState(like=image.id).url(),
    )


def duplicates_view(page: DuplicateGroups) -> DuplicatesView:
    groups = tuple(
        tuple(_version_view(image, told) for image, told in zip(group.images, group.differences, strict=True))
        for group in page.groups
    )
    about = "1 group" if page.total == 1 else f"{page.total:,} groups"
    next_url = f"/duplicates?{urlencode({'cursor': page.next})}" if page.next else ""
    return DuplicatesView(f"{about} of copies" if groups else "No copies", groups, next_url)


def _version_view(image: ImageRecord, differences: Sequence[str]) -> VersionView:
    return VersionView(
        url=f"/images/{image.id}",
        thumbnail=f"/v1/images/{image.id}/thumbnail?size=256",
        width=image.width,
        height=image.height,
        name=image.files[0] if image.files else image.id,
        facts=f"{image.width} × {image.height}, {_bytes(image.bytes)}",
        differences=tuple(differences),
    )


def _counts(tag: Tag) -> bool:
    return tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]


def _tag_view(image: ImageRecord, number: int, matched: bool) -> TagView:
    tag = image.tags[number]
    expression = filters.with_value(Filter(), tag.kind.value, tag.label) if tag.kind is not TagKind.TEXT else Filter()
    box = tag.box
    return TagView(
        label=tag.label,
        confidence=f"{tag.confidence:.0%}",
        source="a person" if tag.source == PERSON else tag.source,
        search_url=SearchState(filter=expression).url(),
        box=None if box is None else (box.x, box.y, box.width, box.height),
        like_url="" if box is None else SearchState(like=image.id, box=box_text(box)).url(),
        number=number,
        matched=matched,
    )


def _groups(tags: Sequence[Tag], views: Sequence[TagView], counted: set[int]) -> Iterable[TagGroup]:
    for kind, title in KIND_TITLES.items():
        of_kind = [view for view, tag in zip(views, tags, strict=True) if tag.kind is kind]
        if of_kind:
            sure = tuple(view for view in of_kind if view.number in counted)
            rest = tuple(view for view in of_kind if view.number not in counted)
            sources = list(dict.fromkeys(view.source for view in of_kind))
            yield TagGroup(title, f"by {' and '.join(sources)}", len(sources) > 1, sure, rest)


def _facts(image: ImageRecord) -> Iterable[tuple[str, str]]:
    yield "Size", f"{image.width} × {image.height}, {_bytes(image.bytes)}"
    if image.taken_at:
        yield "Taken", f"{image.taken_at:%d %B %Y, %H:%M}"
    if image.camera:
        yield "Camera", image.camera
    if image.location:
        yield "Place", f"{image.location.latitude:.5f}, {image.location.longitude:.5f}"
    yield "Indexed", f"{image.indexed_at:%d %B %Y}"


def _bytes(count: int) -> str:
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
