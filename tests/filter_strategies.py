"""Hypothesis strategies: every filter that `parse` can return, and libraries small enough for it to match something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from helpers import INDEXED_AT, image_id
from hypothesis import strategies as st

from search.facets import PEOPLE_BUCKETS
from search.fields import FEATURES, ORIENTATIONS, TAG_FIELDS, date_span
from search.types import Filter, ImageRecord, Location, Op, Tag, TagKind, Term
from search.words import fold, words

LABELS = ("dog", "person", "traffic light", "Dog", "ÉTÉ", "10%", 'a "b" \\ @ (c)|d')
PHRASES = ("happy", "birthday", "happy birthday", "Cafe", "birthday happy", "🎂 cake", "生日", "𞤀")
TEXTS = ("Happy birthday!", "happy", "to BIRTHDAY happy", "café 🎂 CAKE", "祝你生日快乐", "unhappy birthdays", "𞤀 a")
PATHS = ("holiday/a.jpg", "Holiday/B [1].JPG", "x/holiday/a.jpg", "été.png", "dog_2024.jpg")
GLOBS = ("holiday/*", "*/a.jpg", "*", "*[1]*", "?t?.png", "holiday/a.jpg", "ÉTÉ.PNG")
SOURCES = ("a-model", "Other Model", "person")
DATES = ("2023", "2024", "2024-02", "2024-02-29", "0001", "9999-12-31")
MOMENTS = (
    datetime(1, 1, 1),
    datetime(2023, 12, 31, 23, 59, 59, 999999),
    datetime(2024, 1, 1),
    datetime(2024, 2, 29, 12),
    datetime(9999, 12, 31, 23, 59, 59, 999999),
)
CONFIDENCES = (0.0, 0.2, 0.3, 0.5, 0.7, 0.7000000001, 0.9, 1.0)

confidences = st.sampled_from(CONFIDENCES)
odd_text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
small_numbers = st.integers(0, 8).map(str)
pixels = st.sampled_from(("0", "640", "768", "1024"))


def alternatives(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """Return one to three values, no two of which compare equal."""
    return st.lists(values, min_size=1, max_size=3, unique_by=fold).map(tuple)


def compared(field: str, single: st.SearchStrategy[str], listed: st.SearchStrategy[str]) -> st.SearchStrategy[Term]:
    """Return terms on a field with comparisons, ranges of ``single`` and alternatives of ``listed``."""
    order: Callable[[str], Any] = date_span if field == "taken" else int
    operators = st.sampled_from((Op.GE, Op.GT, Op.LE, Op.LT))
    one = st.builds(Term, st.just(field), operators, st.tuples(single))
    ends = st.tuples(single, single).map(lambda pair: tuple(sorted(pair, key=order)))
    return one | _equal(field, listed) | st.builds(Term, st.just(field), st.just(Op.RANGE), ends)


def _equal(field: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Term]:
    return st.builds(Term, st.just(field), st.just(Op.EQ), alternatives(values))


def _labelled(labels: st.SearchStrategy[str]) -> st.SearchStrategy[Term]:
    tag_fields = st.sampled_from(sorted(TAG_FIELDS))
    least = st.none() | confidences | st.floats(0, 1)
    plain = st.builds(Term, tag_fields, st.just(Op.EQ), alternatives(labels), min_confidence=least)
    numbers = compared("object", small_numbers, small_numbers)
    counted = st.builds(
        lambda term, field, label, least: Term(field, term.op, term.values, min_confidence=least, counted=label),
        numbers,
        tag_fields,
        labels,
        least,
    )
    return plain | counted | counted


def terms(labels: st.SearchStrategy[str], phrases: st.SearchStrategy[str]) -> st.SearchStrategy[Term]:
    """Return every kind of term but `confidence:`, negated or not."""
    years = st.sampled_from(("1", "2023", "2024", "9999"))
    plain = st.one_of(
        _labelled(labels),
        compared("people", small_numbers, small_numbers | st.sampled_from(list(PEOPLE_BUCKETS))),
        compared("year", years, years),
        compared("taken", st.sampled_from(DATES), st.sampled_from(DATES)),
        compared("width", pixels, pixels),
        compared("height", pixels, pixels),
        _equal("orientation", st.sampled_from(ORIENTATIONS)),
        _equal("has", st.sampled_from(FEATURES)),
        _equal("source", st.sampled_from(SOURCES)),
        _equal("path", st.sampled_from(GLOBS) | labels),
        _equal("text", phrases),
    )
    return st.builds(
        lambda term, negated: Term(term.field, term.op, term.values, negated, term.min_confidence, term.counted),
        plain,
        st.booleans(),
    )


def filters_of(term: st.SearchStrategy[Term]) -> st.SearchStrategy[Filter]:
    """Return filters of up to four terms, with or without a confidence for all of them."""
    overall = st.builds(
        lambda op, least: (Term("confidence", op, (repr(least),)),), st.sampled_from((Op.GE, Op.GT)), confidences
    )
    return st.builds(lambda first, rest: Filter((*first, *rest)), overall | st.just(()), st.lists(term, max_size=4))


all_filters = filters_of(terms(odd_text.filter(fold), odd_text.filter(words)))
"""Filters whose labels are any text that can be written."""

fitting_filters = filters_of(terms(st.sampled_from(LABELS), st.sampled_from(PHRASES)))
"""Filters whose values occur in `libraries`."""

_tags = st.builds(
    lambda kind, label, confidence, source, text: Tag(
        kind, text if kind is TagKind.TEXT else label, confidence, source
    ),
    st.sampled_from([*TagKind, TagKind.OBJECT, TagKind.OBJECT, TagKind.TEXT]),
    st.sampled_from(LABELS),
    confidences,
    st.sampled_from(SOURCES),
    st.sampled_from(TEXTS),
)


@st.composite
def records(draw: st.DrawFn, ordinal: int) -> ImageRecord:
    """Return a record whose every field has values that `fitting_filters` ask for."""
    maybe_text = st.none() | st.sampled_from(TEXTS)
    return ImageRecord(
        id=image_id(ordinal),
        ordinal=ordinal,
        files=tuple(draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=2, unique=True))),
        width=int(draw(pixels.filter(int))),
        height=int(draw(pixels.filter(int))),
        mime_type="image/jpeg",
        bytes=1,
        indexed_at=INDEXED_AT,
        taken_at=draw(st.none() | st.sampled_from(MOMENTS)),
        location=draw(st.none() | st.just(Location(1.0, 2.0))),
        caption=draw(maybe_text),
        caption_source=draw(st.none() | st.sampled_from(SOURCES)),
        alt_text=draw(maybe_text),
        tags=tuple(draw(st.lists(_tags, max_size=8))),
    )


@st.composite
def libraries(draw: st.DrawFn) -> list[ImageRecord]:
    """Return up to eight records with ordinals that are not in a row."""
    ordinals = draw(st.lists(st.integers(0, 40), max_size=8, unique=True))
    return [draw(records(ordinal)) for ordinal in ordinals]
