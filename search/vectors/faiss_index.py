"""Nearest vectors: exact scans of half-precision rows, and RaBitQ codes with exact comparison of the best for many.

There is no graph: a filter makes a lookup faster and never less complete, adding is encoding, deleting is a mask
(docs/adr/0004 and 0013 have the measurements). What is scanned is chosen by `search.planner.cheapest`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search import mapped_files as files
from search import planner
from search.bitmaps import bitmap_of, bits_of, ordinals_of
from search.planner import Costs, Lookup, Task
from search.types import EmbeddingSpace, Matrix, Ordinals, Scores, Vector
from search.vectors.codes import (
    CHUNK,
    EVERYTHING,
    SAMPLE,
    WORD,
    CellArrays,
    Cells,
    Coder,
    Estimates,
    Nearness,
    Segment,
    Wanted,
    appended,
    gathered,
    in_cells,
    kernels,
    trained,
)
from search.vectors.parallel import beside, cores, in_parts
from search.vectors.rows import AddedRows, Half, Places, RowView

CODED_FROM = 20_000
"""So many rows get codes."""
CELLS_FROM = 100_000
"""So many rows are put into cells when the index is saved."""
LOOSE_SHARE = 0.25
"""Rows outside the cells, or dead in them, at which the cells are made anew."""
DEAD_SHARE = 0.25
"""Dead rows at which the others are packed together."""
LEAST_DEAD = 1024
COMPARED = 400
"""The best by estimate that are compared exactly at first."""
WIDEN = 4
"""So many times as many come next. They are estimated at once, which costs hardly more than the first alone."""
MOST_COMPARED = 25_600
ERRORS = 2.25
"""More are compared until no other can be among the nearest ten unless its estimate is wrong by so many standard
deviations: of texts, which lie far from all pictures, and of filters that exclude what is near, 400 are too few."""
SURE_OF = 10
WIDER = 2
INNER = 0.45
"""If any of the nearest ten is not in this inner part of the cells that were searched, twice as many cells are. So it
is with queries that lie where no row does, whose neighbours are anywhere."""
COUNTED = 1024
"""Wanted rows, about, that are looked at to know how many of them each cell holds."""
SHARED_FROM = 6_000
"""From so many codes on a scan is worth sharing between cores."""
FEW = 200
"""So many rows are sorted without first looking for the best."""
SHIFTS = 1000
DEAD = np.uint32(0xFFFFFFFF)
"""The ordinal of a row on disk that is dead."""


@dataclass(frozen=True, slots=True)
class _State:
    """An index at one moment. A search works on one of them; a change puts another in its place.

    Only what no older state looks at is ever written to: rows, ordinals, and numbers of ordinals that are new.
    """

    rows: RowView
    ordinals: NDArray[np.uint32]
    """By row; longer than there are rows."""
    row_of: NDArray[np.int32]
    """By ordinal; -1 where there is none, and no row that this state has where it is younger."""
    alive: BitMap
    shift: int = 0
    """What the ordinals of most images have above the number of their row: of all that were indexed once, in order."""
    moved: BitMap = field(default_factory=BitMap)
    """The ordinals that are not so."""
    coder: Coder | None = None
    cells: Cells | None = None
    segments: tuple[Segment, ...] = ()

    @property
    def coded(self) -> int:
        """How many rows have codes, dead ones too."""
        return (0 if self.cells is None else self.cells.count) + sum(map(len, self.segments))

    def rows_of(self, within: BitMap) -> NDArray[np.int32]:
        """Return the rows of some living images, in any order."""
        moved = within & self.moved if self.moved else BitMap()
        rows = ordinals_of(within - moved if moved else within).view(np.int32) - np.int32(self.shift)
        return np.concatenate([rows, self.row_of[ordinals_of(moved)]]) if moved else rows

    def wanted(self, within: BitMap) -> Wanted:
        """Return which rows those of a set of living images are."""
        moved = within & self.moved
        bits = bits_of(within - moved, self.shift + len(self.rows))
        if moved:
            others = self.row_of[ordinals_of(moved)].astype(np.int64) + self.shift
            np.bitwise_or.at(bits, others >> 3, np.uint8(1) << (others & 7).astype(np.uint8))
        return Wanted(bits, self.shift)

    def some_of(self, wanted: Wanted, share: float) -> NDArray[np.int64]:
        """Return some of the wanted rows, evenly drawn, of those that are in a cell; ``share``: of all rows."""
        assert self.cells is not None  # noqa: S101 (asked for only where there are cells)
        step = int(self.cells.upto * share / COUNTED) | 1  # odd: filters may let every other image through
        rows = np.arange(0, self.cells.upto, step, dtype=np.int64)
        bits = rows + wanted.shift
        there = (wanted.bits[bits >> 3] >> (bits & 7).astype(np.uint8)) & 1
        return rows[np.flatnonzero(there)]

    def rows_if_there(self, ordinals: Ordinals) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return the row of each ordinal, and whether it has one."""
        rows = np.full(len(ordinals), -1, np.int32)
        known = ordinals < len(self.row_of)
        rows[known] = self.row_of[ordinals[known]]
        return rows, (rows >= 0) & (rows < len(self.rows))


