"""What an image can be found by, for every tag store: the values of its fields with their confidences, its words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from math import inf
from operator import itemgetter
from typing import NamedTuple

from search.matching import least_confidence, people, single
from search.types import PERSON, ImageRecord, Tag, TagKind
from search.words import fold, words


class Posting(NamedTuple):
    """A value that an image has in a field. What has no confidence, such as its year, has an infinite one."""

    field: str
    label: str
    confidence: float
    counts: bool
    """At the default confidence."""
    place: int
    """Among the image's postings of this value, the surest first. So the image has the value n times at a confidence
    exactly if the posting at place n - 1 reaches it."""

    @property
    def best(self) -> bool:
        return self.place == 0


class Texts(NamedTuple):
    """What `text:` looks in, as words parted by spaces: caption, alt text, and OCR texts with their confidences."""

    caption: str
    alt_text: str
    ocr: tuple[tuple[str, float], ...]

    def at(self, least: float) -> tuple[str, str, str]:
        """Return caption, alt text and what was read at a least confidence, in the order it was read."""
        return (
            self.caption,
            self.alt_text,
            " ".join(text for text, confidence in self.ocr if text and confidence >= least),
        )


class Document(NamedTuple):
    """The words to search, as `words.words` reads them, so that every store agrees with Python on what a word is."""

    caption: str
    alt_text: str
    labels: str
    unsure: str
    ocr: str
    path: str


WEIGHTS = {"caption": 4.0, "alt_text": 5.0, "labels": 4.0, "unsure": 0.5, "ocr": 2.0, "path": 1.0}
"""By field of the document. A label that counts and a caption say what is in the picture; a file name or an unsure
label only hints at it."""


def postings(record: ImageRecord) -> Iterator[Posting]:
    """Yield every value of a record's fields, of labels the surest first."""
    yield from _labels(record)
    yield from _sources(record)
    yield Posting("people", str(people(record)), inf, True, 0)
    yield Posting("orientation", record.orientation, inf, True, 0)
    if record.year is not None:
        yield Posting("year", str(record.year), inf, True, 0)
    yield from _features(record)


def texts(record: ImageRecord) -> Texts:
    """Return what can be read in a record and in its picture."""
    read = tuple((_joined([tag.label]), single(tag.confidence)) for tag in record.tags if tag.kind is TagKind.TEXT)
    return Texts(_joined([record.caption or ""]), _joined([record.alt_text or ""]), read)


def document(record: ImageRecord) -> Document:
    """Return the words that a record is found by."""
    caption, alt_text, ocr = texts(record).at(0.0)
    tags = [(fold(tag.label), _counts(tag)) for tag in record.tags if tag.kind is not TagKind.TEXT]
    sure = dict.fromkeys(label for label, counts in tags if counts)
    unsure = dict.fromkeys(label for label, _ in tags if label not in sure)
    return Document(caption, alt_text, _of_labels(sure), _of_labels(unsure), ocr, _joined(record.files))


def _labels(record: ImageRecord) -> Iterator[Posting]:
    tags = [(tag.kind, fold(tag.label), -tag.confidence, tag) for tag in record.tags if tag.kind is not TagKind.TEXT]
    tags.sort(key=itemgetter(0, 1, 2))
    for _, group in groupby(tags, key=itemgetter(0, 1)):
        for place, (*_, tag) in enumerate(group):
            yield Posting(tag.kind.value, tag.label, single(tag.confidence), _counts(tag), place)


def _sources(record: ImageRecord) -> Iterator[Posting]:
    """Yield each source once, as sure as its surest tag; caption and alt text are beyond doubt."""
    said = [(tag.source, single(tag.confidence), _counts(tag)) for tag in record.tags]
    said += [(record.caption_source, inf, True)] if record.caption and record.caption_source else []
    said += [(PERSON, inf, True)] if record.alt_text else []
    by_source: dict[str, list[tuple[str, float, bool]]] = defaultdict(list)
    for source, confidence, counts in said:
        by_source[fold(source)].append((source, confidence, counts))
    for group in by_source.values():
        sources, confidences, counting = zip(*group, strict=True)
        yield Posting("source", sources[0], max(confidences), any(counting), 0)


def _features(record: ImageRecord) -> Iterator[Posting]:
    """Yield what ``has:`` asks for, but for faces, which are a label."""
    if record.caption:
        yield Posting("has", "caption", inf, True, 0)
    if record.location:
        yield Posting("has", "location", inf, True, 0)
    read = [tag for tag in record.tags if tag.kind is TagKind.TEXT]
    if read:
        yield Posting("has", "text", max(single(tag.confidence) for tag in read), any(map(_counts, read)), 0)


def _counts(tag: Tag) -> bool:
    return single(tag.confidence) >= least_confidence(tag.kind, None)


def _of_labels(labels: Iterable[str]) -> str:
    return " ".join(filter(None, map(_label_words, labels)))


@lru_cache(maxsize=65_536)
def _label_words(label: str) -> str:
    return _joined([label])


def _joined(parts: Iterable[str]) -> str:
    return " ".join(word for part in parts for word in words(part))
