"""The fields of the filter language: which there are, what their values look like, what is wrong with a value."""

from __future__ import annotations

import difflib
import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from search.facets import PEOPLE_BUCKETS, UNBOUNDED
from search.types import Op, TagKind, Term
from search.words import fold, words

CONFIDENCE = "confidence"
TAG_FIELDS = frozenset(kind.value for kind in TagKind if kind is not TagKind.TEXT)
"""Fields whose values are labels of tags of the kind of the same name."""

ORIENTATIONS = ("landscape", "portrait", "square")
FEATURES = ("caption", "text", "faces", "location")

_EPOCH = datetime(1970, 1, 1)
_DAY_US = 86_400_000_000
_NUMBER = re.compile(r"[0-9]{1,9}")
_CONFIDENCE = re.compile(r"[0-9]*\.?[0-9]+(?:e-?[0-9]{1,3})?")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?")


class BadValue(ValueError):
    """A value that the field does not take; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Field:
    """How the values of a field are written. ``canonical`` returns the one spelling of a value or raises BadValue."""

    expects: str
    canonical: Callable[[str], str]
    compared: Callable[[str], str] | None = None
    """The same for the ends of ``>=2``, ``<2`` and ``2..4``; None where the field takes no comparison."""


def confidence_of(text: str) -> float:
    """Return a confidence. Raises BadValue unless it is a number of 0–1."""
    if not _CONFIDENCE.fullmatch(text) or not 0 <= float(text) <= 1:
        raise BadValue(f"expected a confidence of 0–1, got {text!r}")
    return float(text)


def _label(text: str) -> str:
    if not fold(text):
        raise BadValue("expected a value that is not empty")
    return text


def _phrase(text: str) -> str:
    if not words(text):
        raise BadValue(f"expected at least one word to look for, got {text!r}")
    return text


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise BadValue(f"expected a whole number of at most 9 digits, got {text!r}")
    return str(int(text))


def _people(text: str) -> str:
    if text in PEOPLE_BUCKETS:
        return text
    if not _NUMBER.fullmatch(text):
        raise BadValue(f"expected a number of people or one of {', '.join(PEOPLE_BUCKETS)}, got {text!r}")
    return str(int(text))


def _date(text: str) -> str:
    date_span(text)
    return text


def _confidence(text: str) -> str:
    return repr(confidence_of(text))


def _one_of(*choices: str) -> Callable[[str], str]:
    def canonical(text: str) -> str:
        if fold(text) not in choices:
            raise BadValue(f"expected one of {', '.join(choices)}, got {text!r}")
        return fold(text)

    return canonical


FIELDS: Mapping[str, Field] = {
    **{kind.value: Field("a label", _label) for kind in TagKind if kind is not TagKind.TEXT},
    "text": Field("words", _phrase),
    "people": Field("a number of people", _people, _number),
    "orientation": Field("an orientation", _one_of(*ORIENTATIONS)),
    "year": Field("a year", _number, _number),
    "taken": Field("a date as 2024, 2024-05 or 2024-05-17", _date, _date),
    "width": Field("pixels", _number, _number),
    "height": Field("pixels", _number, _number),
    "path": Field("a path, with * for any characters", _label),
    "source": Field("the name of a model, or person", _label),
    "has": Field("one of caption, text, faces, location", _one_of(*FEATURES)),
    CONFIDENCE: Field("a confidence of 0–1", _confidence, _confidence),
}
"""Every field of the language, by name."""

COUNT = Field("a number", _number, _number)
"""The values of ``count(object:dog):``."""


def nearest_fields(name: str) -> str:
    """Return what to try instead of an unknown field, as the end of a sentence."""
    near = difflib.get_close_matches(name.casefold(), FIELDS, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(f'{field}:' for field in near)}?"
    return f"there are {', '.join(FIELDS)} and count(object:…)"


def microseconds(moment: datetime) -> int:
    """Return a time by the camera's clock as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def date_span(text: str) -> tuple[int, int]:
    """Return the first and last microsecond of a year, month or day. Raises BadValue for what is no date."""
    match = _DATE.fullmatch(text)
    if not match:
        raise BadValue(f"expected a date as 2024, 2024-05 or 2024-05-17, got {text!r}")
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        first = datetime(year or 0, month or 1, day or 1)
        last = datetime(first.year, month or 12, day or monthrange(first.year, month or 12)[1])
    except ValueError as error:
        raise BadValue(f"there is no date {text}: {error}") from error
    return microseconds(first), microseconds(last) + _DAY_US - 1


def spans(term: Term) -> list[tuple[int, int]]:
    """Return the numbers that satisfy a term of numbers or dates, as (first, last); empty ones have last < first.

    Dates are in microseconds since 1970.
    """
    ends = [date_span(value) if term.field == "taken" else _number_span(value) for value in term.values]
    (first, last), final = ends[0], ends[-1]
    match term.op:
        case Op.EQ:
            return ends
        case Op.RANGE:
            return [(first, final[1])]
        case Op.GE:
            return [(first, UNBOUNDED)]
        case Op.GT:
            return [(last + 1, UNBOUNDED)]
        case Op.LE:
            return [(-UNBOUNDED, last)]
        case Op.LT:
            return [(-UNBOUNDED, first - 1)]


def _number_span(value: str) -> tuple[int, int]:
    return PEOPLE_BUCKETS.get(value) or (int(value), int(value))
