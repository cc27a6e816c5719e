"""An image record as a document of the index, and what each of its fields is for. `schema` has the mapping of it.

- ``value.FIELD`` and ``shown.FIELD``: the values that count at their default confidence, folded to compare and as
  spelt to list; what filters and facet counts use unless a confidence is asked for.
- ``tags``: every value with its confidence, as nested documents. ``n`` is its place among those of the same label,
  the surest first, from 1: an image has a label n times at a confidence if its nth tag reaches it.
- ``words``: what text is searched in, stemmed, as ``word|frequency``: that is the sum of the weights of the fields
  that it stands in, so that BM25 over this one field is BM25 over weighted fields (BM25F, Robertson et al. 2004).
- ``verdict``: what a moderator decided last; nothing finds what was rejected (`queries.hidden`).
- ``texts.*``: for phrases; ``reading``: for phrases in what was read at a confidence.
- ``completion``: ``end of a label from some word on ␟ kind ␟ label as spelt``, so that the terms with a prefix, and
  their counts, are what is completed. OpenSearch's own completion type has weights, not counts, and keeps the deleted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from search.fields import microseconds
from search.matching import people
from search.opensearch.schema import FREQUENCY_UNIT, LONGEST_WORD, TEXTS
from search.tags.postings import WEIGHTS, Document, Posting, document, postings, texts
from search.types import ImageRecord, TagKind
from search.words import caseless, fold, writable

BEYOND_DOUBT = 2.0
"""The confidence of what has none; above every confidence that can be asked for."""

COMPLETED = frozenset(kind.value for kind in TagKind if kind not in (TagKind.TEXT, TagKind.MODERATION))
SEPARATOR = "\u241f"
MOST_BYTES = 8_000
"""Longer values are cut: Lucene takes no term above 32,766 bytes."""


def document_of(record: ImageRecord) -> dict[str, Any]:
    """Return the searchable part of a record's document."""
    found = list(postings(record))
    counting = [posting for posting in found if posting.counts and posting.best and posting.field != "people"]
    value: dict[str, list[str]] = defaultdict(list)
    shown: dict[str, list[str]] = defaultdict(list)
    for posting in counting:
        value[posting.field].append(cut(fold(posting.label)))
        shown[posting.field].append(cut(writable(posting.label)))
    return {
        "id": record.id,
        "ordinal": record.ordinal,
        "number": {
            "width": record.width,
            "height": record.height,
            "people": people(record),
            "year": record.year,
            "taken": microseconds(record.taken_at) if record.taken_at else None,
        },
        "value": dict(value),
        "shown": dict(shown),
        "tags": [_tag(posting) for posting in found if posting.field not in ("people", "orientation", "year")],
        "path": list(dict.fromkeys(cut(caseless(path)) for path in record.files)),
        "words": _weighed(document(record)),
        "texts": dict(zip(TEXTS, texts(record).at(0.0), strict=True)),
        "reading": [reading(place, *line) for place, line in enumerate(texts(record).ocr)],
        **({"verdict": record.verdict.value} if record.verdict else {}),
        "completion": sorted({ending for posting in counting for ending in _completions(posting)}),
    }


def _weighed(document: Document) -> str:
    weights: Counter[str] = Counter()
    for name, words in document._asdict().items():
        for word in words.split():
            weights[word[:LONGEST_WORD]] += round(WEIGHTS[name] * FREQUENCY_UNIT)
    return " ".join(f"{word}|{weight}" for word, weight in weights.items())


def cut(text: str) -> str:
    """Return the text, or as much of it as a term may have."""
    return text if len(text) <= MOST_BYTES // 4 else text.encode()[:MOST_BYTES].decode(errors="ignore")


def reading(place: int, words: str, confidence: float) -> str:
    """Return a line of OCR text so that lines sort by place: ``000003 0.7 words``."""
    return cut(f"{place:06d} {confidence!r} {words}")


def _tag(posting: Posting) -> dict[str, Any]:
    return {
        "kind": posting.field,
        "label": cut(fold(posting.label)),
        "shown": cut(writable(posting.label)),
        "confidence": min(posting.confidence, BEYOND_DOUBT),
        "n": posting.place + 1,
    }


def _completions(posting: Posting) -> Iterator[str]:
    if posting.field not in COMPLETED:
        return
    label = cut(fold(posting.label)).replace(SEPARATOR, " ")
    rest = SEPARATOR.join((posting.field, cut(writable(posting.label))))
    starts = [0, *(place + 1 for place, character in enumerate(label) if character == " ")]
    for start in starts:
        yield f"{label[start:]}{SEPARATOR}{rest}"
