"""Searches that people keep under a name. Pure; the catalogue holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from search.errors import InvalidQuery
from search.words import fold

MOST = 500
LONGEST_NAME = 100
LONGEST_QUERY = 8_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """``query``: the parameters of the search page, as they stand in its address."""

    name: str
    query: str


def with_search(known: Sequence[SavedSearch], search: SavedSearch) -> tuple[SavedSearch, ...]:
    """Return the searches with one more, by name; it takes the place of one of the same name, whatever its case.

    Raises InvalidQuery for a name or a search that cannot be kept.
    """
    if not search.name.strip() or len(search.name) > LONGEST_NAME or not search.name.isprintable():
        raise InvalidQuery(f"a search is saved under a name of 1–{LONGEST_NAME} printable characters")
    if len(search.query) > LONGEST_QUERY:
        raise InvalidQuery(f"a search of more than {LONGEST_QUERY:,} characters cannot be saved")
    rest = without_search(known, search.name)
    if len(rest) == MOST:
        raise InvalidQuery(f"at most {MOST} searches can be saved: forget one first")
    return tuple(sorted((*rest, search), key=lambda one: fold(one.name)))


def without_search(known: Sequence[SavedSearch], name: str) -> tuple[SavedSearch, ...]:
    return tuple(one for one in known if fold(one.name) != fold(name))


def to_json(searches: Sequence[SavedSearch]) -> list[dict[str, str]]:
    return [asdict(search) for search in searches]


def of_json(documents: Sequence[Any]) -> tuple[SavedSearch, ...]:
    return tuple(SavedSearch(document["name"], document["query"]) for document in documents)
