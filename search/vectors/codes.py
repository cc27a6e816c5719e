"""RaBitQ: one bit a dimension, from which an inner product is estimated well enough to choose whom to compare exactly.

Gao and Long, SIGMOD 2024; FAISS has the kernels. Codes are made with one rotation and one centre, so that they can be
scanned in *segments*, gathered for a filter, or grouped into *cells*, without being made anew.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from search.products import products
from search.types import Matrix, Scores, Vector
from search.vectors.parallel import cores
from search.vectors.rows import Places, RowView

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]
Estimates = tuple[NDArray[np.int64], Scores]
"""Row numbers, and what their inner product is about."""

QUERY_BITS = 4
SEGMENT = 131_072
"""Rows of a segment, at most: large enough to be worth a call, small enough to be shared between cores."""
CHUNK = 16_384
"""Rows that are widened to float32 at a time when codes are made of them."""
SAMPLE = 65_536
PER_CELL = 64
"""Rows that each cell is trained on."""
MOST_CELLS = 2048
ASKED = 256
"""Rows that are asked for their own neighbours, to learn how many cells hold those."""
NEIGHBOURS = 10
COVERED = 0.99
"""Share of the true neighbours of rows that lie in the cells that are searched at first."""
LEAST_SHARE = 0.1
"""So much of an index is searched at least: queries need not be as near to a cell as rows are."""
THIN = 10
"""Neighbours are sought among all rows, and among one in so many: what a filter lets through."""

_scratch = threading.local()


def one_thread() -> None:
    """Keep FAISS to the calling thread: its OpenMP teams, one for each thread that calls, spin while they wait."""
    faiss.omp_set_num_threads(1)


@dataclass(frozen=True, slots=True)
class Coder:
    """Makes codes; the same one for all rows of an index."""

    rotation: Matrix
    """Its rows are the new axes. Real embeddings have strong ones, which one bit a dimension needs spread out."""
    centre: Vector
    """Of the rotated rows."""

    @property
    def dim(self) -> int:
        return len(self.centre)

    @property
    def code_bytes(self) -> int:
        return (self.dim + 7) // 8 + 8

    def rotated(self, vectors: Matrix) -> Matrix:
        return products(vectors, self.rotation)

    def encode(self, vectors: Matrix) -> Codes:
        """Return the codes of rows, shape (len(vectors), code_bytes)."""
        faiss.omp_set_num_threads(1 if len(vectors) <= CHUNK // 4 else cores())
        codes: Codes = self.scanner().sa_encode(self.rotated(vectors))
        return codes

    def scanner(self) -> Any:
        """Return an empty index of FAISS that takes these codes."""
        index = faiss.IndexRaBitQ(self.dim, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(self.centre, index.center)
        index.is_trained = True
        return index


def trained(vectors: Matrix) -> Coder:
    """Return a coder for rows like these."""
    dim = vectors.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(7).standard_normal((dim, dim)))[0].astype(np.float32)
    return Coder(rotation, (vectors @ rotation.T).mean(axis=0, dtype=np.float64).astype(np.float32))


class Segment:
    """The codes of rows that follow each other. Never changed once made."""

    def __init__(self, coder: Coder, first: int, codes: Codes) -> None:
        self.first = first
        self.codes = np.ascontiguousarray(codes)
        self._index = coder.scanner()
        self._index.add_sa_codes(self.codes)
        self.codes = _codes_of(self._index, coder.code_bytes)  # kept once, in FAISS

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def last(self) -> int:
        return self.first + len(self.codes)

    def search(self, rotated: Matrix, count: int, mask: Mask | None) -> Estimates:
        """Return the rows with the greatest estimates, in any order; ``mask``: by row, which of them are wanted."""
        one_thread()
        options: dict[str, Any] = {"qb": QUERY_BITS}
        if mask is not None:
            bits = np.packbits(mask[self.first : self.last], bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        scores, rows = self._index.search(rotated, count, params=faiss.RaBitQSearchParameters(**options))
        found = rows[0] >= 0
        return rows[0][found] + self.first, scores[0][found]


def appended(segments: Sequence[Segment], coder: Coder, first: int, codes: Codes) -> tuple[Segment, ...]:
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
    return (*segments[:fresh], *(Segment(coder, start, np.concatenate(some)) for start, some in parts[fresh:]))


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

    def __init__(self, coder: Coder, arrays: CellArrays, file: Path, offset: int) -> None:
        """``arrays``: views of the file, ``offset``: where its codes begin, which the rows follow without a gap."""
        self.arrays = arrays
        self.upto = len(arrays.place_of)
        self.count = int(arrays.sizes.sum())
        self._dim, size = coder.dim, coder.code_bytes
        self._lists = faiss.OnDiskInvertedLists()
        self._lists.nlist, self._lists.code_size = len(arrays.starts), size
        self._lists.filename, self._lists.read_only = str(file), True
        self._lists.totsize = file.stat().st_size
        end = offset + size * len(arrays.rows)
        for start, count in zip(arrays.starts.tolist(), arrays.sizes.tolist(), strict=True):
            one = faiss.OnDiskOneList()
            one.size, one.offset = count, offset + size * start
            # FAISS looks for the numbers of a list right behind its room, so the room reaches as far as they are.
            one.capacity, rest = divmod(end + 8 * start - one.offset, size)
            assert rest == 0  # noqa: S101 (`step` sees to it)
            self._lists.lists.push_back(one)  # type: ignore[attr-defined]
        self._lists.do_mmap()
        # FAISS asks for the centre of each list; it is one and the same, and kept once: all are its first codeword.
        self._same = faiss.IndexPQ(coder.dim, 1, 1, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(np.concatenate([coder.centre] * 2), self._same.pq.centroids)
        self._same.is_trained = True
        self._same.add_sa_codes(np.zeros((len(arrays.starts), 1), np.uint8))
        self._index = faiss.IndexIVFRaBitQ(self._same, coder.dim, len(arrays.starts), faiss.METRIC_INNER_PRODUCT)
        self._index.is_trained = True
        self._index.replace_invlists(self._lists, False)
        self._index.ntotal = self.count

    def share(self, allowed: float) -> float:
        """Return the share of the rows to look through, where a filter lets that share of all of them through."""
        whole, thin = (float(share) for share in self.arrays.coverage)
        depth = -math.log(max(allowed, 1e-9)) / math.log(THIN)
        return float(np.clip(whole + (thin - whole) * depth, LEAST_SHARE, 1.0))

    def near(self, query: Vector, rows: Places | None) -> Nearness:
        """Return the cells by nearness to a query; ``rows``: some of those that are wanted, if not all are."""
        sizes: NDArray[np.integer[Any]] = self.arrays.sizes
        if rows is not None and len(rows):
            sizes = np.bincount(self.of(rows), minlength=len(self.arrays.starts))
        order = np.argsort(-products(query[None], self.arrays.centres)[0])
        held = np.cumsum(sizes[order])
        return Nearness(np.asarray(order, np.int64), np.asarray(held / held[-1], np.float64))

    def of(self, rows: Places) -> NDArray[np.intp]:
        """Return the cell of each row."""
        return np.searchsorted(self.arrays.starts, self.arrays.place_of[rows], side="right") - 1

    def touch(self) -> None:
        """Look at each page once: the first searches would else wait for thousands of them, one after the other."""
        nothing = np.zeros((1, self._dim), np.float32)
        self.search(nothing, np.arange(len(self.arrays.starts)), 1, None)
        self.arrays.codes[::32, 0].sum()

    def search(self, rotated: Matrix, cells: NDArray[np.int64], count: int, wanted: Bits | None) -> Estimates:
        """Return the rows of some cells with the greatest estimates, in any order; ``wanted``: by row, a bit each."""
        one_thread()
        options: dict[str, Any] = {"qb": QUERY_BITS, "nprobe": len(cells)}
        if wanted is not None:
            options["sel"] = faiss.IDSelectorBitmap(wanted)  # type: ignore[call-arg, arg-type]
        parameters = faiss.IVFRaBitQSearchParameters(**options)
        cells = np.ascontiguousarray(cells)
        nothing = np.zeros(len(cells), np.float32)
        scores, rows = np.empty(count, np.float32), np.empty(count, np.int64)
        pointer = faiss.swig_ptr
        self._index.search_preassigned_c(  # type: ignore[attr-defined]
            *(1, pointer(rotated), count, pointer(cells), pointer(nothing), pointer(scores), pointer(rows)),
            False,
            parameters,
        )
        found = rows >= 0
        return rows[found], scores[found]


def gathered(
    coder: Coder, cells: Cells | None, segments: Sequence[Segment], rows: Places, rotated: Matrix, count: int
) -> Estimates:
    """Return those of some rows with the greatest estimates, in any order: their codes are copied together first."""
    one_thread()
    size = coder.code_bytes
    index = getattr(_scratch, "index", None)
    if index is None or _scratch.coder is not coder:
        index, _scratch.coder = coder.scanner(), coder
        _scratch.index = index
    index.codes.resize(len(rows) * size)
    codes = _codes_of(index, size)
    places = np.arange(len(rows))
    border = 0 if cells is None else cells.upto
    if cells is not None:
        old = rows < border
        if old.all():
            cells.arrays.codes.take(cells.arrays.place_of[rows], axis=0, out=codes, mode="clip")
            places = places[:0]
        else:
            codes[old] = cells.arrays.codes[cells.arrays.place_of[rows[old]]]
            places = np.flatnonzero(~old)
    if len(places):
        for one in segments:
            here = places[(rows[places] >= one.first) & (rows[places] < one.last)]
            codes[here] = one.codes[rows[here] - one.first]
    index.ntotal = len(rows)
    parameters = faiss.RaBitQSearchParameters(qb=QUERY_BITS)  # type: ignore[call-arg]
    scores, found = index.search(rotated, min(count, len(rows)), params=parameters)
    kept = found[0] >= 0
    return rows[found[0][kept]].astype(np.int64), scores[0][kept]


def _codes_of(index: Any, size: int) -> Codes:
    codes: Codes = faiss.rev_swig_ptr(index.codes.data(), index.codes.size()).reshape(-1, size)
    return codes


def step(code_bytes: int) -> int:
    """Return what the start of each cell is a multiple of, so that FAISS finds codes and row numbers in one file."""
    return code_bytes // math.gcd(8, code_bytes)


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
    one_thread()
    sizes = np.bincount(cell, minlength=count).astype(np.int64)
    wide = step(coder.code_bytes)
    room = -(-sizes // wide) * wide
    starts = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
    total = int(-(-starts[-1] // (8 * wide)) * 8 * wide)
    order = np.argsort(cell, kind="stable")
    places = np.empty(len(alive), np.int32)
    places[order] = np.repeat(starts[:-1] - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(alive))
    kept, numbers = np.zeros((total, coder.code_bytes), np.uint8), np.full(total, -1, np.int64)
    kept[places], numbers[places] = codes, alive
    place_of = np.full(len(rows), -1, np.int32)
    place_of[alive] = places
    coverage = [best.coverage(queries @ centres.T, cell, sizes) for best in (whole_best, thin_best)]
    return CellArrays(kept, numbers, place_of, starts[:-1], sizes, centres, np.array(coverage, np.float32))


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
