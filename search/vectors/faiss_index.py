"""Nearest vectors with FAISS: exact scans of half-precision rows, and RaBitQ codes with exact rescoring for many.

There is no graph: a filter makes a scan faster and never less complete, adding is encoding, deleting is a mask
(docs/adr/0004 has the measurements). RaBitQ: Gao and Long, SIGMOD 2024.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
from pathlib import Path

import faiss
import numkong
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.bitmaps import bitmap_of, ordinals_of
from search.types import EmbeddingSpace, Matrix, Ordinals, Scores, Vector

CHUNK = 8192
"""Rows that are widened to float32 at a time when codes are made of them."""
RESCORED = 400
QUERY_BITS = 8
"""Candidates that are rescored, and bits of the query: at these the recall of ten stayed at 0.995 and above on a
million vectors, under every filter that was tried."""
DEAD_SHARE = 0.25


class FaissIndex:
    """Satisfies `search.protocols.VectorIndex`. Safe to use from several threads.

    Rows are only ever appended; a replaced or removed row is dead until a quarter are, and then all are packed anew.
    """

    def __init__(self, space: EmbeddingSpace, *, ann_from: int = 100_000) -> None:
        self._space = space
        self._ann_from = ann_from
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        self._rows = np.empty((0, self._space.dim), np.float16)
        self._ordinals = np.empty(0, np.uint32)
        self._size = 0
        self._position = np.empty(0, np.int64)
        self._alive = BitMap()
        self._ann: faiss.Index | None = None

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def __len__(self) -> int:
        return len(self._alive)

    def add(self, ordinals: Ordinals, vectors: Matrix) -> None:
        if not len(ordinals):
            return
        with self._lock:
            # The last of several vectors for one ordinal counts, as it would one call after the other.
            last = len(ordinals) - 1 - np.unique(ordinals[::-1], return_index=True)[1]
            ordinals, vectors = ordinals[last], np.ascontiguousarray(vectors[last], dtype=np.float32)
            self._reserve(len(ordinals), int(ordinals.max()))
            vectors = vectors.astype(np.float16).astype(np.float32)  # codes are made of what is stored
            end = self._size + len(ordinals)
            self._rows[self._size : end] = vectors
            self._ordinals[self._size : end] = ordinals
            self._position[ordinals] = np.arange(self._size, end)
            self._size = end
            self._alive |= bitmap_of(ordinals)
            if self._ann is not None:
                self._ann.add(vectors)
            self._pack()

    def remove(self, ordinals: BitMap) -> int:
        with self._lock:
            present = self._alive & ordinals
            self._position[ordinals_of(present)] = -1
            self._alive -= present
            self._pack()
            return len(present)

    def search(
        self, queries: Matrix, k: int, *, allowed: BitMap | None = None, exact: bool = False
    ) -> list[tuple[Ordinals, Scores]]:
        with self._lock:
            within = self._alive if allowed is None else self._alive & allowed
            if exact or len(within) <= max(self._ann_from, RESCORED):
                return [self._best(query, self._places(within), k) for query in queries]
            self._build_ann()
            return [self._approximate(query, within, k) for query in queries]

    def scores(self, query: Matrix, ordinals: Ordinals) -> Scores:
        with self._lock:
            known = ordinals < len(self._position)
            places = np.full(len(ordinals), -1, np.int64)
            places[known] = self._position[ordinals[known]]
            found = places >= 0
            result = np.full(len(ordinals), np.nan, np.float32)
            result[found] = self._cosines(query.reshape(-1), places[found])
            return result

    def _places(self, within: BitMap) -> NDArray[np.int64]:
        return self._position[ordinals_of(within)]

    def _cosines(self, query: Vector, places: NDArray[np.int64]) -> Scores:
        if not len(places):
            return np.empty(0, np.float32)
        half = np.ascontiguousarray(query, dtype=np.float16)[None]
        # NumKong's kernel is ten times as fast as widening the rows in NumPy or decoding them in FAISS.
        cosines: Scores = np.asarray(numkong.cdist(half, self._rows[places], "dot"), dtype=np.float32)[0]
        return cosines

    def _best(self, query: Vector, places: NDArray[np.int64], k: int) -> tuple[Ordinals, Scores]:
        """Return the k best of some rows by exact cosine; ties go to the lower ordinal."""
        scores, ordinals = self._cosines(query, places), self._ordinals[places]
        if k < len(scores):
            least = np.partition(scores, len(scores) - k)[len(scores) - k]
            kept = np.flatnonzero(scores >= least)
            scores, ordinals = scores[kept], ordinals[kept]
        order = np.lexsort((ordinals, -scores))[:k]
        return ordinals[order], scores[order]

    def _approximate(self, query: Vector, within: BitMap, k: int) -> tuple[Ordinals, Scores]:
        mask = np.zeros(self._size, bool)
        mask[self._places(within)] = True
        bits = np.packbits(mask, bitorder="little")
        # FAISS's own annotations show its C++ constructors; its Python ones take arrays and keywords.
        selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        parameters = faiss.RaBitQSearchParameters(sel=selector, qb=QUERY_BITS)  # type: ignore[call-arg]
        row = np.ascontiguousarray(query[None], dtype=np.float32)
        assert self._ann is not None  # noqa: S101 (built by the caller)
        chain = faiss.SearchParametersPreTransform(index_params=parameters)  # type: ignore[call-arg]
        _, places = self._ann.search(row, max(RESCORED, k), params=chain)
        return self._best(query, places[0][places[0] >= 0], k)

    def _build_ann(self) -> None:
        if self._ann is not None:
            return
        dim = self._space.dim
        rotation = faiss.RandomRotationMatrix(dim, dim)
        rotation.init(7)  # real embeddings have strong axes, which one bit a dimension needs spread out
        ann = faiss.IndexPreTransform(rotation, faiss.IndexRaBitQ(dim, faiss.METRIC_INNER_PRODUCT))
        sample = np.sort(np.random.default_rng(7).permutation(self._size)[:65_536])
        ann.train(self._rows[sample].astype(np.float32))
        for start in range(0, self._size, CHUNK):
            ann.add(self._rows[start : min(start + CHUNK, self._size)].astype(np.float32))
        self._ann = ann

    def _reserve(self, more: int, highest: int) -> None:
        if self._size + more > len(self._rows):
            room = max(2 * len(self._rows), self._size + more, 1024)
            rows, ordinals = np.empty((room, self._space.dim), np.float16), np.empty(room, np.uint32)
            rows[: self._size], ordinals[: self._size] = self._rows[: self._size], self._ordinals[: self._size]
            self._rows, self._ordinals = rows, ordinals
        if highest >= len(self._position):
            wider = np.full(max(2 * len(self._position), highest + 1), -1, np.int64)
            wider[: len(self._position)] = self._position
            self._position = wider

    def _pack(self) -> None:
        """Drop dead rows once there are many."""
        dead = self._size - len(self._alive)
        if dead < 1024 or dead < DEAD_SHARE * self._size:
            return
        places = np.sort(self._places(self._alive))
        self._rows, self._ordinals = self._rows[places], self._ordinals[places]
        self._size = len(places)
        self._position[:] = -1
        self._position[self._ordinals] = np.arange(self._size)
        self._ann = None

    def save(self, path: Path, applied: int) -> None:
        """Write the rows to a file, whole or not at all. ``applied``: the change of the catalogue they are up to."""
        with self._lock:
            places = np.sort(self._places(self._alive))
            body = io.BytesIO()
            np.savez(body, ordinals=self._ordinals[places], rows=self._rows[places], applied=np.int64(applied))
        content = body.getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(self._digest(content) + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(self._space.fingerprint.encode() + content).digest()

    def load(self, path: Path) -> int:
        """Read what `save` wrote and return its ``applied``; 0, and an empty index, for any other file or none."""
        with self._lock:
            self.clear()
            try:
                data = path.read_bytes()
            except OSError:
                return 0
            digest, content = data[:32], data[32:]
            if digest != self._digest(content):
                return 0
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                self._rows, self._ordinals = arrays["rows"], arrays["ordinals"]
                applied = int(arrays["applied"])
            self._size = len(self._ordinals)
            self._alive = bitmap_of(self._ordinals)
            if self._size:
                self._position = np.full(int(self._ordinals.max()) + 1, -1, np.int64)
                self._position[self._ordinals] = np.arange(self._size)
            return applied
