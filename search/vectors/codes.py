"""RaBitQ: one bit a dimension, from which an inner product is estimated well enough to choose whom to compare exactly.

Gao and Long, SIGMOD 2024; FAISS makes the codes, and `kernels` compares them. They are made with one rotation and one
centre, so that they can be scanned in *segments*, looked up for a filter, or grouped into *cells*, without being made
anew.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from search.types import Matrix, Scores, Vector
from search.vectors.parallel import cores
from search.vectors.rows import Places, RowView

Codes = NDArray[np.uint8]
"""Shape (rows, 8 × words + 8): a bit a dimension, then the two numbers that RaBitQ keeps of each row."""
Estimates = tuple[NDArray[np.int64], Scores]
"""Row numbers, and what their inner product is about."""

WORD = 64
"""Dimensions, and bits, that are looked at together; codes have whole words."""
LEVELS = 15
"""A query's weights are whole numbers between this and its negative: the sum of eight fits into a byte."""
SEGMENT = 131_072
"""Rows of a segment, at most: large enough to be worth a call, small enough to be shared between cores."""
CHUNK = 16_384
"""Rows that are widened to float32 at a time when codes are made of them."""
FEW = 256
SAMPLE = 65_536
PER_CELL = 64
"""Rows that each cell is trained on."""
MOST_CELLS = 2048
ASKED = 256
"""Rows that are asked for their own neighbours, to learn how many cells hold those."""
NEIGHBOURS = 10
COVERED = 0.99
"""Share of the true neighbours of rows that lie in the cells that are searched at first."""
BEGUN = 0.85
"""A search begins with so much of that: whoever needs more is noticed."""
LEAST_SHARE = 0.1
"""So much of an index is searched at least: queries need not be as near to a cell as rows are."""
THIN = 10
"""Neighbours are sought among all rows, and among one in so many: what a filter lets through."""


class Asked(NamedTuple):
    """A query as codes are compared with it: the estimate is ``base - f0 / 2 + f1 * (scale * sum - shift)``.

    ``f0`` and ``f1`` are the numbers of the row, ``sum`` that of the weights of the dimensions whose bit is set.
    """

    weights: NDArray[np.int8]
    """Shape (words, `WORD`)."""
    base: np.float32
    scale: np.float32
    shift: np.float32


class Wanted(NamedTuple):
    """Which rows are: bit r + ``shift`` is that of row r. Without any bits, all are."""

    bits: NDArray[np.uint8]
    shift: int


EVERYTHING = Wanted(np.empty(0, np.uint8), 0)


def kernels() -> ModuleType:
    """Return what scans codes: a compiler, which small libraries need not wait for."""
    from search.vectors import kernels as compiled

    return compiled


