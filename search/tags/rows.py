"""An image record as the tag store keeps it: packed postings for the bitmaps, words for the full text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.fields import microseconds
from search.tags.postings import Document, Texts, document, postings, texts
from search.types import ImageRecord
from search.words import caseless

POSTING = np.dtype([("value", "<u4"), ("confidence", "<f4"), ("counts", "?"), ("best", "?")])
"""One thing said of an image. ``counts``: at the default confidence. ``best``: the surest one of this value."""


@dataclass(frozen=True, slots=True)
class Row:
    """One image in the tables of `schema`; ``document`` is in the order of the columns of ``words``."""

    ordinal: int
    width: int
    height: int
    taken: int | None
    postings: bytes
    texts: str | None
    paths: tuple[str, ...]
    document: Document


def row_of(record: ImageRecord, value_id: Callable[[str, str], int]) -> Row:
    """Return the stored form of a record; ``value_id`` numbers (field, label)."""
    rows = [(value_id(p.field, p.label), p.confidence, p.counts, p.best) for p in postings(record)]
    found = texts(record)
    return Row(
        ordinal=record.ordinal,
        width=record.width,
        height=record.height,
        taken=microseconds(record.taken_at) if record.taken_at else None,
        postings=np.array(rows, dtype=POSTING).tobytes(),
        texts=json.dumps(found) if any(found) else None,
        paths=tuple(dict.fromkeys(map(caseless, record.files))),
        document=document(record),
    )


def texts_of(stored: str) -> Texts:
    """Return the texts of a row again."""
    caption, alt_text, ocr = json.loads(stored)
    return Texts(caption, alt_text, tuple((text, confidence) for text, confidence in ocr))
