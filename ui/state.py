"""The search page's state, which is its query string and nothing else: links, bookmarks and back work by themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from search import filters
from search.errors import InvalidQuery
from search.facets import RANGES
from search.types import Filter, Sort

NAMES = ("q", "filter", "not", "sort", "seed", "all", "cutoff", "like", "box", "cursor")
"""The API's own names, and ``like``: the id of an image, or the token of an uploaded picture.

Forms send ``year_from`` and ``year_to`` besides, which become part of the filter; so for each field of `RANGES`.
"""


@dataclass(frozen=True, slots=True)
class SearchState:
    """What the page shows. ``text`` holds words only; terms typed among them are part of ``filter``."""

    text: str = ""
    filter: Filter = field(default_factory=Filter)
    not_text: str = ""
    sort: Sort = Sort.RELEVANCE
    seed: int | None = None
    """Of the random order."""
    conjunctive: tuple[str, ...] = ()
    """Facets whose values are turned on besides each other, not instead."""
    anyway: bool = False
    """Show the nearest pictures however far they are."""
    like: str = ""
    box: str = ""
    """The part of the image ``like`` that is looked for, as `search.boxes` writes it."""
    cursor: str | None = None

    @classmethod
    def of(cls, params: Mapping[str, str]) -> SearchState:
        """Return the state of a query string. Raises InvalidQuery for one that means nothing."""
        text, typed = filters.split(params.get("q", ""))
        filter = _with_ranges(filters.joined(filters.parse(params.get("filter", "")), typed), params)
        cutoff = params.get("cutoff", "auto")
        if cutoff not in ("auto", "none"):
            raise InvalidQuery(f"cutoff must be auto or none here, got {cutoff!r}")
        return cls(
            text=text,
            filter=filter,
            not_text=params.get("not", "").strip(),
            sort=_sort(params.get("sort", Sort.RELEVANCE)),
            seed=_seed(params.get("seed", "")),
            conjunctive=tuple(name for name in params.get("all", "").split(",") if name),
            anyway=cutoff == "none",
            like=params.get("like", ""),
            box=params.get("box", ""),
            cursor=params.get("cursor"),
        )

    def params(self) -> dict[str, str]:
        """Return the parameters of the address; what is as it would be anyway is left out."""
        params = {
            "q": self.text,
            "filter": str(self.filter),
            "not": self.not_text,
            "sort": "" if self.sort is Sort.RELEVANCE else self.sort.value,
            "seed": "" if self.seed is None else str(self.seed),
            "all": ",".join(self.conjunctive),
            "cutoff": "none" if self.anyway else "",
            "like": self.like,
            "box": self.box,
            "cursor": self.cursor or "",
        }
        return {name: value for name, value in params.items() if value}

    def url(self) -> str:
        """Return the address of this state."""
        given = self.params()
        return f"/?{urlencode(given)}" if given else "/"

    def wants_all(self, field: str) -> bool:
        """Return whether values of a field are turned on besides each other."""
        return field in self.conjunctive or filters.wants_all(self.filter, field)

    def with_filter(self, filter: Filter) -> SearchState:
        """Return the state narrowed otherwise, from its first page on."""
        return replace(self, filter=filter, cursor=None)

    @property
    def asks_something(self) -> bool:
        return bool(self.text or self.filter or self.not_text or self.like)


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