@dataclass(frozen=True)
class Coder:
    """Makes codes; the same one for all rows of an index."""

    rotation: Matrix
    """Its rows are the new axes. Real embeddings have strong ones, which one bit a dimension needs spread out. Rows of
    zeros make the dimensions whole words."""
    centre: Vector
    """Of the rotated rows."""

    @functools.cached_property
    def narrow(self) -> NDArray[Any]:
        """The rotation for queries, which are rounded more coarsely than it is."""
        half: NDArray[Any] = kernels().narrowed(self.rotation)
        return half

    @property
    def dim(self) -> int:
        return len(self.centre)

    @property
    def code_bytes(self) -> int:
        return self.dim // 8 + 8

    def encode(self, vectors: Matrix) -> Codes:
        """Return the codes of rows, shape (len(vectors), code_bytes)."""
        faiss.omp_set_num_threads(1 if len(vectors) <= CHUNK // 4 else cores())
        few = len(vectors) <= FEW  # more are better multiplied by NumPy, whose threads then spin for a while
        turned = [kernels().dots(self.rotation, one) for one in vectors] if few else vectors @ self.rotation.T
        codes: Codes = self.scanner().sa_encode(np.asarray(turned, np.float32).reshape(-1, self.dim))
        return codes

    def scanner(self) -> Any:
        """Return an empty index of FAISS that makes these codes, and could scan them."""
        index = faiss.IndexRaBitQ(self.dim, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(self.centre, index.center)
        index.is_trained = True
        return index

    def asked(self, query: Vector) -> Asked:
        """Return a query as codes are compared with it.

        A code tells of a row x the signs of x - c, f0 = |x - c|² - |x|² and f1, which makes the inner product of signs
        and another vector, over the root of the dimensions, an estimate of that of x - c and the other.
        """
        rotated = kernels().dots(self.narrow, query)
        apart = rotated - self.centre
        step = max(float(np.abs(apart).max()), 1e-12) / LEVELS
        weights = np.rint(apart / np.float32(step)).astype(np.int8)
        one = step / math.sqrt(self.dim)
        base = float(rotated @ self.centre) - float(self.centre @ self.centre) / 2
        numbers = (base, 2 * one, one * int(weights.sum(dtype=np.int64)))
        return Asked(weights.reshape(-1, WORD), *map(np.float32, numbers))


def trained(vectors: Matrix) -> Coder:
    """Return a coder for rows like these."""
    dim = vectors.shape[1]
    rotation = np.zeros((-(-dim // WORD) * WORD, dim), np.float32)
    rotation[:dim] = np.linalg.qr(np.random.default_rng(7).standard_normal((dim, dim)))[0]
    return Coder(rotation, (vectors @ rotation.T).mean(axis=0, dtype=np.float64).astype(np.float32))


class Segment:
    """The codes of rows that follow each other. Never changed once made."""

    def __init__(self, first: int, codes: Codes) -> None:
        self.first = first
        self.codes = np.ascontiguousarray(codes)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def last(self) -> int:
        return self.first + len(self.codes)

    def search(self, asked: Asked, count: int, wanted: Wanted = EVERYTHING) -> Estimates:
        """Return the rows with the greatest estimates, in any order."""
        start, size = np.zeros(1, np.int64), np.array([len(self.codes)])
        wanted = Wanted(wanted.bits, self.first + wanted.shift)
        places, scores = kernels().scanned(self.codes, start, size, asked, count, wanted)
        return places + self.first, scores


def appended(segments: Sequence[Segment], first: int, codes: Codes) -> tuple[Segment, ...]:
    """Return the segments with some more codes, neighbours of a like size put together: there are never many."""
    parts: list[tuple[int, list[Codes]]] = [(one.first, [one.codes]) for one in segments]
    fresh = len(parts)
    for start in range(0, len(codes), SEGMENT):
        parts.append((first + start, [codes[start : start + SEGMENT]]))
        while len(parts) > 1:
            before, last = (sum(map(len, some)) for _, some in parts[-2:])
            if before > 2 * last or before + last > SEGMENT:
                break
            parts[-2:] = [(parts[-2][0], parts[-2][1] + parts[-1][1])]
            fresh = min(fresh, len(parts) - 1)
    return (*segments[:fresh], *(Segment(start, np.concatenate(some)) for start, some in parts[fresh:]))


@dataclass(frozen=True, slots=True)
class CellArrays:
    """What cells are made of, as it is kept on disk. Rows lie cell by cell, each cell begins at one of ``starts``."""

    codes: Codes
    rows: NDArray[np.int64]
    place_of: NDArray[np.int32]
    """By row, where its code is; -1 for rows that were dead when the cells were made."""
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    centres: Matrix
    coverage: NDArray[np.float32]
    """The share of the rows that lies in the cells to be searched: of all rows, and of one in `THIN`."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """Cells in the order in which they are near to a query."""

    order: NDArray[np.int64]
    held: NDArray[np.float64]
    """The share of the wanted rows in the cells up to each."""

    def enough(self, share: float) -> int:
        """Return how many cells hold that share of the wanted rows."""
        return min(len(self.held), int(np.searchsorted(self.held, share)) + 1)

    def depth(self, cells: Cells, rows: Places) -> NDArray[np.float64]:
        """Return for each row the share of the wanted ones that lies in nearer cells than its own."""
        rank = np.empty(len(self.order), np.int64)
        rank[self.order] = np.arange(len(self.order))
        before = np.concatenate([[0.0], self.held])
        return np.asarray(before[rank[cells.of(rows)]])


class Cells:
    """Codes grouped around centres, mapped from a file: only the cells nearest to a query are scanned."""

    def __init__(self, arrays: CellArrays) -> None:
        """Raises ValueError where a cell is not where codes are."""
        ends = arrays.starts + arrays.sizes
        if min(arrays.starts.min(), arrays.sizes.min()) < 0 or ends.max() > min(len(arrays.codes), len(arrays.rows)):
            raise ValueError("cells beyond their codes")
        self.arrays = arrays
        self.upto = len(arrays.place_of)
        self.count = int(arrays.sizes.sum())
        self._whole, self._thin = (float(share) for share in arrays.coverage)

    @functools.cached_property
    def _centres(self) -> NDArray[Any]:
        """The centres for queries. Who opens an index to write to it needs no compiler for them."""
        half: NDArray[Any] = kernels().narrowed(self.arrays.centres)
        return half

    def share(self, allowed: float) -> float:
        """Return the share of the rows to look through, where a filter lets that share of all of them through."""
        depth = -math.log(max(allowed, 1e-9)) / math.log(THIN)
        return min(1.0, max(LEAST_SHARE, BEGUN * (self._whole + (self._thin - self._whole) * depth)))

    def near(self, query: Vector, rows: Places | None) -> Nearness:
        """Return the cells by nearness to a query; ``rows``: some of those that are wanted, if not all are."""
        sizes: NDArray[np.integer[Any]] = self.arrays.sizes
        if rows is not None and len(rows):
            sizes = np.bincount(self.of(rows), minlength=len(self.arrays.starts))
        order = np.argsort(-kernels().dots(self._centres, query))
        held = np.cumsum(sizes[order])
        return Nearness(np.asarray(order, np.int64), np.asarray(held / held[-1], np.float64))

    def of(self, rows: Places) -> NDArray[np.intp]:
        """Return the cell of each row."""
        return np.searchsorted(self.arrays.starts, self.arrays.place_of[rows], side="right") - 1

    def touch(self) -> None:
        """Look at each page once: the first searches would else wait for thousands of them, one after the other."""
        self.arrays.codes[::32, 0].sum()
        self.arrays.rows[::512].sum()
        self.arrays.place_of[::1024].sum()

    def search(self, asked: Asked, cells: NDArray[np.int64], count: int, wanted: Wanted = EVERYTHING) -> Estimates:
        """Return the rows of some cells with the greatest estimates, in any order."""
        here = self.arrays
        runs = here.starts[cells], here.sizes[cells]
        places, scores = kernels().scanned(here.codes, *runs, asked, count, wanted, here.rows)
        return here.rows[places], scores


def gathered(
    cells: Cells | None, segments: Sequence[Segment], rows: NDArray[np.int32], asked: Asked, count: int
) -> list[Estimates]:
    """Return those of some rows with the greatest estimates, in any order, where each part of the codes has them."""
    found = []
    if cells is not None:
        old = rows[rows < cells.upto] if len(rows) and rows.max() >= cells.upto else rows
        numbers, scores = kernels().picked(cells.arrays.codes, cells.arrays.place_of.take(old), asked, count)
        found.append((old[numbers].astype(np.int64), scores))
        rows = rows[rows >= cells.upto] if len(old) < len(rows) else rows[:0]
    for one in segments if len(rows) else ():
        here = rows[(rows >= one.first) & (rows < one.last)]
        numbers, scores = kernels().picked(one.codes, here - np.int32(one.first), asked, count)
        found.append((here[numbers].astype(np.int64), scores))
    return found


def cells_for(count: int) -> int:
    """Return how many cells so many rows are put into: about the root of their number, a power of two."""
    return int(min(MOST_CELLS, max(16, 2 ** round(math.log2(max(1, count)) / 2))))


def in_cells(coder: Coder, rows: RowView, alive: NDArray[np.int64], codes: Codes) -> CellArrays:
    """Return the codes of living rows put into cells, with how many of those hold the neighbours of a row.

    ``alive``: their numbers, ascending; ``codes``: in the same order.
    """
    rng = np.random.default_rng(7)
    count = cells_for(len(alive))
    some = np.sort(rng.permutation(len(alive))[: PER_CELL * count])
    faiss.omp_set_num_threads(cores())
    kmeans = faiss.Kmeans(coder.dim, count, niter=10, seed=7, min_points_per_centroid=1)
    kmeans.train(rows.take(alive[some]).astype(np.float32))
    centres = np.asarray(kmeans.centroids, np.float32)
    nearest = faiss.IndexFlatL2(coder.dim)
    nearest.add(centres)
    asked = np.sort(rng.permutation(len(alive))[:ASKED])
    queries = rows.take(alive[asked]).astype(np.float32)
    thin = rng.random(len(alive)) * THIN < 1
    whole_best, thin_best = _Best(asked), _Best(asked)
    cell = np.empty(len(alive), np.int32)
    for start in range(0, len(alive), CHUNK):
        block = rows.take(alive[start : start + CHUNK]).astype(np.float32)
        cell[start : start + len(block)] = nearest.search(block, 1)[1][:, 0]
        scores = queries @ block.T
        whole_best.see(start, scores)
        thin_best.see(start, np.where(thin[start : start + len(block)], scores, -np.inf))
    sizes = np.bincount(cell, minlength=count).astype(np.int64)
    order = np.argsort(cell, kind="stable")
    places = np.empty(len(alive), np.int32)
    places[order] = np.arange(len(alive))
    place_of = np.full(len(rows), -1, np.int32)
    place_of[alive] = places
    coverage = [best.coverage(queries @ centres.T, cell, sizes) for best in (whole_best, thin_best)]
    starts = np.cumsum(sizes) - sizes
    coverages = np.array(coverage, np.float32)
    return CellArrays(codes[order], alive[order], place_of, starts, sizes, centres, coverages)


class _Best:
    """The nearest rows of each row that is asked, itself left out."""

    def __init__(self, asked: NDArray[np.int64]) -> None:
        self._asked = asked
        self._scores = np.full((len(asked), NEIGHBOURS), -np.inf, np.float32)
        self._places = np.zeros((len(asked), NEIGHBOURS), np.int64)

    def see(self, start: int, scores: Matrix) -> None:
        own = np.flatnonzero((self._asked >= start) & (self._asked < start + scores.shape[1]))
        scores = np.concatenate([self._scores, scores], axis=1)
        scores[own, NEIGHBOURS + self._asked[own] - start] = -np.inf
        places = np.concatenate(
            [
                self._places,
                np.broadcast_to(
                    np.arange(start, start + scores.shape[1] - NEIGHBOURS), (len(scores), scores.shape[1] - NEIGHBOURS)
                ),
            ],
            axis=1,
        )
        order = np.argpartition(-scores, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        self._scores = np.take_along_axis(scores, order, 1)
        self._places = np.take_along_axis(places, order, 1)

    def coverage(self, nearness: Matrix, cell: NDArray[np.int32], sizes: NDArray[np.int64]) -> float:
        """Return the share of the rows that lies in the cells up to those of nearly all of the neighbours."""
        order = np.argsort(-nearness, axis=1)
        passed = np.cumsum(sizes[order], axis=1) / sizes.sum()
        by_cell = np.empty_like(passed)
        np.put_along_axis(by_cell, order, passed, 1)
        needed = np.take_along_axis(by_cell, cell[self._places], 1)[np.isfinite(self._scores)]
        return float(np.quantile(needed, COVERED)) if len(needed) else 1.0
