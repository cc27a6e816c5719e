"""The reference for every vector index: a matrix of float32 and a sort."""

from __future__ import annotations

import numpy as np
from pyroaring import BitMap

from search.types import EmbeddingSpace, Matrix, Ordinals, Scores, Vector


class ExactIndex:
    """Satisfies `search.protocols.VectorIndex`; for tests and for measuring recall."""

    def __init__(self, space: EmbeddingSpace) -> None:
        self.space = space
        self._vectors: dict[int, Vector] = {}

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, ordinals: Ordinals, vectors: Matrix) -> None:
        for ordinal, vector in zip(ordinals, vectors, strict=True):
            self._vectors[int(ordinal)] = vector.astype(np.float16).astype(np.float32)

    def remove(self, ordinals: BitMap) -> int:
        return sum(self._vectors.pop(ordinal, None) is not None for ordinal in ordinals)

    def search(
        self,
        queries: Matrix,
        k: int,
        *,
        allowed: BitMap | None = None,
        exact: bool = False,  # noqa: ARG002 (always is)
    ) -> list[tuple[Ordinals, Scores]]:
        within = [o for o in sorted(self._vectors) if allowed is None or o in allowed]
        ordinals = np.array(within, np.uint32)
        found = []
        for query in queries:
            scores = self.scores(query, ordinals)
            order = np.argsort(-scores, kind="stable")[:k]
            found.append((ordinals[order], scores[order]))
        return found

    def scores(self, query: Matrix, ordinals: Ordinals) -> Scores:
        nothing = np.full(self.space.dim, np.nan, np.float32)
        rows = [self._vectors.get(int(ordinal), nothing) for ordinal in ordinals]
        return np.array([row @ query.reshape(-1) for row in rows], np.float32)
