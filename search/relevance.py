"""How relevant the images of a library are to a text, so that one threshold means the same for every query.

`search.calibration` says what is computed; here is what it needs: vectors of the nearest images, and texts at large.
"""

from __future__ import annotations

import functools
import threading

import numpy as np

from search.calibration import Calibration, Judge, nearest_among, priors
from search.encoders.coco import COCO_LABELS
from search.encoders.kept_vectors import kept_vectors
from search.encoders.lite_vision import imagenet_labels
from search.encoders.places import place_names
from search.protocols import Encoder, Records
from search.types import Matrix, Ordinals, Scores

REMEMBERED = 200_000
"""Images whose priors are kept: those near to what is asked are near to what is asked next."""


class Relevance:
    """Calibrates cosines of one library. Safe for threads; the labels are encoded at the first query."""

    def __init__(self, encoder: Encoder, records: Records, calibration: Calibration) -> None:
        self._encoder = encoder
        self._calibration = calibration
        self._records = records
        self._lock = threading.Lock()
        self._known: dict[int, float] = {}
        """Priors by ordinal. An image keeps both its ordinal and its vector in a space."""

    def judge(self, ordinals: Ordinals, similarity: Scores, *, library: int) -> Judge:
        """Return what turns cosines to a text into relevance, from the candidates for it and their cosines.

        ``library``: how many images there are to answer.
        """
        known = ~np.isnan(similarity)
        if not known.any():
            return np.zeros_like
        ordinals, similarity = ordinals[known], similarity[known]
        return self._calibration.judge(similarity, self._prior(ordinals, similarity, library), library=library)

    def _prior(self, ordinals: Ordinals, similarity: Scores, library: int) -> float:
        count = min(nearest_among(library), len(ordinals))
        nearest = ordinals[np.argpartition(-similarity, count - 1)[:count]].tolist()
        new = [ordinal for ordinal in nearest if ordinal not in self._known]
        if len(self._known) > REMEMBERED:
            self._known = {}
            new = nearest
        known = self._known  # what other threads write to it is the same
        for found, vectors in self._records.embeddings(self._encoder.space, new) if new else ():
            known.update(zip(found.tolist(), priors(vectors, self._labels()).tolist(), strict=True))
        of_each = [known[ordinal] for ordinal in nearest if ordinal in known]
        return float(np.mean(of_each, dtype=np.float32)) if of_each else 0.0

    def _labels(self) -> Matrix:
        with self._lock:  # else several first queries would encode them side by side
            return self._encoded

    @functools.cached_property
    def _encoded(self) -> Matrix:
        return texts_at_large(self._encoder)


def texts_at_large(encoder: Encoder) -> Matrix:
    """Return vectors of some 1,400 labels of things, animals and places; kept on disk where encoding them is slow."""
    texts = [f"a photo of a {label}" for label in (*imagenet_labels(), *COCO_LABELS.values(), *place_names())]
    return kept_vectors(encoder.space.fingerprint, texts, encoder.encode_texts)
