"""A 64-bit perceptual hash, for near-duplicates: DCT hash after Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
LOW = 8


def _dct_rows(side: int, rows: int) -> NDArray[np.float64]:
    """Return the first ``rows`` basis vectors of the DCT-II over ``side`` samples: shape (rows, side)."""
    n, k = np.arange(side), np.arange(rows)[:, None]
    return np.asarray(np.cos(np.pi * (2 * n + 1) * k / (2 * side)))


_BASIS = _dct_rows(SIDE, LOW)
_BITS = np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64))


def perceptual_hash(image: Image.Image) -> int:
    """Return 64 bits that differ in few places between versions of one picture (Hamming distance up to about 10)."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    low = (_BASIS @ grey @ _BASIS.T).ravel()
    above = low > np.median(low[1:])  # the mean brightness, low[0], says nothing of the picture's shape
    return int(_BITS[above].sum(dtype=np.uint64))


def distances(hashes: NDArray[np.uint64], reference: int) -> NDArray[np.uint8]:
    """Return the Hamming distance of each hash to ``reference``: 0 to 64."""
    return np.asarray(np.bitwise_count(hashes ^ np.uint64(reference)), dtype=np.uint8)