class FaissIndex:
    """Satisfies `search.protocols.VectorIndex`. Safe to use from several threads: searches wait for nobody.

    Rows are only ever appended; a replaced or removed row is dead until a quarter are, and then all are packed anew.
    """

    def __init__(
        self,
        space: EmbeddingSpace,
        *,
        coded_from: int = CODED_FROM,
        cells_from: int = CELLS_FROM,
        costs: Costs = planner.COSTS,
        folder: Path | None = None,
    ) -> None:
        """``folder``: where rows go that do not fit into memory; the system's for temporary files if not said."""
        self._space = space
        self._coded_from = coded_from
        self._cells_from = cells_from
        self._costs = costs
        self._folder = folder
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._added = AddedRows(self._space.dim, self._folder)
            self._state = self._empty()
            self._saved: tuple[str, int, int] | None = None

    def _empty(self) -> _State:
        nothing = np.empty((0, self._space.dim), np.float16)
        return _State(RowView(nothing, nothing), np.empty(0, np.uint32), np.empty(0, np.int32), BitMap())

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def __len__(self) -> int:
        return len(self._state.alive)

    # Changing

    def add(self, ordinals: Ordinals, vectors: Matrix) -> None:
        if not len(ordinals):
            return
        with self._lock:
            # The last of several vectors for one ordinal counts, as it would one call after the other.
            last = len(ordinals) - 1 - np.unique(ordinals[::-1], return_index=True)[1]
            ordinals, rows = ordinals[last], np.asarray(vectors[last]).astype(np.float16)
            self._state = self._coded(self._with_rows(self._state, ordinals, rows))
            self._pack()

    def _with_rows(self, state: _State, ordinals: Ordinals, rows: Half) -> _State:
        size = len(state.rows)
        self._added.append(rows)
        numbers = _with_room(state.ordinals, size + len(rows), np.uint32(0))
        numbers[size : size + len(rows)] = ordinals
        row_of = _with_room(state.row_of, int(ordinals.max()) + 1, np.int32(-1))
        if row_of is state.row_of and (row_of[ordinals] >= 0).any():
            row_of = row_of.copy()  # searches that run look these up
        row_of[ordinals] = np.arange(size, size + len(rows))
        view = RowView(state.rows.saved, self._added.view())
        numbered = np.arange(size, size + len(rows))
        shift = state.shift if len(state.alive) else _shift(numbered, ordinals)
        moved = state.moved - bitmap_of(ordinals) | bitmap_of(ordinals[ordinals != numbered + shift])
        return replace(
            state,
            rows=view,
            ordinals=numbers,
            row_of=row_of,
            alive=state.alive | bitmap_of(ordinals),
            shift=shift,
            moved=moved,
        )

    def _coded(self, state: _State) -> _State:
        """Return the state with codes for all its rows, if they are enough to need some."""
        size = len(state.rows)
        if state.coder is None:
            if size < self._coded_from:
                return state
            sample = np.sort(np.random.default_rng(7).permutation(size)[:SAMPLE])
            state = replace(state, coder=trained(state.rows.take(sample).astype(np.float32)))
        assert state.coder is not None  # noqa: S101 (just made)
        first = state.segments[-1].last if state.segments else 0 if state.cells is None else state.cells.upto
        for start in range(first, size, CHUNK):
            rows = state.rows.take(np.arange(start, min(start + CHUNK, size)))
            codes = state.coder.encode(rows.astype(np.float32))
            state = replace(state, segments=appended(state.segments, start, codes))
        return state

    def remove(self, ordinals: BitMap) -> int:
        with self._lock:
            state = self._state
            present = state.alive & ordinals
            if not present:
                return 0
            row_of = state.row_of.copy()  # searches that run look them up
            row_of[ordinals_of(present)] = -1
            self._state = replace(state, row_of=row_of, alive=state.alive - present)
            self._pack()
            return len(present)

    def _pack(self) -> None:
        """Drop dead rows once there are many. Searches go on meanwhile."""
        dead = len(self._state.rows) - len(self._state.alive)
        if dead >= LEAST_DEAD and dead >= DEAD_SHARE * len(self._state.rows):
            self._state = self._packed(self._state)

    def _packed(self, state: _State) -> _State:
        living = np.sort(state.rows_of(state.alive))
        self._added, self._saved = AddedRows(self._space.dim, self._folder), None
        packed = replace(self._empty(), coder=state.coder)
        for start in range(0, len(living), CHUNK):
            some = living[start : start + CHUNK]
            packed = self._with_rows(packed, state.ordinals[some], state.rows.take(some))
            if state.coder is not None:
                codes = _codes(state, some)
                packed = replace(packed, segments=appended(packed.segments, start, codes))
        return packed

    # Searching

    def search(
        self, queries: Matrix, k: int, *, allowed: BitMap | None = None, exact: bool = False
    ) -> list[tuple[Ordinals, Scores]]:
        state = self._state
        within = state.alive if allowed is None else state.alive & allowed
        lookup = Lookup.EXACT if exact else self.lookup(len(within))
        if lookup is Lookup.EXACT:
            rows = state.rows_of(within)
            return [_best(state, rows, state.rows.cosines(query, rows), k) for query in queries]
        return [self._approximate(state, query, within, k, lookup) for query in queries]

    def lookup(self, allowed: int) -> Lookup:
        """Return how the nearest of so many allowed images are found."""
        state = self._state
        if state.coder is None or allowed <= COMPARED:
            return Lookup.EXACT
        return planner.cheapest(self.task(allowed), self._costs)

    def task(self, allowed: int) -> Task:
        """Return what there is to do where so many images are allowed."""
        state = self._state
        share = allowed / max(1, len(state.alive))
        scanned = float(sum(map(len, state.segments)))
        if state.cells is not None:
            scanned += state.cells.share(share) * state.cells.count
        return Task(allowed, scanned, allowed == state.coded, share)

    def scores(self, query: Matrix, ordinals: Ordinals) -> Scores:
        state = self._state
        rows, found = state.rows_if_there(ordinals)
        if found.all():
            return state.rows.cosines(query.reshape(-1), rows)
        result = np.full(len(ordinals), np.nan, np.float32)
        result[found] = state.rows.cosines(query.reshape(-1), rows[found])
        return result

    def differing(self, ordinals: Ordinals, vectors: Matrix) -> int:
        """Return for how many of the ordinals there is no vector, or one that points elsewhere."""
        state = self._state
        rows, there = state.rows_if_there(ordinals)
        held = state.rows.take(rows[there]).astype(np.float32)
        cosines = np.einsum("ij,ij->i", held, vectors[there])
        return len(ordinals) - int((np.abs(cosines - 1) < 0.01).sum())

    def _approximate(
        self, state: _State, query: Vector, within: BitMap, k: int, lookup: Lookup
    ) -> tuple[Ordinals, Scores]:
        """Return the best k by exact cosine of those that look best by their codes, as many as that takes."""
        look: _Look = (_Gathered if lookup is Lookup.GATHER else _Scanned)(state, query, within)
        while True:
            rows, cosines = _compared(state, query, look, k)
            if not look.widened(rows[np.argsort(-cosines)[:SURE_OF]]):
                return _best(state, rows, cosines, k)

    # Keeping

    def save(self, folder: Path, applied: int) -> None:
        """Write the index into a folder, whole or not at all, and go on from there.

        ``applied``: the change of the catalogue that it is up to. Where another process has kept as much since this
        one read it, nothing is written.
        """
        with self._lock, files.locked(folder):
            there = files.read_state(folder)
            if there is None or not self._is_ours(there):
                self._saved = None
            elif self._saved is not None and self._saved[:2] != _rows_kept(there):
                if there["applied"] >= applied:
                    return
                self._saved = None
            elif self._saved is not None and there["applied"] == applied:
                return
            self._write(folder, applied, there)
            self._open(folder)

    def _is_ours(self, there: dict[str, Any]) -> bool:
        return bool(there.get("space") == self._space.fingerprint and there.get("dim") == self._space.dim)

    def _write(self, folder: Path, applied: int, there: dict[str, Any] | None) -> None:
        state = self._state
        saved = len(state.rows.saved) if self._saved is not None else 0
        name = self._saved[0] if self._saved is not None else None
        blocks = (rows for first, rows in state.rows.blocks(CHUNK) if first >= saved)
        kept: dict[str, Any] = {"space": self._space.fingerprint, "dim": self._space.dim, "applied": applied}
        kept["rows"] = files.append_rows(folder, name, 2 * self._space.dim * saved, blocks)
        cells = self._cells_wanted(state)
        if cells is not None:
            kept["cells"] = files.write_sections(folder, "cells", _fields(cells))
            segments: tuple[Segment, ...] = ()
        else:
            if state.cells is not None and self._saved is not None and there is not None:
                kept["cells"] = there["cells"]
            elif state.cells is not None:
                kept["cells"] = files.write_sections(folder, "cells", _fields(state.cells.arrays))
            segments = state.segments
        ordinals = state.ordinals[: len(state.rows)].copy()
        alive = state.wanted(state.alive)
        ordinals[np.unpackbits(alive.bits, bitorder="little")[alive.shift :][: len(ordinals)] == 0] = DEAD
        rest: dict[str, NDArray[Any]] = {"ordinals": ordinals}
        if state.coder is not None:
            rest |= {"rotation": state.coder.rotation, "centre": state.coder.centre}
            codes = [one.codes for one in segments]
            rest["codes"] = np.concatenate([np.empty((0, state.coder.code_bytes), np.uint8), *codes])
        kept["rest"] = files.write_sections(folder, "rest", rest)
        files.write_state(folder, kept)

    def _cells_wanted(self, state: _State) -> CellArrays | None:
        """Return the rows in cells, if there are enough of them and they are not so already."""
        if state.coder is None or len(state.alive) < self._cells_from:
            return None
        in_place = 0 if state.cells is None else state.cells.count
        loose = sum(map(len, state.segments)) + (state.coded - len(state.alive))
        if in_place and loose < LOOSE_SHARE * in_place:
            return None
        living = np.sort(state.rows_of(state.alive)).astype(np.int64)
        return in_cells(state.coder, state.rows, living, _codes(state, living))

    def load(self, folder: Path) -> int:
        """Open what `save` wrote and return its ``applied``; 0, and an empty index, for anything else or nothing."""
        with self._lock:
            self.clear()
            for _ in range(3):  # files may be replaced while they are opened
                try:
                    return self._open(folder)
                except FileNotFoundError:
                    continue
                except (files.Damaged, OSError, KeyError, TypeError, ValueError, IndexError):
                    break
            self.clear()
            return 0

    def _open(self, folder: Path) -> int:
        there = files.read_state(folder)
        if there is None or not self._is_ours(there):
            raise files.Damaged(files.STATE)
        dim = self._space.dim
        rows = files.map_rows(folder, there["rows"], dim)
        rest = files.read_sections(folder, there["rest"])
        ordinals: NDArray[np.uint32] = rest["ordinals"]
        if len(ordinals) != len(rows):
            raise files.Damaged(there["rest"]["file"])
        living = np.flatnonzero(ordinals != DEAD)
        numbers = ordinals[living]
        row_of = np.full(int(numbers.max()) + 1 if len(living) else 0, -1, np.int32)
        row_of[numbers] = living
        coder, cells = None, None
        segments: tuple[Segment, ...] = ()
        if "centre" in rest:
            coder = Coder(rest["rotation"], rest["centre"])
            if coder.dim % WORD:  # of a version that had no whole words
                raise files.Damaged(there["rest"]["file"])
            if "cells" in there:
                cells = Cells(CellArrays(**files.read_sections(folder, there["cells"])))
            first = 0 if cells is None else cells.upto
            if first + len(rest["codes"]) != len(rows):
                raise files.Damaged(there["rest"]["file"])
            segments = appended((), first, rest["codes"])
        self._added = AddedRows(dim, self._folder)
        view = RowView(rows, self._added.view())
        shift = _shift(living, numbers)
        moved = bitmap_of(numbers[numbers != living + shift])
        in_order = len(living) == len(ordinals) and not moved
        alive = BitMap(range(shift, shift + len(living))) if in_order else bitmap_of(numbers)
        self._state = _State(view, ordinals, row_of, alive, shift, moved, coder, cells, segments)
        self._saved = (*_rows_kept(there), there["applied"])
        if coder is not None:
            beside(partial(_compile, coder.dim))
        if cells is not None:
            beside(cells.touch)
        return int(there["applied"])


