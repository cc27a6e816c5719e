"""From a filter to the set of images: most terms by the projection in memory, texts and paths by SQL."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.bitmaps import bitmap_of
from search.fields import CONFIDENCE, TAG_FIELDS, spans
from search.matching import filter_confidence, folded, least_confidence, single, tag_kind
from search.tags.projection import Projection, Value
from search.tags.rows import texts_of
from search.types import PERSON, Filter, Ordinals, TagKind, Term
from search.words import caseless, fold, words

# Enough words of a phrase to find its candidates by; each is then read word by word.
MAX_PHRASE_WORDS = 16


def match(filter: Filter, projection: Projection, connection: sqlite3.Connection) -> BitMap:
    """Return the images that satisfy every term, as `search.matching.matches` defines it."""
    overall = filter_confidence(filter)
    found = projection.alive.copy()
    for term in filter.terms:
        if term.field != CONFIDENCE:
            holding = _holding(term, overall, projection, connection)
            found = found - holding if term.negated else found & holding
    return found


def persons(projection: Projection, overall: float | None) -> tuple[Ordinals, NDArray[np.int64]]:
    """Return the images with persons in them, and how many."""
    return _instances(projection, TagKind.OBJECT, PERSON, least_confidence(TagKind.OBJECT, overall))


def _holding(  # noqa: PLR0911 - one line for each kind of field
    term: Term, overall: float | None, projection: Projection, connection: sqlite3.Connection
) -> BitMap:
    if term.counted is not None:
        kind = tag_kind(term)
        counts = _instances(projection, kind, term.counted, least_confidence(kind, overall, term))
        return _by_number(projection, *counts, spans(term))
    match term.field:
        case "width" | "height" | "taken":
            return projection.between(term.field, spans(term))
        case "people" if overall is not None:
            return _by_number(projection, *persons(projection, overall), spans(term))
        case "people" | "year":
            return projection.having([value for value in projection.by_field[term.field] if _in_spans(value, term)])
        case "path":
            return _with_path(connection, term.values)
        case "text":
            return _reading(connection, term.values, overall)
    return projection.having(_values(projection, term), _least(term, overall))


def _values(projection: Projection, term: Term) -> list[Value]:
    """Return the values that a term on labels, orientation, source or features names, as far as any image has them."""
    keys = [(term.field, value) for value in folded(term)]
    if term.field == "has":
        keys = [("object", PERSON) if key == ("has", "faces") else key for key in keys]
    elif term.field not in ("orientation", "source"):
        tag_kind(term)
    return [projection.values[key] for key in keys if key in projection.values]


def _least(term: Term, overall: float | None) -> float | None:
    """Return the confidence that a term asks for, or None for the default ones."""
    if term.field in TAG_FIELDS and term.min_confidence is not None:
        return single(term.min_confidence)
    return overall


def _instances(projection: Projection, kind: TagKind, label: str, least: float) -> tuple[Ordinals, NDArray[np.int64]]:
    value = projection.values.get((kind.value, fold(label)))
    if value is None:
        return np.empty(0, np.uint32), np.empty(0, np.int64)
    return projection.instances(value, least)


def _by_number(
    projection: Projection, ordinals: Ordinals, counts: NDArray[np.int64], wanted: Sequence[tuple[int, int]]
) -> BitMap:
    """Return the images whose count lies in one of the spans; those that are not in ``ordinals`` have none."""
    found = BitMap()
    for first, last in wanted:
        found |= bitmap_of(ordinals[(counts >= first) & (counts <= last)])
        if first <= 0 <= last:
            found |= projection.alive - bitmap_of(ordinals)
    return found


def _in_spans(value: Value, term: Term) -> bool:
    return any(first <= int(value.label) <= last for first, last in spans(term))


def _with_path(connection: sqlite3.Connection, globs: Sequence[str]) -> BitMap:
    # In SQLite's GLOB as in the filter language `*` crosses slashes; its brackets are taken literally here.
    patterns = [caseless(glob).replace("[", "[[]") for glob in globs]
    anyone = " OR ".join(["folded GLOB ?"] * len(patterns))
    return _set(connection.execute(f"SELECT ordinal FROM path WHERE {anyone}", patterns))


def _reading(connection: sqlite3.Connection, phrases: Sequence[str], overall: float | None) -> BitMap:
    """Return the images in whose caption, alt text or OCR text one of the phrases stands.

    The full-text index finds candidates by their stems; whether the very words stand there is then read.
    """
    least = least_confidence(TagKind.TEXT, overall)
    found = BitMap()
    for phrase in phrases:
        query = _candidates_query(phrase, adjacent=overall is None)
        if query:
            rows = connection.execute(
                "SELECT ordinal, texts FROM words JOIN image ON ordinal = words.rowid"
                " WHERE words MATCH ? AND texts IS NOT NULL",
                (query,),
            )
        else:
            rows = connection.execute("SELECT ordinal, texts FROM image WHERE texts IS NOT NULL")
        wanted = f" {' '.join(words(phrase))} "
        for ordinal, stored in rows:
            if any(wanted in f" {text} " for text in texts_of(stored).at(least)):
                found.add(ordinal)
    return found


def _candidates_query(phrase: str, *, adjacent: bool) -> str:
    """Return an FTS5 query that finds at least the images that hold a phrase, or "" where none can.

    With a confidence, lines of OCR text drop out, so that words which are indexed apart may come together.
    """
    asked = words(phrase)[:MAX_PHRASE_WORDS]
    known = [word for word in asked if _is_known(word)]
    if not known:
        return ""
    wanted = f'"{" ".join(known)}"' if adjacent and known == asked else " AND ".join(f'"{word}"' for word in known)
    return f"{{caption alt_text ocr}} : ({wanted})"


def _is_known(word: str) -> bool:
    """Return whether every SQLite takes a word's characters for letters and digits, as Unicode 3.2 has it."""
    return all(unicodedata.ucd_3_2_0.category(character)[0] in "LN" for character in word)


def _set(rows: Iterable[tuple[int]]) -> BitMap:
    return BitMap([ordinal for (ordinal,) in rows])
