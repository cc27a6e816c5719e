"""Likeness other than by embedding alone: by shared tags, and of copies that were altered."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pyroaring import BitMap

from search.bitmaps import ordinals_of
from search.phash import distances
from search.protocols import Records, TagStore, VectorIndex
from search.types import DEFAULT_CONFIDENCE, Filter, Op, Ordinals, Scores, Tag, TagKind, Term, Vector

TAG_KINDS = (TagKind.OBJECT, TagKind.SCENE, TagKind.ATTRIBUTE, TagKind.STYLE, TagKind.COLOR, TagKind.USER)

SAME_HASH = 6
"""Hamming distance up to which two perceptual hashes alone mean one picture; unrelated ones differ in 32 of 64 bits."""
NEAR_HASH = 16
SAME_VECTOR = 0.97
"""Cosine above which two pictures with near hashes are one picture: a crop moves the hash, hardly the embedding."""


def by_tags(tags: TagStore, described: Iterable[Tag], allowed: BitMap) -> tuple[Ordinals, Scores]:
    """Return the share (0–1) of the picture's tags that each image has too, rare tags counting more (TF-IDF).

    Images that share nothing are left out. The order is by ordinal.
    """
    total = max(1, len(tags))
    scores = np.zeros(int(allowed.max()) + 1 if allowed else 1, np.float32)
    weights = 0.0
    for (kind, label), confidence in _best(described).items():
        having = tags.match(Filter((Term(kind.value, Op.EQ, (label,)),)))
        weight = confidence * float(np.log1p(total / max(1, len(having))))
        weights += weight
        scores[ordinals_of(having & allowed)] += weight
    ordinals = np.flatnonzero(scores).astype(np.uint32)
    return ordinals, scores[ordinals] / np.float32(weights or 1.0)


def _best(described: Iterable[Tag]) -> dict[tuple[TagKind, str], float]:
    best: dict[tuple[TagKind, str], float] = {}
    for tag in described:
        if tag.kind in TAG_KINDS and tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]:
            key = tag.kind, tag.label.casefold()
            best[key] = max(tag.confidence, best.get(key, 0.0))
    return best


def duplicates(
    records: Records, vectors: VectorIndex, vector: Vector, phash: int, allowed: BitMap
) -> tuple[Ordinals, Scores]:
    """Return images that are the same picture in another size, crop, colour or format, with a likeness of 0–1."""
    ordinals, hashes = records.phashes()
    near = np.isin(ordinals, ordinals_of(allowed))
    ordinals, distance = ordinals[near], distances(hashes[near], phash)
    close = distance <= NEAR_HASH
    ordinals, distance = ordinals[close], distance[close]
    cosine = np.nan_to_num(vectors.scores(vector, ordinals))
    same = (distance <= SAME_HASH) | (cosine >= SAME_VECTOR)
    likeness = np.maximum(1.0 - distance / 64.0, cosine)
    return ordinals[same], likeness[same].astype(np.float32)
