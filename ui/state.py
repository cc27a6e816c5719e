"""The search page's state, which is its query string and nothing else: links, bookmarks and back work by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from search import filters
from search.errors import InvalidQuery
from search.types import Filter, Sort

NAMES = ("q", "filter", "not", "sort", "cutoff", "like", "cursor")
"""The API's own names, and ``like``: the id of an image, or the token of an uploaded picture."""


@dataclass(frozen=True, slots=True)
class SearchState:
    """What the page shows. ``text`` holds words only; terms typed among them are part of ``filter``."""

    text: str = ""
    filter: Filter = field(default_factory=Filter)
    not_text: str = ""
    sort: Sort = Sort.RELEVANCE
    anyway: bool = False
    """Show the nearest pictures however far they are."""
    like: str = ""
    cursor: str | None = None

    @classmethod
    def of(cls, params: Mapping[str, str]) -> SearchState:
        """Return the state of a query string. Raises InvalidQuery for one that means nothing."""
        text, typed = filters.split(params.get("q", ""))
        cutoff = params.get("cutoff", "auto")
        if cutoff not in ("auto", "none"):
            raise InvalidQuery(f"cutoff must be auto or none here, got {cutoff!r}")
        return cls(
            text=text,
            filter=filters.joined(filters.parse(params.get("filter", "")), typed),
            not_text=params.get("not", "").strip(),
            sort=_sort(params.get("sort", Sort.RELEVANCE)),
            anyway=cutoff == "none",
            like=params.get("like", ""),
            cursor=params.get("cursor"),
        )

    def url(self) -> str:
        """Return the address of this state; what is as it would be anyway is left out."""
        params = {
            "q": self.text,
            "filter": str(self.filter),
            "not": self.not_text,
            "sort": "" if self.sort is Sort.RELEVANCE else self.sort.value,
            "cutoff": "none" if self.anyway else "",
            "like": self.like,
            "cursor": self.cursor or "",
        }
        given = {name: value for name, value in params.items() if value}
        return f"/?{urlencode(given)}" if given else "/"

    def with_filter(self, filter: Filter) -> SearchState:
        """Return the state narrowed otherwise, from its first page on."""
        return replace(self, filter=filter, cursor=None)

    @property
    def asks_something(self) -> bool:
        return bool(self.text or self.filter or self.not_text or self.like)


def _sort(name: str) -> Sort:
    try:
        return Sort(name)
    except ValueError as error:
        raise InvalidQuery(f"sort must be one of {', '.join(Sort)}, got {name!r}") from error
