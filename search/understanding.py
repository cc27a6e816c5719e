"""What the words of a search box could be narrowed by: pure functions from a text to filter terms and their words.

Nothing is applied by itself: who typed "two dogs on a beach 2024" is offered ``count(object:dog):2``, ``scene:beach``
and ``year:2024``, each with how many images it leaves. Only what is certain is read: a label as the library spells it,
in the singular or plural; a number before a thing that is counted; dates that do not depend on where or when one asks.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from search.fields import ORIENTATIONS, BadValue, date_span
from search.literals import QUOTED
from search.nouns import singulars
from search.types import PERSON, Op, TagKind, Term
from search.words import STOP_WORDS, fold

MOST_SUGGESTIONS = 6
MOST_WORDS = 40
"""Of a text that are read."""
LONGEST_LABEL = 4
"""Words."""
MOST_ALTERNATIVES = 12
"""Labels that one word may stand for ("vehicle"); a word for more of them narrows nothing."""
KINDS_FOR_ONE_WORD = 2

KINDS = (
    TagKind.OBJECT,
    TagKind.USER,
    TagKind.SCENE,
    TagKind.ATTRIBUTE,
    TagKind.STYLE,
    TagKind.COMPOUND,
    TagKind.CLASS,
    TagKind.SEGMENT,
    TagKind.COLOR,
)
"""The kinds of labels that are offered, the most useful first; colours say least, for most pictures have several."""

_TO_TEN = "one two three four five six seven eight nine ten".split()  # noqa: SIM905
_NUMBERS = {name: number for number, name in enumerate(_TO_TEN, 1)}
_WITHOUT = frozenset({"no", "without"})
_ALSO_SPELT = {"gray": "grey", "grey": "gray"}
_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_MONTH = {name[:length]: number for number, name in enumerate(_MONTHS, 1) for length in (3, 4, len(name))}

_TOKEN = re.compile(r"[^\s\"“”,.;:!?()\[\]{}/|]+")
_BEFORE = r"(?<![\w.,$€£-])"
_YEAR = rf"{_BEFORE}((?:19|20)[0-9]{{2}})"
_END = r"(?![\w%-]|[.,][0-9])"
_NAME = rf"({'|'.join(sorted(_MONTH, key=len, reverse=True))})\.?"
_DAY = r"([0-9]{1,2})(?:st|nd|rd|th)?"


@dataclass(frozen=True, slots=True)
class Idea:
    """A term that words could stand for. ``start`` and ``end``: where the words stand in the text."""

    term: Term
    start: int
    end: int
    rank: int
    """Lower is more useful."""


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    start: int
    end: int


Labels = Mapping[str, Mapping[TagKind, str]]
"""Which kinds of label a folded phrase is in the library, and how each is spelt there."""
Related = Callable[[str], Mapping[TagKind, Sequence[str]] | None]
"""Labels, by kind, that a phrase which is none itself may mean; None for words that are no phrase."""


def label_forms(text: str) -> set[str]:
    """Return every folded phrase that, if it is a label, `ideas` would offer."""
    return {form for run in _runs(_tokens(text)) for form in _forms(_phrase(run))}


def ideas(text: str, labels: Labels, related: Related) -> list[Idea]:
    """Return what could be offered for a text, the most useful first; ``labels`` need only answer `label_forms`."""
    tokens = _tokens(text)
    dates = list(_dates(text))
    dated = [(idea.start, idea.end) for idea in dates]
    rest = [token for token in tokens if not any(start < token.end and token.start < end for start, end in dated)]
    found = [*dates, *_named(text, rest, labels, related)]
    return sorted(found, key=lambda idea: (idea.rank, idea.start))


def compatible(found: Iterable[Idea], *, most: int = MOST_SUGGESTIONS) -> list[Idea]:
    """Return the first ideas that can all be taken at once: no two speak of the same label, date or orientation."""
    chosen: list[Idea] = []
    spoken_of: set[tuple[str, str]] = set()
    for idea in found:
        about = _about(idea.term)
        if spoken_of.isdisjoint(about) and len(chosen) < most:
            chosen.append(idea)
            spoken_of |= about
    return chosen


def without(text: str, idea: Idea) -> str:
    """Return the text without the words of an idea and the small words before them; empty if no other is left."""
    before = text[: idea.start].rstrip()
    while (last := re.search(r"(?<!\S)[^\s\"“”]+$", before)) and fold(last[0]) in STOP_WORDS:
        before = before[: last.start()].rstrip()
    left = f"{before} {text[idea.end :].lstrip()}".strip(" \t\n\r,;")
    return "" if all(fold(word.strip(",.;:!?")) in STOP_WORDS | {""} for word in left.split()) else left


def _about(term: Term) -> set[tuple[str, str]]:
    """Return what a term speaks of; two terms that speak of the same might contradict each other."""
    if term.field in ("year", "taken"):
        return {("date", "")}
    if term.field == "people":
        return {(TagKind.OBJECT.value, PERSON)}
    if term.field == "orientation":
        return {("orientation", "")}
    values = term.values if term.counted is None else (term.counted,)
    return {(term.field, fold(value)) for value in values}


def _tokens(text: str) -> list[_Token]:
    """Return the words of a text outside of quotes."""
    quoted = [match.span() for match in QUOTED.finditer(text)]
    found = (_Token(fold(match[0]), *match.span()) for match in _TOKEN.finditer(text))
    free = (one for one in found if not any(start < one.end and one.start < end for start, end in quoted))
    return [token for token in free if token.word][:MOST_WORDS]


def _runs(tokens: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    for at in range(len(tokens)):
        yield from (tokens[at : at + length] for length in range(1, min(LONGEST_LABEL, len(tokens) - at) + 1))


def _phrase(run: Sequence[_Token]) -> str:
    return " ".join(token.word for token in run)


def _forms(phrase: str) -> list[str]:
    """Return how a label that a phrase names may be written."""
    forms = [*singulars(phrase), f"{phrase}s"]
    return [*forms, *(_ALSO_SPELT[form] for form in forms if form in _ALSO_SPELT)]


def _named(text: str, tokens: Sequence[_Token], labels: Labels, related: Related) -> Iterator[Idea]:
    """Yield ideas for labels and orientations, the longest phrase first at each place, from left to right."""
    at = 0
    while at < len(tokens):
        for length in range(min(LONGEST_LABEL, len(tokens) - at), 0, -1):
            run = tokens[at : at + length]
            phrase = _phrase(run)
            meant = None if phrase in STOP_WORDS or not _adjacent(text, run) else _meant(phrase, labels, related)
            if meant is not None:
                before = tokens[at - 1] if at and _adjacent(text, tokens[at - 1 : at + 1]) else None
                yield from _ideas_for(meant, run, before)
                at += length - 1
                break
        at += 1


def _adjacent(text: str, run: Sequence[_Token]) -> bool:
    return all(not text[one.end : other.start].strip() for one, other in itertools.pairwise(run))


def _meant(phrase: str, labels: Labels, related: Related) -> dict[TagKind | str, tuple[tuple[str, ...], int]] | None:
    """Return for each field what values a phrase names in it, and a penalty for those it only may mean.

    None for words that do not belong together.
    """
    found: dict[TagKind | str, tuple[tuple[str, ...], int]] = {}
    for form in _forms(phrase):
        for kind, label in labels.get(form, {}).items():
            found.setdefault(kind, ((label,), 0))
    if phrase in ORIENTATIONS:
        found["orientation"] = (phrase,), 0
    if found:
        return found
    others = related(phrase)
    if others is None:
        return None
    return {kind: (tuple(names), len(KINDS) + 1) for kind, names in others.items() if len(names) <= MOST_ALTERNATIVES}


def _ideas_for(
    meant: Mapping[TagKind | str, tuple[tuple[str, ...], int]], run: Sequence[_Token], before: _Token | None
) -> Iterator[Idea]:
    kinds = [kind for kind in KINDS if kind in meant][:KINDS_FOR_ONE_WORD]
    for kind in kinds:
        values, penalty = meant[kind]
        plain = Term(kind.value, Op.EQ, values)
        term = _combined(plain, before.word) if before else plain
        rank = KINDS.index(kind) + penalty
        if before is not None and term != plain:
            yield Idea(term, before.start, run[-1].end, rank - 1)  # what says more comes first
        else:
            yield Idea(term, run[0].start, run[-1].end, rank)
    if "orientation" in meant:
        yield Idea(Term("orientation", Op.EQ, meant["orientation"][0]), run[0].start, run[-1].end, len(KINDS))


def _combined(plain: Term, before: str) -> Term:
    """Return a term together with the word before it: "two dogs", "without dogs".

    "Two dogs" is two, as it was said, and neither one nor the five that ``>=2`` would let in.
    """
    if before in _WITHOUT:
        return Term(plain.field, Op.EQ, plain.values, negated=True)
    number = _number(before)
    if number is None or plain.field != TagKind.OBJECT or len(plain.values) != 1:
        return plain
    if fold(plain.values[0]) == PERSON:
        return Term("people", Op.EQ, (str(number),))
    return Term(plain.field, Op.EQ, (str(number),), counted=plain.values[0])


def _number(word: str) -> int | None:
    return int(word) if re.fullmatch(r"[1-9][0-9]?", word) else _NUMBERS.get(word)


def _dates(text: str) -> Iterator[Idea]:
    """Yield the dates in a text, the most exact first; of two that overlap only the first."""
    taken: list[tuple[int, int]] = [match.span() for match in QUOTED.finditer(text)]
    for pattern, term_of in _DATE_PATTERNS:
        for match in pattern.finditer(text):
            term = term_of(*(group.casefold() for group in match.groups()))
            if term is not None and not any(start < match.end() and match.start() < end for start, end in taken):
                taken.append(match.span())
                yield Idea(term, *match.span(), KINDS.index(TagKind.SCENE))


def _taken(year: str, month: int | str, day: str | None = None) -> Term | None:
    number = month if isinstance(month, int) else int(month)
    value = f"{year}-{number:02d}" + (f"-{int(day):02d}" if day else "")
    try:
        date_span(value)
    except BadValue:
        return None
    return Term("taken", Op.EQ, (value,))


def _years(first: str, last: str) -> Term | None:
    return Term("year", Op.RANGE, (first, last)) if first <= last else None


def _flags(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


_DATE_PATTERNS: tuple[tuple[re.Pattern[str], Callable[..., Term | None]], ...] = (
    (_flags(rf"{_YEAR}-([0-9]{{2}})-([0-9]{{2}}){_END}"), _taken),
    (_flags(rf"(?<!\w){_DAY}\s+(?:of\s+)?{_NAME},?\s+{_YEAR}{_END}"), lambda d, m, y: _taken(y, _MONTH[m], d)),
    (_flags(rf"(?<!\w){_NAME}\s+{_DAY},?\s+{_YEAR}{_END}"), lambda m, d, y: _taken(y, _MONTH[m], d)),
    (_flags(rf"(?<!\w){_NAME},?\s+(?:of\s+)?{_YEAR}{_END}"), lambda m, y: _taken(y, _MONTH[m])),
    (_flags(rf"{_YEAR}-([0-9]{{2}}){_END}"), _taken),
    (_flags(rf"{_YEAR}\s*(?:-|–|\bto\b)\s*((?:19|20)[0-9]{{2}}){_END}"), _years),
    (_flags(rf"{_BEFORE}((?:19|20)[0-9])0s\b"), lambda d: Term("year", Op.RANGE, (f"{d}0", f"{d}9"))),
    (_flags(rf"{_YEAR}{_END}"), lambda year: Term("year", Op.EQ, (year,))),
)
