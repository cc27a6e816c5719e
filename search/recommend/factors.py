"""Likes as a product of few factors: alternating least squares for implicit feedback, by the package `implicit`.

Source: Hu, Koren and Volinsky 2008. A person's own factors are solved for when they ask, so that what they did just now
counts, and a person who was not there when the factors were learnt is answered like any other.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FACTORS = 32
REGULARIZATION = 1.0
ALPHA = 20.0
"""How much more a like says than the absence of one."""
ITERATIONS = 15

Model = Callable[[NDArray[np.int32], NDArray[np.float32]], NDArray[np.float64]]
"""From the places of liked images and how much is liked of each to a score for every image."""


def is_installed() -> bool:
    """Return whether the extra `recommendations` is here."""
    return importlib.util.find_spec("implicit") is not None


def fit(starts: NDArray[np.int64], columns: NDArray[np.int32], weights: NDArray[np.float32], images: int) -> Model:
    """Learn factors of a matrix of persons and images in compressed rows. Raises ImportError without the extra."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    likes = csr_matrix((weights, columns, starts), shape=(len(starts) - 1, images))
    # Else the package warns: its own threads and those of BLAS are in each other's way.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=FACTORS,
            regularization=REGULARIZATION,
            alpha=ALPHA,
            iterations=ITERATIONS,
            num_threads=1,  # beside a server, which answers meanwhile
            random_state=0,
        )
        model.fit(likes, show_progress=False)

    def scores(places: NDArray[np.int32], liked: NDArray[np.float32]) -> NDArray[np.float64]:
        order = np.argsort(places)
        row = csr_matrix((liked[order], places[order], [0, len(places)]), shape=(1, images))
        own = model.recalculate_user(0, row)
        return np.asarray(model.item_factors @ own, np.float64)

    return scores
