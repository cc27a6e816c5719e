"""Inner products of few vectors with many rows, and unit length, without the threads of a matrix library.

NumPy would have OpenBLAS do it, whose threads then spin for longer than a whole search takes.
"""

from __future__ import annotations

import numkong
import numpy as np

from search.types import Matrix, Vector

FEW = 64
"""More vectors than these are better multiplied by NumPy."""


def products(vectors: Matrix, table: Matrix) -> Matrix:
    """Return the inner products of some vectors with the rows of a table, shape (len(vectors), len(table))."""
    if len(vectors) > FEW:
        return np.ascontiguousarray(vectors @ table.T, dtype=np.float32)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    return np.asarray(numkong.cdist(vectors, np.ascontiguousarray(table), "dot")).astype(np.float32)


def likenesses(vectors: Matrix, table: Matrix) -> Matrix:
    """Return what `products` does, of any number of vectors, in parts that need no matrix library."""
    parts = [products(vectors[start : start + FEW], table) for start in range(0, len(vectors), FEW)]
    return np.concatenate(parts) if parts else np.empty((0, len(table)), np.float32)


def unit(vector: Vector) -> Vector:
    """Return a vector in unit length; one of zeros stays."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector
