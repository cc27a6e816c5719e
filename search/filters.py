"""The filter language: `parse` an expression, `split` the text of a search box, `str(filter)` prints.

    object:dog|"traffic light"@0.8 -scene:beach people:>=2 taken:2024-05..2024-08 count(object:dog):2..4

Terms are joined by AND; ``|`` is OR between values; ``-`` negates a term; quotes hold spaces, with ``\\"`` and ``\\\\``
inside. What cannot be read is an InvalidQuery with the position and what was expected there; nothing is dropped.
`search.fields` has the fields and their values, `search.matching` what a filter means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from search.errors import InvalidQuery
from search.fields import CONFIDENCE, COUNT, FIELDS, TAG_FIELDS, BadValue, Field, confidence_of, nearest_fields, spans
from search.selection import (
    all_of,
    also,
    any_of,
    between,
    ends,
    selected_values,
    toggled,
    wants_all,
    with_value,
    without_comparisons,
    without_field,
    without_selection,
    without_term,
    without_value,
)
from search.types import Filter, Op, Term, quoted
from search.words import fold

__all__ = [
    "FIELDS",
    "all_of",
    "also",
    "any_of",
    "between",
    "ends",
    "joined",
    "parse",
    "quoted",
    "selected_values",
    "split",
    "toggled",
    "wants_all",
    "with_value",
    "without_comparisons",
    "without_field",
    "without_selection",
    "without_term",
    "without_value",
]

MAX_CHARACTERS = 4_000
MAX_TERMS = 64
MAX_VALUES = 64

_NAME = re.compile(r"\w+")
_BARE = re.compile(r'[^\s"|]+')
_BARE_LABEL = re.compile(r'[^\s"|@]+')
_BARE_COUNTED = re.compile(r'[^\s"|@)]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_COMPARISON = re.compile(r"[<>]=?")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\S+")
# A word of a search box that means to be a term: not a time (10:30), not a URL, not a colon at the end of a word.
_TERM_LIKE = re.compile(r"-?(?:count\(|[^\W\d]\w+:(?!//)(?=\S))", re.IGNORECASE)


def parse(expression: str) -> Filter:
    """Return the filter of an expression; an empty one matches everything. Raises InvalidQuery with a position."""
    reader = _Reader(expression)
    terms: list[Term] = []
    while reader.more():
        _append(terms, reader.term(), reader.start)
    return Filter(tuple(terms))


def split(text: str) -> tuple[str, Filter]:
    """Return the free text of a search box and the filter of the terms that stand between its words.

    Words such as ``10:30``, a URL or ``shirt:`` stay text, and so does everything between double quotes.
    Raises InvalidQuery, with the position in ``text``, for a bad term and for an unknown field (``shrit:blue``).
    """
    reader = _Reader(text)
    words: list[str] = []
    terms: list[Term] = []
    while reader.more():
        if reader.at_term():
            _append(terms, reader.term(), reader.start)
        else:
            words.append(reader.free_word())
    return " ".join(words), Filter(tuple(terms))


def joined(*filters: Filter) -> Filter:
    """Return the filter that holds where all do, each term once. Raises InvalidQuery if it would be out of bounds."""
    terms: list[Term] = []
    for term in dict.fromkeys(term for filter in filters for term in filter.terms):
        _append(terms, term, None)
    return Filter(tuple(terms))


def _append(terms: list[Term], term: Term, position: int | None) -> None:
    if term.field == CONFIDENCE and any(other.field == CONFIDENCE for other in terms):
        raise InvalidQuery("'confidence:' may stand once in a filter", position=position)
    if len(terms) == MAX_TERMS:
        raise InvalidQuery(f"a filter may have {MAX_TERMS} terms", position=position)
    terms.append(term)


class _Reader:
    """Reads an expression from left to right. ``at``: place of the next character; ``start``: of the last term."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = self.start = 0
        if len(text) > MAX_CHARACTERS:
            message = f"a filter may have {MAX_CHARACTERS:,} characters, got {len(text):,}"
            raise InvalidQuery(message, position=MAX_CHARACTERS)
        for position, character in enumerate(text):
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
                raise InvalidQuery(f"a filter must not hold the character {character!r}", position=position)

    def more(self) -> bool:
        """Skip white space and return whether anything follows."""
        self._take(_SPACE)
        return self.at < len(self.text)

    def at_term(self) -> bool:
        """Return whether what follows is a term, or means to be one."""
        known = re.match(r"-?(\w+):", self.text[self.at : self.at + 20])
        if known and known[1].casefold() in FIELDS:
            return True
        return _TERM_LIKE.match(self.text, self.at) is not None

    def free_word(self) -> str:
        """Return the next word of free text, or all that stands in double quotes, as it is written."""
        start = self.at
        if not (self._take(_QUOTED) and not self._rest()[:1].strip()):
            self.at = start
            self._take(_WORD)
        return self.text[start : self.at]

    def term(self) -> Term:
        self.start = self.at
        negated = self._skip("-")
        place = self.at
        name = self._take(_NAME).casefold()
        if name == "count" and self._skip("("):
            return self._counted(negated)
        field = self._field(name, place)
        if name == CONFIDENCE and negated:
            raise InvalidQuery("'confidence:' cannot be negated", position=self.start)
        place, least = self.at, None
        if name in TAG_FIELDS:
            op, values = self._labels(name)
            least = self._least()
        else:
            op, values = self._compared(f"{name}:", field)
        if name == CONFIDENCE and op not in (Op.GE, Op.GT):
            raise self._expected("'>=' and a confidence of 0–1", place)
        return self._whole(Term(name, op, values, negated=negated, min_confidence=least), place)

    def _counted(self, negated: bool) -> Term:
        """Return ``count(object:dog):>=2``, of which ``count(`` has been read."""
        place = self.at
        name = self._take(_NAME).casefold()
        field = self._field(name, place)
        if name not in TAG_FIELDS:
            raise self._expected(f"a field with labels ({', '.join(sorted(TAG_FIELDS))})", place)
        label = self._value(f"{name}:", _BARE_COUNTED, field.canonical)
        least = self._least(_BARE_COUNTED)
        for mark in "):":
            if not self._skip(mark):
                raise self._expected(f"{mark!r} as in count(object:dog):>=2", self.at)
        place = self.at
        op, values = self._compared("count(…):", COUNT)
        return self._whole(Term(name, op, values, negated=negated, min_confidence=least, counted=label), place)

    def _field(self, name: str, place: int) -> Field:
        """Return the field of a name, and read the colon after it."""
        if not name or not self._skip(":"):
            raise self._expected("a term such as object:dog", place)
        if name not in FIELDS:
            raise InvalidQuery(f"there is no field {name!r}; {nearest_fields(name)}", position=place)
        return FIELDS[name]

    def _labels(self, name: str) -> tuple[Op, tuple[str, ...]]:
        if _COMPARISON.match(self.text, self.at):
            message = f"'{name}:' takes labels; to count use count({name}:LABEL):>=2, for such a label use quotes"
            raise InvalidQuery(message, position=self.at)
        return Op.EQ, self._values(f"{name}:", _BARE_LABEL, FIELDS[name].canonical)

    def _compared(self, after: str, field: Field) -> tuple[Op, tuple[str, ...]]:
        """Return a comparison, a range or alternatives."""
        if field.compared is None:
            return Op.EQ, self._values(after, _BARE, field.canonical)
        start = self.at
        sign = self._take(_COMPARISON)
        if sign:
            return Op(sign), (self._value(f"{after}{sign}", _BARE, field.compared),)
        text = self._value(after, _BARE, str)
        if ".." in text:
            return Op.RANGE, _ends(text, field.compared, start)
        self.at = start
        return Op.EQ, self._values(after, _BARE, field.canonical)

    def _values(self, after: str, bare: re.Pattern[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
        """Return the values between bars, the first spelling of each."""
        values: dict[str, str] = {}
        while True:
            start = self.at
            value = self._value(after, bare, canonical)
            values.setdefault(fold(value), value)
            if len(values) > MAX_VALUES:
                raise InvalidQuery(f"a term may have {MAX_VALUES} values", position=start)
            if not self._skip("|"):
                return tuple(values.values())
            after = "|"

    def _value(self, after: str, bare: re.Pattern[str], canonical: Callable[[str], str]) -> str:
        """Return one value, bare or in quotes, in its canonical spelling."""
        start = self.at
        if self._rest().startswith('"'):
            text = self._quoted()
        else:
            text = self._take(bare)
            if not text:
                raise self._expected(f"a value after {after!r}", start)
        try:
            return canonical(text)
        except BadValue as error:
            raise InvalidQuery(str(error), position=start) from error

    def _quoted(self) -> str:
        match = _QUOTED.match(self.text, self.at)
        if not match:
            raise InvalidQuery("this quote is not closed: expected a '\"' after it", position=self.at)
        self.at = match.end()
        return _ESCAPE.sub(r"\1", match[1])

    def _least(self, bare: re.Pattern[str] = _BARE) -> float | None:
        """Return the confidence after ``@``, if there is one."""
        if not self._skip("@"):
            return None
        start = self.at
        try:
            return confidence_of(self._take(bare))
        except BadValue as error:
            message = f"{error} after '@' (a label with '@' in it needs quotes)"
            raise InvalidQuery(message, position=start) from error

    def _whole(self, term: Term, place: int) -> Term:
        """Return the term if it ends here and its range, whose values stand at ``place``, holds anything."""
        if self._rest()[:1].strip():
            raise self._expected("a space, '|' or the end of the filter", self.at)
        if term.op is Op.RANGE and any(first > last for first, last in spans(term)):
            raise InvalidQuery(f"the range {'..'.join(term.values)!r} runs backwards", position=place)
        return term

    def _expected(self, what: str, position: int) -> InvalidQuery:
        found = _WORD.match(self.text, position)
        return InvalidQuery(f"expected {what}" + (f", got {found[0][:40]!r}" if found else ""), position=position)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match[0] if match else ""

    def _skip(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) * found
        return found

    def _rest(self) -> str:
        return self.text[self.at :]


def _ends(text: str, canonical: Callable[[str], str], place: int) -> tuple[str, ...]:
    """Return both ends of a range such as ``2..4``."""
    try:
        return tuple(canonical(end) for end in text.split("..", 1))
    except BadValue as error:
        raise InvalidQuery(f"in the range {text!r}: {error}", position=place) from error