def _shift(rows: Places, ordinals: Ordinals) -> int:
    """Return what most of the ordinals have above the number of their row, by some of them."""
    step = max(1, len(rows) // SHIFTS)
    shifts, counts = np.unique(ordinals[::step].astype(np.int64) - rows[::step], return_counts=True)
    return max(0, int(shifts[counts.argmax()])) if len(shifts) else 0


def _rows_kept(there: dict[str, Any]) -> tuple[str, int]:
    return str(there["rows"]["file"]), int(there["rows"]["bytes"])


def _fields(arrays: CellArrays) -> dict[str, NDArray[Any]]:
    return {one.name: getattr(arrays, one.name) for one in fields(arrays)}


def _codes(state: _State, rows: Places) -> NDArray[np.uint8]:
    """Return the codes of some rows, which are ascending."""
    assert state.coder is not None  # noqa: S101 (asked for only where there are codes)
    border = 0 if state.cells is None else state.cells.upto
    old = int(np.searchsorted(rows, border))
    parts = [np.empty((0, state.coder.code_bytes), np.uint8)]
    if state.cells is not None:
        parts.append(state.cells.arrays.codes[state.cells.arrays.place_of[rows[:old]]])
    for one in state.segments:
        first, last = np.searchsorted(rows, (one.first, one.last))
        parts.append(one.codes[rows[first:last] - one.first])
    return np.concatenate(parts)


def _best(state: _State, rows: Places, cosines: Scores, k: int) -> tuple[Ordinals, Scores]:
    """Return the k best of some rows; ties go to the lower ordinal."""
    ordinals = state.ordinals[rows]
    if len(cosines) > max(k, FEW):
        least = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        kept = np.flatnonzero(cosines >= least)
        cosines, ordinals = cosines[kept], ordinals[kept]
    order = np.lexsort((ordinals, -cosines))[:k]
    return ordinals[order], cosines[order]


def _compile(dim: int) -> None:
    kernels().compile_all(dim // WORD)


class _Look(Protocol):
    """What finds the rows that look nearest to one query by their codes."""

    def find(self, count: int) -> Estimates:
        """Return the rows with the greatest estimates, at least as many as asked for if there are as many."""
        ...

    def widened(self, nearest: Places) -> bool:
        """Look at more from now on, if where the nearest rows were found says that more may be there."""
        ...


class _Gathered:
    """Looks up the codes of the wanted rows."""

    def __init__(self, state: _State, query: Vector, within: BitMap) -> None:
        assert state.coder is not None  # noqa: S101 (without codes the lookup is the exact one)
        self._state = state
        self._query = state.coder.asked(query)
        rows = state.rows_of(within)
        self._shares = np.array_split(rows, cores()) if len(rows) >= SHARED_FROM else [rows]

    def find(self, count: int) -> Estimates:
        state = self._state

        def best(share: NDArray[np.int32]) -> Estimates:
            return _together(gathered(state.cells, state.segments, share, self._query, count))

        return _together(in_parts(best, self._shares))

    def widened(self, nearest: Places) -> bool:  # noqa: ARG002 (there is no more)
        return False


class _Scanned:
    """Scans the cells nearest to the query, and all rows that are in no cell."""

    def __init__(self, state: _State, query: Vector, within: BitMap) -> None:
        assert state.coder is not None  # noqa: S101 (without codes the lookup is the exact one)
        self._state = state
        self._query = state.coder.asked(query)
        self._wanted = EVERYTHING
        self._near: Nearness | None = None
        self._asked, self._passed = 0, 0
        self._found: list[Estimates] = []
        """The best so many of the cells passed, and of all segments."""
        share = len(within) / max(1, len(state.alive))
        if len(within) < state.coded:
            self._wanted = state.wanted(within)
        if state.cells is not None:
            some = None if self._wanted is EVERYTHING else state.some_of(self._wanted, share)
            self._near = state.cells.near(query, some)
            self._share = state.cells.share(share)

    def find(self, count: int) -> Estimates:
        if count > self._asked:  # what was left out of the best is among the next: all is looked at again
            self._asked, self._passed, self._found = count, 0, []
        lots: list[list[Callable[[], Estimates]]] = [[] for _ in range(cores())]
        cells, query, wanted = self._state.cells, self._query, self._wanted
        if cells is not None and self._near is not None:
            enough = self._near.enough(self._share)
            near, self._passed = self._near.order[self._passed : enough], enough
            for number, lot in enumerate(lots):
                if len(near) > number:
                    lot.append(partial(cells.search, query, near[number :: len(lots)], self._asked, wanted))
        if not self._found:
            for number, segment in enumerate(sorted(self._state.segments, key=len, reverse=True)):
                lots[number % len(lots)].append(partial(segment.search, query, self._asked, wanted))
        self._found += in_parts(lambda lot: _together([find() for find in lot]), lots)
        self._found = [_ranked(*_together(self._found), self._asked)]
        return self._found[0]

    def widened(self, nearest: Places) -> bool:
        cells = self._state.cells
        if cells is None or self._near is None or self._share >= 1:
            return False
        depth = self._near.depth(cells, nearest[nearest < cells.upto])
        if len(nearest) == SURE_OF and not (depth > INNER * self._share).any():
            return False
        self._share = min(1.0, WIDER * self._share)
        return True


def _compared(state: _State, query: Vector, look: _Look, k: int) -> tuple[Places, Scores]:
    """Return the rows that look best with their cosines: as many as it takes to be sure of the nearest."""
    compared = max(COMPARED, k)
    rows, estimates = _ranked(*look.find(WIDEN * compared), WIDEN * compared)
    cosines = _in_place(state, query, rows[:compared])
    while len(cosines) == compared < MOST_COMPARED:
        sure = np.partition(cosines, -SURE_OF)[-SURE_OF:].min()
        error = float((estimates[:compared] - cosines).std())
        if estimates[compared - 1] + ERRORS * error <= sure:
            break
        compared *= WIDEN
        if compared > len(rows):
            rows, estimates = _ranked(*look.find(compared), compared)
        cosines = np.concatenate([cosines, _in_place(state, query, rows[len(cosines) : compared])])
    return rows[: len(cosines)], cosines


def _in_place(state: _State, query: Vector, rows: Places) -> Scores:
    """Return the cosines of some rows, fetched in the order in which they lie: that takes half the time."""
    order = np.argsort(rows)
    cosines = np.empty(len(rows), np.float32)
    cosines[order] = state.rows.cosines(query, rows[order])
    return cosines


def _ranked(rows: NDArray[np.int64], estimates: Scores, count: int) -> Estimates:
    """Return so many with the greatest estimates, best first."""
    if len(rows) > count:
        kept = np.argpartition(-estimates, count - 1)[:count]
        rows, estimates = rows[kept], estimates[kept]
    order = np.argsort(-estimates)
    return rows[order], estimates[order]


def _together(parts: list[Estimates]) -> Estimates:
    if len(parts) == 1:
        return parts[0]
    rows = [np.empty(0, np.int64), *(rows for rows, _ in parts)]
    scores = [np.empty(0, np.float32), *(scores for _, scores in parts)]
    return np.concatenate(rows), np.concatenate(scores)


def _with_room(array: NDArray[Any], size: int, nothing: Any) -> NDArray[Any]:
    """Return the array, or a copy with room for more where it is too short."""
    if size <= len(array):
        return array
    wider = np.full(max(size, 2 * len(array), 1024), nothing, array.dtype)
    wider[: len(array)] = array
    return wider
