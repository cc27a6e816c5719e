"""The search page's state, which is its query string and nothing else: links, bookmarks and back work by themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from urllib.parse import urlencode

from search import filters
from search.errors import InvalidQuery
from search.facets import RANGES
from search.fields import CONFIDENCE
from search.limits import MAX_PARTS, MAX_WEIGHT
from search.types import Filter, Op, Sort, Term
from ui.addresses import at

NAMES = ("q", "filter", "not", "like", "unlike", "weight", "sort", "seed", "all", "cutoff", "cursor")
"""The API's own names, where it has them. ``like`` and ``unlike`` hold pictures, as `Like` writes them, with spaces
between; ``not`` texts with ``|`` between; ``weight`` is that of the words beside pictures.

Forms send ``year_from`` and ``year_to`` besides, which become part of the filter, so for each field of `RANGES`; and
``least``, in percent, the confidence from which on a tag counts.
"""
_LIKE = re.compile(r"([\w-]{1,64})(?:@([\d.,]{7,60}))?(?:\*([\d.]{1,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Like:
    """A picture that is searched by: ``ID``, ``TOKEN``, ``ID@x,y,width,height``, each with ``*2`` for its weight."""

    key: str
    """The id of an image, or the token of an uploaded picture."""
    box: str = ""
    """The part of it that counts, as `search.boxes` writes it."""
    weight: float = 1.0

    def __str__(self) -> str:
        box = f"@{self.box}" if self.box else ""
        return f"{self.key}{box}" + ("" if self.weight == 1 else f"*{self.weight:g}")


@dataclass(frozen=True, slots=True)
class SearchState:
    """What the page shows. ``text`` holds words only; terms typed among them are part of ``filter``."""

    text: str = ""
    filter: Filter = field(default_factory=Filter)
    not_texts: tuple[str, ...] = ()
    likes: tuple[Like, ...] = ()
    unlikes: tuple[Like, ...] = ()
    text_weight: float = 1.0
    sort: Sort = Sort.RELEVANCE
    seed: int | None = None
    """Of the random order."""
    conjunctive: tuple[str, ...] = ()
    """Facets whose values are turned on besides each other, not instead."""
    anyway: bool = False
    """Show the nearest pictures however far they are."""
    cursor: str | None = None

    @classmethod
    def of(cls, params: Mapping[str, str]) -> SearchState:
        """Return the state of a query string. Raises InvalidQuery for one that means nothing."""
        text, typed = filters.split(params.get("q", ""))
        filter = _with_ranges(filters.joined(filters.parse(params.get("filter", "")), typed), params)
        if "least" in params:
            filter = _with_least(filter, params["least"])
        cutoff = params.get("cutoff", "auto")
        if cutoff not in ("auto", "none"):
            raise InvalidQuery(f"cutoff must be auto or none here, got {cutoff!r}")
        return cls(
            text=text,
            filter=filter,
            not_texts=tuple(part.strip() for part in params.get("not", "").split("|") if part.strip()),
            likes=_likes("like", params),
            unlikes=_likes("unlike", params),
            text_weight=_weight(params.get("weight") or "1"),
            sort=_sort(params.get("sort", Sort.RELEVANCE)),
            seed=_seed(params.get("seed", "")),
            conjunctive=tuple(name for name in params.get("all", "").split(",") if name),
            anyway=cutoff == "none",
            cursor=params.get("cursor"),
        )

    def params(self) -> dict[str, str]:
        """Return the parameters of the address; what is as it would be anyway is left out."""
        params = {
            "q": self.text,
            "filter": str(self.filter),
            "not": "|".join(self.not_texts),
            "like": " ".join(map(str, self.likes)),
            "unlike": " ".join(map(str, self.unlikes)),
            "weight": "" if self.text_weight == 1 else f"{self.text_weight:g}",
            "sort": "" if self.sort is Sort.RELEVANCE else self.sort.value,
            "seed": "" if self.seed is None else str(self.seed),
            "all": ",".join(self.conjunctive),
            "cutoff": "none" if self.anyway else "",
            "cursor": self.cursor or "",
        }
        return {name: value for name, value in params.items() if value}

    def url(self, path: str = "/") -> str:
        """Return the address of this state."""
        given = self.params()
        return at(f"{path}?{urlencode(given)}" if given else path)

    def first(self, **changes: object) -> SearchState:
        """Return the state with some changes, from its first page on."""
        return replace(self, cursor=None, **changes)  # type: ignore[arg-type]

    def wants_all(self, field: str) -> bool:
        """Return whether values of a field are turned on besides each other."""
        return field in self.conjunctive or filters.wants_all(self.filter, field)

    def with_filter(self, filter: Filter) -> SearchState:
        """Return the state narrowed otherwise, from its first page on."""
        return self.first(filter=filter)

    @property
    def asks_something(self) -> bool:
        return bool(self.text or self.filter or self.not_texts or self.likes or self.unlikes)


def least_confidence(filter: Filter) -> int:
    """Return the confidence, in percent, from which on tags count by a filter; 0 where each kind has its usual one."""
    for term in filter.terms:
        if term.field == CONFIDENCE:
            return round(float(term.values[0]) * 100)
    return 0


def _with_least(filter: Filter, percent: str) -> Filter:
    if not re.fullmatch("[0-9]{1,3}", percent) or int(percent) > 100:
        raise InvalidQuery(f"least is a confidence of 0–100 %, got {percent!r}")
    rest = filters.without_field(filter, CONFIDENCE)
    if not int(percent):
        return rest
    return Filter((*rest.terms, Term(CONFIDENCE, Op.GE, (f"{int(percent) / 100:g}",))))


def _likes(name: str, params: Mapping[str, str]) -> tuple[Like, ...]:
    words = params.get(name, "").split()
    if len(words) > MAX_PARTS:
        raise InvalidQuery(f"at most {MAX_PARTS} pictures in one search, got {len(words)}")
    return tuple(_like(word) for word in words)


def _like(word: str) -> Like:
    match = _LIKE.fullmatch(word)
    if match is None:
        raise InvalidQuery(f"a picture to search by is an id, as ID@x,y,width,height*2 at most, got {word[:100]!r}")
    return Like(match[1], match[2] or "", _weight(match[3] or "1"))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not (isfinite(weight) and 0 < weight <= MAX_WEIGHT):
        raise InvalidQuery(f"a weight is a number above 0, at most {MAX_WEIGHT:g}, got {text!r}")
    return weight


def _with_ranges(filter: Filter, params: Mapping[str, str]) -> Filter:
    """Return the filter with the numbers that a form said from and to."""
    for name in RANGES:
        ends = f"{name}_from", f"{name}_to"
        if any(end in params for end in ends):
            first, last = (_number(name, params.get(end, "").strip()) for end in ends)
            if first and last and int(first) > int(last):
                first, last = last, first
            filter = filters.between(filter, name, first, last)
    return filter


def _number(field: str, text: str) -> str:
    if text and not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidQuery(f"{field} is from and to whole numbers of at most 9 digits, got {text!r}")
    return str(int(text)) if text else ""


def _seed(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,10}", text):
        raise InvalidQuery(f"seed must be a whole number, got {text!r}")
    return int(text)


def _sort(name: str) -> Sort:
    try:
        return Sort(name)
    except ValueError as error:
        raise InvalidQuery(f"sort must be one of {', '.join(Sort)}, got {name!r}") from error
