"""Half-precision rows that are only ever appended: those of a mapped file, and those that came since."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

from search.types import Scores, Vector
from search.vectors.parallel import cores, in_parts

Half = NDArray[np.float16]
Places = NDArray[np.integer[Any]]

IN_MEMORY_BYTES = 64 * 2**20
"""New rows above this go to a file without a name, so that a first index need not fit into memory."""
BLOCK = 1024
"""Rows that are fetched at a time before they are compared: they stay in the cache of a core."""
DENSE = 2
"""Rows are compared where they lie if one in so many is wanted: fetching one costs as much as comparing two."""
COMPILED_FROM = 20_000
"""Of so long a table rows are fetched ahead. For a smaller one it is not worth having a compiler."""
SHARED_FROM = 3000
"""From so many rows on a scan is worth sharing between cores."""

_scratch = threading.local()


@dataclass(frozen=True, slots=True)
class RowView:
    """The rows at one moment. Safe for threads: what is appended later is not seen."""

    saved: Half
    added: Half

    def __len__(self) -> int:
        return len(self.saved) + len(self.added)

    def blocks(self, size: int) -> Any:
        """Yield the number of the first row of each block, and its rows."""
        for part, first in ((self.saved, 0), (self.added, len(self.saved))):
            for start in range(0, len(part), size):
                yield first + start, part[start : start + size]

    def take(self, rows: Places) -> Half:
        """Return a copy of some rows, in the order asked for."""
        if not len(self.added):
            return self.saved[rows]
        found = np.empty((len(rows), self.added.shape[1]), np.float16)
        old = rows < len(self.saved)
        found[old] = self.saved[rows[old]]
        found[~old] = self.added[rows[~old] - len(self.saved)]
        return found

    def cosines(self, query: Vector, rows: Places) -> Scores:
        """Return the inner product of a vector with each of some rows, in the order asked for."""
        half = np.ascontiguousarray(query, dtype=np.float16).reshape(1, -1)
        if len(rows) < SHARED_FROM:
            return self._cosines(half, rows)
        parts = np.array_split(rows, cores())
        return np.concatenate(in_parts(lambda part: self._cosines(half, part), parts))

    def _cosines(self, half: Half, rows: Places) -> Scores:
        border = len(self.saved)
        old = rows < border
        if old.all():
            return _scan(half, self.saved, rows)
        if not old.any():
            return _scan(half, self.added, rows - border)
        found = np.empty(len(rows), np.float32)
        found[old] = _scan(half, self.saved, rows[old])
        found[~old] = _scan(half, self.added, rows[~old] - border)
        return found


def _scan(half: Half, table: Half, rows: Places) -> Scores:
    """Return the inner products with some rows of a table.

    NumKong's kernel is ten times as fast as widening the rows in NumPy or decoding them in FAISS, and lets other
    threads run. What costs is fetching the rows: where many of them lie together they are compared in place, and of a
    table that is larger than caches are the next row is fetched while one is compared.
    """
    found = np.empty(len(rows), np.float32)
    if not len(rows):
        return found
    first, last = int(rows.min()), int(rows.max()) + 1
    if last - first <= DENSE * len(rows):
        products = np.asarray(numkong.cdist(half, table[first:last], "dot"))[0]
        found[:] = products if last - first == len(rows) and _ascending(rows) else products[rows - first]
        return found
    if len(table) >= COMPILED_FROM:
        from search.vectors import kernels

        if kernels.widens_halves():
            there = rows if first >= 0 and last <= len(table) else np.clip(rows, 0, len(table) - 1)
            return kernels.half_dots(table, there.astype(np.int32, copy=False), half[0].astype(np.float32))
    fetched = _buffer(table.shape[1])
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        block = fetched[: len(some)]
        table.take(some, axis=0, out=block, mode="clip")
        found[start : start + BLOCK] = np.asarray(numkong.cdist(half, block, "dot"))[0]
    return found


def _ascending(rows: Places) -> bool:
    return bool((rows[1:] > rows[:-1]).all())


def _buffer(dim: int) -> Half:
    buffer: Half | None = getattr(_scratch, "rows", None)
    if buffer is None or buffer.shape[1] != dim:
        buffer = _scratch.rows = np.empty((BLOCK, dim), np.float16)
    return buffer


class AddedRows:
    """Grows at its end; for one writer. Views that were given out stay as they are."""

    def __init__(self, dim: int, folder: Path | None) -> None:
        self._folder = folder
        self._file: int | None = None
        self._room: Half = np.empty((0, dim), np.float16)
        self._size = 0

    def append(self, rows: Half) -> None:
        """Raises OSError where the disk is full."""
        end = self._size + len(rows)
        if end > len(self._room):
            self._grow(max(end, len(self._room) * 3 // 2, BLOCK))
        self._room[self._size : end] = rows
        self._size = end

    def view(self) -> Half:
        return self._room[: self._size]

    def _grow(self, rows: int) -> None:
        dim = self._room.shape[1]
        bytes_ = 2 * dim * rows
        if bytes_ <= IN_MEMORY_BYTES:
            room: Half = np.empty((rows, dim), np.float16)
        else:
            fresh = self._file is None
            if self._file is None:
                self._file = _without_a_name(self._folder)
                weakref.finalize(self, os.close, self._file)
            _reserve(self._file, bytes_)
            room = np.frombuffer(mmap.mmap(self._file, bytes_), np.float16).reshape(rows, dim)
            if not fresh:  # the same pages, seen through a longer window
                self._room = room
                return
        room[: self._size] = self._room[: self._size]
        self._room = room


def _without_a_name(folder: Path | None) -> int:
    """Return a new file that is gone when it is closed, by whatever ends the process."""
    file, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)
    return file


def _reserve(file: int, size: int) -> None:
    """Make a file as long as that, with room on the disk: writing to a page that finds none would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)
