"""Which images share labels with a picture: for every store what a label weighs, and for the embedded one the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.bitmaps import ordinals_of
from search.tags.projection import Projection
from search.types import Ordinals, Scores, TagKind
from search.words import fold

Labels = Mapping[tuple[TagKind, str], float]
"""Labels with the confidence of each."""


def weights(labels: Labels, having: Sequence[int], total: int) -> Scores:
    """Return what each label weighs where so many of ``total`` images have it: its confidence by TF-IDF.

    As 32-bit floats: their sums are exact in 64 bits, so images that share the same labels tie in every store.
    """
    rarity = np.log1p(max(1, total) / np.maximum(1, np.asarray(having, dtype=np.float64)))
    return np.asarray(np.fromiter(labels.values(), np.float64, len(labels)) * rarity, dtype=np.float32)


def share(sums: Scores, each: Scores) -> Scores:
    """Return sums of weights as the share (0–1) of all of them."""
    return sums / np.float32(each.sum(dtype=np.float64) or 1.0)


def search(labels: Labels, projection: Projection, images: BitMap, k: int) -> tuple[Ordinals, Scores]:
    """Return the k of the images that share most, and their shares, best first; ties by ordinal."""
    values = [projection.values.get((kind.value, fold(label))) for kind, label in labels]
    having = [projection.having([value]) if value else BitMap() for value in values]
    each = weights(labels, [len(owners) for owners in having], len(projection.alive))
    sums: NDArray[np.float64] = np.zeros(int(images.max()) + 1 if images else 0)
    for owners, weight in zip(having, each, strict=True):
        sums[ordinals_of(owners & images)] += weight
    ordinals = np.flatnonzero(sums).astype(np.uint32)
    sharing = sums[ordinals].astype(np.float32)
    best = np.argsort(-sharing, kind="stable")[:k]
    return ordinals[best], share(sharing[best], each)
