"""Blending: pure functions from the parts of a score to one score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.types import Scores
from search.words import telling_words

KEYWORD_HALF = 4.0
"""The BM25 at which the keyword part reaches one half. BM25 is open upward; a saturating map keeps it comparable
between queries, where dividing by the best hit would make a weak best hit look like a perfect one."""


WORDS = 3
"""The words of a text for which a query's weight of keywords is meant."""


def keyword_strength(bm25: Scores) -> Scores:
    """Return BM25 scores mapped to 0–1, monotonically."""
    return np.asarray(bm25 / (bm25 + KEYWORD_HALF), dtype=np.float32)


def keyword_weight(weight: float, texts: Sequence[str]) -> float:
    """Return how much words count beside the embedding: ``weight`` for a text of three words, more for shorter ones.

    One word is a label, mostly, and says all; of a sentence's eleven words each says little (docs/adr/0011).
    """
    asked = sum(len(telling_words(text)) for text in texts)
    return weight * WORDS / asked if asked else 0.0


def blend(relevance: Scores, keyword: Scores, *, keyword_weight: float) -> Scores:
    """Return the weighted mean of a calibrated relevance (weight 1) and the strength of BM25 scores; 0–1."""
    total = 1.0 + keyword_weight
    return np.asarray((relevance + keyword_weight * keyword_strength(keyword)) / total, dtype=np.float32)


def away_from(similarity: Scores, unwanted: Sequence[Scores]) -> Scores:
    """Return cosines lowered by how much nearer than most an image is to each thing that is not wanted.

    Of twelve ways that were tried on 18 pairs of texts over 888 photos this kept most of what was wanted for what it
    moved away: of the twenty best, those that people say show what was not wanted fell from 10.6 to 3.1 %, those that
    show what was wanted from 72 to 69 %. A factor of one less a calibrated relevance left 6.1 %.
    """
    for cosines in unwanted:
        if not np.isnan(cosines).all():
            similarity = similarity - np.nan_to_num(cosines - np.nanmedian(cosines))
    return np.asarray(similarity, dtype=np.float32)


def penalised(score: Scores, unwanted: Scores) -> Scores:
    """Return scores lowered by how much, 0–1, each image shows what is not wanted."""
    return np.asarray(score * (1.0 - unwanted), dtype=np.float32)


def best_first(scores: Scores) -> NDArray[np.intp]:
    """Return positions by falling score; ties keep their order."""
    return np.argsort(-scores, kind="stable")
