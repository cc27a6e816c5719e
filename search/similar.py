"""Likeness other than by embedding alone: by shared tags, and of copies that were altered."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from search.phash import distances
from search.protocols import Records
from search.types import DEFAULT_CONFIDENCE, Ordinals, Scores, Tag, TagKind

TAG_KINDS = (TagKind.OBJECT, TagKind.SCENE, TagKind.ATTRIBUTE, TagKind.STYLE, TagKind.COLOR, TagKind.USER)

SAME_HASH = 6
"""Hamming distance up to which two perceptual hashes alone mean one picture; unrelated ones differ in 32 of 64 bits."""
NEAR_HASH = 16
SAME_VECTOR = 0.97
"""Cosine above which two pictures with near hashes are one picture: a crop moves the hash, hardly the embedding."""


def telling_labels(described: Iterable[Tag]) -> dict[tuple[TagKind, str], float]:
    """Return the labels that say what a picture is like, each with its best confidence."""
    best: dict[tuple[TagKind, str], float] = {}
    for tag in described:
        if tag.kind in TAG_KINDS and tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]:
            key = tag.kind, tag.label.casefold()
            best[key] = max(tag.confidence, best.get(key, 0.0))
    return best


def duplicates(records: Records, ordinals: Ordinals, cosine: Scores, phash: int) -> Scores:
    """Return for each image how alike it is, 0–1, if it is the same picture in another size, crop, colour or format.

    NaN where it is not. ``cosine``: of each image's embedding to the picture's.
    """
    known, hashes = records.phashes(ordinals)
    distance = np.full(len(ordinals), 64)
    distance[np.searchsorted(ordinals, known)] = distances(hashes, phash)
    cosine = np.nan_to_num(cosine)
    same = (distance <= SAME_HASH) | ((distance <= NEAR_HASH) & (cosine >= SAME_VECTOR))
    return np.where(same, np.maximum(1.0 - distance / 64.0, cosine), np.nan).astype(np.float32)
