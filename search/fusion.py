"""Blending: pure functions from the parts of a score to one score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.types import Scores

KEYWORD_HALF = 4.0
"""The BM25 at which the keyword part reaches one half. BM25 is open upward; a saturating map keeps it comparable
between queries, where dividing by the best hit would make a weak best hit look like a perfect one."""


def keyword_strength(bm25: Scores) -> Scores:
    """Return BM25 scores mapped to 0–1, monotonically."""
    return np.asarray(bm25 / (bm25 + KEYWORD_HALF), dtype=np.float32)


def blend(relevance: Scores, keyword: Scores, *, keyword_weight: float) -> Scores:
    """Return the weighted mean of a calibrated relevance (weight 1) and the strength of BM25 scores; 0–1."""
    total = 1.0 + keyword_weight
    return np.asarray((relevance + keyword_weight * keyword_strength(keyword)) / total, dtype=np.float32)


def penalised(score: Scores, unwanted: Scores) -> Scores:
    """Return scores lowered by how relevant an image is to what is not wanted.

    A penalty on a score of its own, and not subtracted vectors: "a dog" less "grass" is no point in the space that
    means a dog elsewhere, but an image can be near the one and far from the other.
    """
    return np.asarray(score * (1.0 - unwanted), dtype=np.float32)


def best_first(scores: Scores) -> NDArray[np.intp]:
    """Return positions by falling score; ties keep their order."""
    return np.argsort(-scores, kind="stable")
