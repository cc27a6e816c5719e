"""The view model of the search page: chips for all that is asked, facets, hits."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from search import filters
from search.facets import RANGES
from search.fields import CONFIDENCE
from search.types import Filter, Query, SearchResults, Sort, Term
from ui.facet_views import PAGE_FACETS, SIZES, FacetView, RangeView, facet_views, range_views
from ui.language import Words
from ui.parts import ErrorView, HitView, Link, hit_views
from ui.state import Like, SearchState, least_confidence

PAGE_SIZE = 48
FACET_SIZE = 40
"""Values of a facet on the page, most of them folded."""
SEEDS = 1_000_000
WEIGHTS = ((0.5, "half"), (1.0, "normal"), (2.0, "double"))


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of what is asked, with the addresses of the page where it is otherwise."""

    title: str
    remove_url: str
    negate_url: str = ""
    """Where it is not wanted; of what is not wanted, where it is."""
    negated: bool = False
    picture: str = ""
    """Thumbnail of the picture that is searched by."""
    url: str = ""
    weights: tuple[Link, ...] = ()
    """How much it counts beside the other parts; none where it is alone."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A filter that typed words stand for, with the address of the page where it has taken their place."""

    title: str
    words: str
    count: str
    url: str


@dataclass(frozen=True, slots=True)
class SearchView:
    title: str
    box: str
    hidden: tuple[tuple[str, str], ...]
    """What the search form carries along besides the box."""
    summary: str
    hits: tuple[HitView, ...] = ()
    facets: tuple[FacetView, ...] = ()
    sizes: tuple[RangeView, ...] = ()
    least: int = 0
    """The confidence, in percent, from which on a tag counts; 0 where each kind has its usual one."""
    carried: tuple[tuple[str, str], ...] = ()
    """The whole state, for forms that change one thing of it."""
    chips: tuple[Chip, ...] = ()
    offers: tuple[Offer, ...] = ()
    clear_url: str = ""
    """Where nothing is asked; empty where nothing is."""
    sorts: tuple[Link, ...] = ()
    exports: tuple[Link, ...] = ()
    here_url: str = ""
    query: str = ""
    """The parameters of the first page, to be saved."""
    next_url: str = ""
    first_url: str = ""
    """Where the list begins, on a later page."""
    anyway_url: str = ""
    error: ErrorView | None = None


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture that is searched by."""

    title: str
    thumbnail: str = ""
    url: str = ""


Pictures = Mapping[Like, PictureView]


def search_view(words: Words, state: SearchState, results: SearchResults, pictures: Pictures) -> SearchView:
    anyway = state.first(anyway=True).url()
    here = state.first()
    return SearchView(
        title=state.text or str(state.filter) or words("search.everything"),
        box=state.text,
        hidden=hidden_fields(state),
        summary=_summary(words, results, state),
        hits=hit_views(words, results.hits, state),
        facets=tuple(facet_views(words, state, results)),
        sizes=tuple(range_views(words, SIZES, state, results)),
        least=least_confidence(state.filter),
        carried=tuple(here.params().items()),
        chips=tuple(_chips(words, state, pictures)),
        offers=tuple(_offers(words, state, results)),
        clear_url=SearchState().url() if state.asks_something or state.anyway else "",
        sorts=tuple(
            Link(words(f"sort.{sort}"), state.first(sort=sort, seed=_seed_for(sort)).url(), sort is state.sort)
            for sort in Sort
        ),
        exports=tuple(Link(name.upper(), here.url(f"/export.{name}")) for name in ("csv", "json")),
        here_url=state.url(),
        query=urlencode(here.params()),
        next_url=replace(state, cursor=results.next).url() if results.next else "",
        first_url=here.url() if state.cursor else "",
        anyway_url=anyway if not results.total and results.cutoff is not None else "",
    )


def failed_view(box: str, error: ErrorView) -> SearchView:
    """Return the page for a query that means nothing: what was typed stays in the box."""
    return SearchView(title=error.title, box=box, hidden=(), summary="", error=error)


def hidden_fields(state: SearchState) -> tuple[tuple[str, str], ...]:
    """Return what the search form carries along besides the box; the cut-off holds again for other words."""
    return tuple((name, value) for name, value in state.first(anyway=False).params().items() if name != "q")


def page_query(state: SearchState) -> Query:
    """Return what to ask the engine for a page, but for the pictures."""
    return Query(
        texts=(state.text,) if state.text else (),
        not_texts=state.not_texts,
        filter=state.filter,
        k=PAGE_SIZE,
        cursor=state.cursor,
        facets=PAGE_FACETS,
        facet_size=FACET_SIZE,
        conjunctive=tuple(name for name in PAGE_FACETS if state.wants_all(name)),
        ranges=tuple(RANGES),
        sort=state.sort,
        seed=state.seed,
        cutoff="none" if state.anyway else "auto",
    )


def _seed_for(sort: Sort) -> int | None:
    """Return a seed for the link to an order: at every look, the random one is another."""
    return secrets.randbelow(SEEDS) if sort is Sort.RANDOM else None


def _summary(words: Words, results: SearchResults, state: SearchState) -> str:
    if not results.total:
        return words("search.no-good-match" if results.cutoff is not None else "search.no-pictures")
    key = "search.matches" if state.asks_something and not state.likes else "search.pictures"
    return words(key if results.total_is_exact else f"{key}-about", count=results.total)


def _offers(words: Words, state: SearchState, results: SearchResults) -> Iterable[Offer]:
    for one in results.suggested:
        narrowed = state.first(text=one.rest, filter=filters.joined(state.filter, Filter((one.term,))))
        yield Offer(str(one.term), words("search.offer-for", words=one.words), words.number(one.count), narrowed.url())


def _chips(words: Words, state: SearchState, pictures: Pictures) -> Iterable[Chip]:
    several = bool(state.text) + len(state.likes) > 1
    if state.text:
        yield Chip(
            f"“{state.text}”",
            state.first(text="", text_weight=1.0).url(),
            state.first(text="", text_weight=1.0, not_texts=(*state.not_texts, state.text)).url(),
            weights=_weights(words, state.text_weight, {w: state.first(text_weight=w) for w, _ in WEIGHTS})
            if several
            else (),
        )
    for like in state.likes:
        rest = tuple(other for other in state.likes if other != like)
        others = {w: tuple(replace(o, weight=w) if o == like else o for o in state.likes) for w, _ in WEIGHTS}
        yield _picture_chip(
            pictures[like],
            state.first(likes=rest).url(),
            state.first(likes=rest, unlikes=(*state.unlikes, replace(like, weight=1.0))).url(),
            weights=_weights(words, like.weight, {w: state.first(likes=o) for w, o in others.items()})
            if several
            else (),
        )
    for term in state.filter.terms:
        without = filters.without_term(state.filter, term)
        other = ""
        if term.field != CONFIDENCE:
            flipped = replace(term, negated=not term.negated)
            changed = tuple(flipped if one == term else one for one in state.filter.terms)
            other = state.with_filter(Filter(tuple(dict.fromkeys(changed)))).url()
        yield Chip(_plain(term), state.with_filter(without).url(), other, term.negated)
    for text in state.not_texts:
        rest_texts = tuple(one for one in state.not_texts if one != text)
        wanted = state.first(not_texts=rest_texts, text=f"{state.text} {text}".strip()).url()
        yield Chip(f"“{text}”", state.first(not_texts=rest_texts).url(), wanted, negated=True)
    for like in state.unlikes:
        rest = tuple(other for other in state.unlikes if other != like)
        wanted = state.first(unlikes=rest, likes=(*state.likes, like)).url()
        yield _picture_chip(pictures[like], state.first(unlikes=rest).url(), wanted, negated=True)
    if state.anyway:
        yield Chip(words("search.anyway-chip"), state.first(anyway=False).url())


def _plain(term: Term) -> str:
    return str(replace(term, negated=False))


def _picture_chip(
    picture: PictureView, remove_url: str, negate_url: str, *, negated: bool = False, weights: tuple[Link, ...] = ()
) -> Chip:
    return Chip(picture.title, remove_url, negate_url, negated, picture.thumbnail, picture.url, weights)


def _weights(words: Words, weight: float, states: Mapping[float, SearchState]) -> tuple[Link, ...]:
    return tuple(Link(words(f"weight.{name}"), states[w].url(), w == weight) for w, name in WEIGHTS)
