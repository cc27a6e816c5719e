"""What a person may mean who types into the search box: labels, values and filter fields. Pure but for counts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from search import filters
from search.errors import InvalidQuery
from search.facets import FACETS, starts_a_word
from search.types import Filter, Op, Term
from ui.addresses import at
from ui.backend import PageBackend
from ui.facet_views import value_title
from ui.language import Words
from ui.state import SearchState

MOST_LABELS = 6
MOST_VALUES = 8
MOST_FIELDS = 4
MOST_SAVED = 3
MOST_SAVED = 3
LONGEST_LABEL = 3
"""Words of what is typed that may begin a label."""
_VALUE = re.compile(r"(-?)(\w+):([^|]*)$")


@dataclass(frozen=True, slots=True)
class SuggestionView:
    """Either an address to go to, or a text to go on from."""

    kind: str
    title: str
    count: str = ""
    url: str = ""
    text: str = ""


def suggestions(backend: PageBackend, words: Words, params: Mapping[str, str]) -> Iterator[SuggestionView]:
    """Yield what could come next for the text ``q`` in the box, beside the rest of the page's state."""
    typed = params.get("q", "")[:1_000]
    rest = {name: value for name, value in params.items() if name != "q"}
    tokens = typed.split()
    yield from _saved(backend, words, typed.strip())
    if not tokens or typed.endswith(" "):
        return
    value = _VALUE.fullmatch(tokens[-1])
    if value and value[2].casefold() in FACETS:
        facet = FACETS[value[2].casefold()]
        (found,) = backend.facets((facet.name,), Filter(), size=MOST_VALUES, prefix=value[3].strip('"'))
        for one in found.values:
            term = Term(facet.field, Op.EQ, (one.value,), negated=bool(value[1]))
            url = _narrowed(rest, " ".join(tokens[:-1]), term)
            if url:
                title = value_title(words, facet.name, one.value)
                yield SuggestionView(words(f"facet.{facet.name}"), title, words.number(one.count), url)
        return
    yield from _labels(backend, words, rest, tokens)
    sign, name = ("-", tokens[-1][1:]) if tokens[-1].startswith("-") else ("", tokens[-1])
    names = [field for field in filters.FIELDS if name and field.startswith(name.casefold())]
    for field in names[:MOST_FIELDS]:
        text = " ".join([*tokens[:-1], f"{sign}{field}:"])
        yield SuggestionView(words("suggest.field"), f"{sign}{field}:", text=text)


def _saved(backend: PageBackend, words: Words, typed: str) -> Iterator[SuggestionView]:
    """Yield saved searches with a word that starts as was typed; the first ones where nothing was."""
    fitting = (search for search in backend.saved() if starts_a_word(typed, search.name))
    for search in itertools.islice(fitting, MOST_SAVED):
        yield SuggestionView(words("suggest.saved"), search.name, url=at(f"/?{search.query}"))


def _labels(backend: PageBackend, words: Words, rest: Mapping[str, str], tokens: list[str]) -> Iterator[SuggestionView]:
    """Yield labels that the last words begin, of as many words as begin one."""
    for count in range(min(LONGEST_LABEL, len(tokens)), 0, -1):
        last = " ".join(tokens[-count:])
        negated = last.startswith("-")
        found = backend.labels(last.lstrip("-"), k=MOST_LABELS) if last.strip("-") else ()
        for kind, label, images in found:
            url = _narrowed(rest, " ".join(tokens[:-count]), Term(kind, Op.EQ, (label,), negated=negated))
            if url:
                yield SuggestionView(
                    words(f"kind.{kind}"), f"−{label}" if negated else label, words.number(images), url
                )
        if found:
            return


def _narrowed(rest: Mapping[str, str], text: str, term: Term) -> str:
    """Return the address where a term has taken the place of what was typed for it; empty where the rest is wrong."""
    try:
        state = SearchState.of({**rest, "q": text})
        return state.first(filter=filters.joined(state.filter, Filter((term,)))).url()
    except InvalidQuery:
        return ""
