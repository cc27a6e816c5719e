"""What a filter means: `matches` decides it for one record. The stores are tested against this definition.

- A tag counts for a term when its confidence reaches, in this order: the term's own ``@0.8``, the filter's
  ``confidence:>=0.8``, the default of its kind. This holds for labels, people, counts, sources and OCR text alike.
- Confidences compare as 32-bit floats, as models and stores keep them: 0.7 reaches ``>=0.7`` whoever computed it.
- ``people`` counts ``object:person``; ``has:faces`` means at least one of them.
- An image without a date satisfies no term on dates, and every negated one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import lru_cache

import numpy as np

from search.errors import InvalidQuery
from search.fields import CONFIDENCE, TAG_FIELDS, microseconds, spans
from search.types import DEFAULT_CONFIDENCE, PERSON, Filter, ImageRecord, Op, Tag, TagKind, Term
from search.words import caseless, contains_phrase, fold


def single(value: float) -> float:
    """Return a confidence rounded to 32 bits, as all confidences are compared."""
    return float(np.float32(value))


_DEFAULTS = {kind: single(least) for kind, least in DEFAULT_CONFIDENCE.items()}


def filter_confidence(filter: Filter) -> float | None:
    """Return the least confidence that a ``confidence:`` term sets for all others, or None."""
    for term in filter.terms:
        if term.field == CONFIDENCE:
            least = np.float32(term.values[0])
            return float(np.nextafter(least, np.float32(np.inf)) if term.op is Op.GT else least)
    return None


def least_confidence(kind: TagKind, overall: float | None, term: Term | None = None) -> float:
    """Return the confidence from which tags of a kind count; ``overall`` is `filter_confidence`."""
    if term is not None and term.min_confidence is not None:
        return single(term.min_confidence)
    return _DEFAULTS[kind] if overall is None else overall


def tag_kind(term: Term) -> TagKind:
    """Return the kind of tag that a term is about. Raises InvalidQuery if it is about something else."""
    if term.field not in TAG_FIELDS:
        raise InvalidQuery(f"there is no field {term.field!r} with labels")
    return TagKind(term.field)


def folded(term: Term) -> set[str]:
    """Return the values of a term as labels are compared."""
    return {fold(value) for value in term.values}


@lru_cache(maxsize=512)
def path_pattern(glob: str) -> re.Pattern[str]:
    """Return the pattern of a glob: ``*`` is any characters, slashes too, ``?`` is one, brackets are brackets."""
    return re.compile(translate(caseless(glob).replace("[", "[[]")))


def matches(filter: Filter, record: ImageRecord) -> bool:
    """Return whether a record satisfies every term. Raises InvalidQuery for a field that does not exist."""
    overall = filter_confidence(filter)
    return all(_holds(term, record, overall) is not term.negated for term in filter.terms if term.field != CONFIDENCE)


def _holds(term: Term, record: ImageRecord, overall: float | None) -> bool:  # noqa: PLR0911 - one line for each field
    if term.counted is not None:
        return _within(term, _instances(record, tag_kind(term), term.counted, overall, term))
    match term.field:
        case "people":
            return _within(term, people(record, overall))
        case "year":
            return _within(term, record.year)
        case "taken":
            return _within(term, microseconds(record.taken_at) if record.taken_at else None)
        case "width":
            return _within(term, record.width)
        case "height":
            return _within(term, record.height)
        case "orientation":
            return record.orientation in folded(term)
        case "path":
            return any(path_pattern(glob).match(caseless(path)) for glob in term.values for path in record.files)
        case "text":
            texts = (record.caption or "", record.alt_text or "", ocr_text(record, overall))
            return any(contains_phrase(text, phrase) for phrase in term.values for text in texts)
        case "source":
            return not folded(term).isdisjoint(sources(record, overall))
        case "has":
            return not folded(term).isdisjoint(_features(record, overall))
    kind, wanted = tag_kind(term), folded(term)
    return any(tag.kind is kind and fold(tag.label) in wanted for tag in _counting(record, overall, term))


def _within(term: Term, number: int | None) -> bool:
    return number is not None and any(first <= number <= last for first, last in spans(term))


def _counting(record: ImageRecord, overall: float | None, term: Term | None = None) -> Iterator[Tag]:
    return (tag for tag in record.tags if single(tag.confidence) >= least_confidence(tag.kind, overall, term))


def _instances(record: ImageRecord, kind: TagKind, label: str, overall: float | None, term: Term | None = None) -> int:
    counting = _counting(record, overall, term)
    return sum(tag.kind is kind and fold(tag.label) == fold(label) for tag in counting)


def people(record: ImageRecord, overall: float | None = None) -> int:
    """Return how many persons are seen in an image, at a least confidence or the default one."""
    return _instances(record, TagKind.OBJECT, PERSON, overall)


def ocr_text(record: ImageRecord, overall: float | None = None) -> str:
    """Return what can be read in the picture, in the order of its tags, so that a phrase may run over two lines."""
    return " ".join(tag.label for tag in _counting(record, overall) if tag.kind is TagKind.TEXT)


def sources(record: ImageRecord, overall: float | None) -> Iterator[str]:
    """Yield who said something of the image: of its tags, and of its caption and alt text, which always count."""
    yield from (fold(tag.source) for tag in _counting(record, overall))
    if record.caption and record.caption_source:
        yield fold(record.caption_source)
    if record.alt_text:
        yield PERSON


def _features(record: ImageRecord, overall: float | None) -> Iterator[str]:
    if record.caption:
        yield "caption"
    if any(tag.kind is TagKind.TEXT for tag in _counting(record, overall)):
        yield "text"
    if people(record, overall):
        yield "faces"
    if record.location:
        yield "location"
