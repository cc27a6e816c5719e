"""Vectors of many texts that a model is asked for at every start: kept on disk where it takes long to make them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np

from search.encoders.converted import converted, converted_if_there
from search.types import Matrix

SLOW_S = 0.5


def kept_vectors(model: str, texts: Sequence[str], encode: Callable[[Sequence[str]], Matrix]) -> Matrix:
    """Return what ``encode`` makes of the texts, shape (len(texts), dim), or made of them before.

    ``model``: what tells its weights from all others.
    """
    name = hashlib.sha256("\n".join((model, *texts)).encode()).hexdigest()[:24]
    kept = converted_if_there(f"texts-{name}")
    if kept is not None:
        return np.asarray(np.load(kept / "vectors.npy", allow_pickle=False), dtype=np.float32)
    began = time.monotonic()
    vectors = encode(texts)
    if time.monotonic() - began > SLOW_S:
        converted(f"texts-{name}", lambda folder: np.save(folder / "vectors.npy", vectors))
    return vectors
