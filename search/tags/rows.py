"""An image record as the tag store keeps it: packed postings for the bitmaps, words for the full text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import inf
from typing import NamedTuple

import numpy as np

from search.fields import microseconds
from search.matching import least_confidence, people, single
from search.types import PERSON, ImageRecord, Tag, TagKind
from search.words import caseless, fold, words

POSTING = np.dtype([("value", "<u4"), ("confidence", "<f4"), ("counts", "?"), ("best", "?")])
"""One thing said of an image. ``counts``: at the default confidence. ``best``: the surest one of this value."""


class Posting(NamedTuple):
    """A value that an image has in a field. What has no confidence, such as its year, has an infinite one."""

    field: str
    label: str
    confidence: float
    counts: bool
    best: bool


class Texts(NamedTuple):
    """What `text:` looks in, as words parted by spaces: caption, alt text, and OCR texts with their confidences."""

    caption: str
    alt_text: str
    ocr: tuple[tuple[str, float], ...]

    def at(self, least: float) -> tuple[str, str, str]:
        """Return caption, alt text and what was read at a least confidence, in the order it was read."""
        return self.caption, self.alt_text, " ".join(text for text, confidence in self.ocr if confidence >= least)

    def __str__(self) -> str:
        return json.dumps(self)

    @classmethod
    def of(cls, stored: str) -> Texts:
        caption, alt_text, ocr = json.loads(stored)
        return cls(caption, alt_text, tuple((text, confidence) for text, confidence in ocr))


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
    document: tuple[str, str, str, str, str, str]


def row_of(record: ImageRecord, value_id: Callable[[str, str], int]) -> Row:
    """Return the stored form of a record; ``value_id`` numbers (field, label)."""
    rows = [(value_id(p.field, p.label), p.confidence, p.counts, p.best) for p in _postings(record)]
    read = tuple((_joined([tag.label]), single(tag.confidence)) for tag in record.tags if tag.kind is TagKind.TEXT)
    texts = Texts(_joined([record.caption or ""]), _joined([record.alt_text or ""]), read)
    return Row(
        ordinal=record.ordinal,
        width=record.width,
        height=record.height,
        taken=microseconds(record.taken_at) if record.taken_at else None,
        postings=np.array(rows, dtype=POSTING).tobytes(),
        texts=str(texts) if any(texts) else None,
        paths=tuple(dict.fromkeys(map(caseless, record.files))),
        document=_document(record, texts),
    )


def _postings(record: ImageRecord) -> Iterator[Posting]:
    yield from _label_postings(record)
    yield from _source_postings(record)
    yield Posting("people", str(people(record)), inf, True, True)
    yield Posting("orientation", record.orientation, inf, True, True)
    if record.year is not None:
        yield Posting("year", str(record.year), inf, True, True)
    yield from _feature_postings(record)


def _label_postings(record: ImageRecord) -> Iterator[Posting]:
    tags = [tag for tag in record.tags if tag.kind is not TagKind.TEXT]
    tags.sort(key=lambda tag: (tag.kind, fold(tag.label), -tag.confidence))
    for _, group in groupby(tags, key=lambda tag: (tag.kind, fold(tag.label))):
        for place, tag in enumerate(group):
            yield Posting(tag.kind.value, tag.label, single(tag.confidence), _counts(tag), place == 0)


def _source_postings(record: ImageRecord) -> Iterator[Posting]:
    """Yield each source once, as sure as its surest tag; caption and alt text are beyond doubt."""
    said = [(tag.source, single(tag.confidence), _counts(tag)) for tag in record.tags]
    said += [(record.caption_source, inf, True)] if record.caption and record.caption_source else []
    said += [(PERSON, inf, True)] if record.alt_text else []
    by_source: dict[str, list[tuple[str, float, bool]]] = defaultdict(list)
    for source, confidence, counts in said:
        by_source[fold(source)].append((source, confidence, counts))
    for group in by_source.values():
        sources, confidences, counting = zip(*group, strict=True)
        yield Posting("source", sources[0], max(confidences), any(counting), True)


def _feature_postings(record: ImageRecord) -> Iterator[Posting]:
    """Yield what ``has:`` asks for, but for faces, which are a label."""
    if record.caption:
        yield Posting("has", "caption", inf, True, True)
    if record.location:
        yield Posting("has", "location", inf, True, True)
    read = [tag for tag in record.tags if tag.kind is TagKind.TEXT]
    if read:
        yield Posting("has", "text", max(single(tag.confidence) for tag in read), any(map(_counts, read)), True)


def _counts(tag: Tag) -> bool:
    return single(tag.confidence) >= least_confidence(tag.kind, None)


def _document(record: ImageRecord, texts: Texts) -> tuple[str, str, str, str, str, str]:
    """Return the words to search, as `words.words` reads them, so that SQLite and Python agree on what a word is."""
    sure = dict.fromkeys(fold(tag.label) for tag in record.tags if tag.kind is not TagKind.TEXT and _counts(tag))
    labels = dict.fromkeys(fold(tag.label) for tag in record.tags if tag.kind is not TagKind.TEXT)
    return (
        texts.caption,
        texts.alt_text,
        _joined(sure),
        _joined(label for label in labels if label not in sure),
        texts.at(0.0)[2],
        _joined(record.files),
    )


def _joined(parts: Iterable[str]) -> str:
    return " ".join(word for part in parts for word in words(part))
