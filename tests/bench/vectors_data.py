"""Vectors like CLIP's in any number, filters of known selectivity, and the exact answers under each of them.

Rows: clusters with a power-law spectrum around a common mean (CLIP's pictures lie in a cone), rotated, of unit length,
in half precision. Queries: half of them pictures, drawn as the rows are; half *texts*, which lie elsewhere (a constant
gap, the centre of a cluster, less noise), as CLIP's do: what helps with the first need not help with the second.
Filters: ``random-S`` lets a share of all rows through, ``near-S`` whole clusters that lie near each other; of its
queries half are about those clusters ("dog" among dogs) and half about any ("car" among dogs). S is per cent.

Everything is drawn in blocks, so ten million rows need no more memory than one. A folder keeps what was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHARES = (50.0, 10.0, 1.0, 0.1, 0.01)
FILTERS = ("all", *(f"random-{share:g}" for share in SHARES), *(f"near-{share:g}" for share in SHARES))
K = 10
BLOCK = 20_000
CENTRE = 0.8
KEPT_ROWS = 2_000_000
MEAN = 2.0
GAP = 2.5

Rows = NDArray[np.float16]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Filtered:
    """A filter with its queries, and the nearest allowed rows of each, shape (queries, 10), best first."""

    name: str
    places: Places
    queries: NDArray[np.float32]
    nearest: Places

    def share_of(self, rows: int) -> float:
        return len(self.places) / rows


class VectorData:
    """Rows numbered from 0. The same count, dimensions and seed give the same data."""

    def __init__(self, count: int, dim: int = 512, *, clusters: int = 2_000, seed: int = 0) -> None:
        self.count = count
        self.dim = dim
        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        self._spectrum = np.arange(1, dim + 1, dtype=np.float32) ** np.float32(-0.5)
        self._rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
        self._centres = rng.standard_normal((clusters, dim)).astype(np.float32) * self._spectrum
        self._mean, self._gap = (_towards(rng.standard_normal(dim), length) for length in (MEAN, GAP))
        self.clusters = rng.integers(0, clusters, count).astype(np.int32)

    def blocks(self) -> Iterator[tuple[int, Rows]]:
        """Yield the first place of each block and its rows."""
        for start in range(0, self.count, BLOCK):
            rng = np.random.default_rng([self._seed, 1, start])
            yield start, self._pictures(self.clusters[start : start + BLOCK], rng).astype(np.float16)

    def rows(self, folder: Path) -> Rows:
        """Return all rows, mapped from a file that is made if it is not there."""
        path = folder / f"rows-{self.count}-{self.dim}.npy"
        if not path.exists():
            made = path.with_suffix(".part")
            kept = np.lib.format.open_memmap(made, "w+", np.float16, (self.count, self.dim))
            for start, rows in self.blocks():
                kept[start : start + len(rows)] = rows
            kept.flush()
            made.rename(path)
        rows: Rows = np.load(path, mmap_mode="r")
        return rows

    def source(self, folder: Path | None) -> Iterator[tuple[int, Rows]]:
        """Yield the first place of each block and its rows: from a file, unless they are too many to be kept twice."""
        return self.blocks() if folder is None or self.count > KEPT_ROWS else _blocks_of(self.rows(folder))

    def shifted(self, count: int) -> Rows:
        """Return rows of another distribution: other clusters around another mean."""
        other = VectorData(count, self.dim, clusters=50, seed=self._seed + 1)
        return next(iter(other.blocks()))[1] if count <= BLOCK else np.concatenate([rows for _, rows in other.blocks()])

    def filtered(self, names: Sequence[str], queries: int, folder: Path | None = None) -> list[Filtered]:
        """Return filters with queries and exact answers."""
        path = None if folder is None else folder / f"truth-{self.count}-{self.dim}-{queries}-{'+'.join(names)}.npz"
        made = [self._filter(name, queries) for name in names]
        if path is not None and path.exists():
            with np.load(path) as kept:
                found = [kept[name] for name in names]
        else:
            found = exact(self.source(folder), made)
            if path is not None:
                np.savez(path, **dict(zip(names, found, strict=True)))
        return [
            Filtered(name, places, asked, nearest)
            for name, (places, asked), nearest in zip(names, made, found, strict=True)
        ]

    def _filter(self, name: str, queries: int) -> tuple[Places, NDArray[np.float32]]:
        kind, _, per_cent = name.partition("-")
        rng = np.random.default_rng([self._seed, 2, *name.encode()])
        anywhere = rng.integers(0, len(self._centres), queries)
        if kind == "all":
            return np.arange(self.count), self._asked(anywhere, rng)
        wanted = max(K, round(self.count * float(per_cent) / 100))
        if kind == "random":
            return np.sort(rng.permutation(self.count)[:wanted]), self._asked(anywhere, rng)
        unit = self._centres / np.linalg.norm(self._centres, axis=1, keepdims=True)
        distance = np.empty(len(unit), np.int64)
        distance[np.argsort(-(unit @ unit[rng.integers(len(unit))]))] = np.arange(len(unit))
        places = np.sort(np.lexsort((rng.random(self.count), distance[self.clusters]))[:wanted])
        among = np.where(np.arange(queries) % 4 < 2, rng.choice(self.clusters[places], queries), anywhere)
        return places, self._asked(among, rng)

    def _asked(self, clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a query about each cluster: a picture and a text by turns."""
        noise = rng.standard_normal((len(clusters), self.dim), dtype=np.float32) * self._spectrum
        texts = _unit((self._gap + CENTRE * self._centres[clusters] + 0.5 * noise) @ self._rotation)
        asked = self._pictures(clusters, rng)
        asked[1::2] = texts[1::2]
        return asked

    def _pictures(self, clusters: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.float32]:
        drawn = rng.standard_normal((len(clusters), self.dim), dtype=np.float32) * self._spectrum
        return _unit((self._mean + drawn + self._centres[clusters] * np.float32(CENTRE)) @ self._rotation)


def exact(
    blocks: Iterator[tuple[int, Rows]], asked: Sequence[tuple[Places, NDArray[np.float32]]], k: int = K
) -> list[Places]:
    """Return the nearest places of each query among those it may find, by a scan in single precision."""
    best = [
        (np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64))
        for _, queries in asked
    ]
    for start, half in blocks:
        rows = half.astype(np.float32)
        for number, (places, queries) in enumerate(asked):
            first, last = np.searchsorted(places, (start, start + len(rows)))
            some = places[first:last]
            if not len(some):
                continue
            scores = queries @ (rows if len(some) == len(rows) else rows[some - start]).T
            held, held_at = best[number]
            scores = np.concatenate([held, scores], axis=1)
            where = np.concatenate([held_at, np.broadcast_to(some, (len(queries), len(some)))], axis=1)
            order = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            best[number] = np.take_along_axis(scores, order, 1), np.take_along_axis(where, order, 1)
    return [np.take_along_axis(where, np.argsort(-scores, axis=1), 1) for scores, where in best]


def recall(found: Sequence[NDArray[np.integer]], nearest: Places) -> float:
    """Return the share of the true nearest that were found."""
    return float(
        np.mean([len(set(f.tolist()) & set(n.tolist())) / len(n) for f, n in zip(found, nearest, strict=True)])
    )


def _blocks_of(rows: Rows) -> Iterator[tuple[int, Rows]]:
    for start in range(0, len(rows), BLOCK):
        yield start, rows[start : start + BLOCK]


def _towards(direction: NDArray[np.float64], length: float) -> NDArray[np.float32]:
    return (direction / np.linalg.norm(direction) * length).astype(np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
