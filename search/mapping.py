"""A map of the library: its embeddings in two dimensions, and what each part of the map is about.

The two directions in which the embeddings differ most (PCA), each spread evenly by rank: raw components crowd in the
middle. Near on the map means alike; far apart says little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.bitmaps import ordinals_of
from search.protocols import Records, TagStore
from search.types import EmbeddingSpace, Filter, ImageId, Matrix, Ordinals

MOST_POINTS = 4_000
"""Images that are drawn; of a larger library, every so many."""
CELLS = 4
"""The map is told of in so many parts a side."""
LEAST_IMAGES = 3
LEAST_IN_REGION = 4
KINDS = ("object", "scene")
SEED_SAMPLE = 50_000
"""Images that the directions are taken from."""


@dataclass(frozen=True, slots=True)
class Point:
    """An image on the map; places are 0–1."""

    id: ImageId
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the map: what is commoner there than elsewhere, and the image in its middle."""

    title: str
    count: int
    x: float
    y: float
    image: ImageId


@dataclass(frozen=True, slots=True)
class LibraryMap:
    points: tuple[Point, ...]
    regions: tuple[Region, ...]
    images: int


def directions(vectors: Matrix) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean of vectors, shape (dim,), and the two directions in which they differ most, shape (2, dim).

    The sign of a direction is chosen so that its largest component is positive: the same library has the same map.
    """
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    two = axes[:, ::-1].T[:2].astype(np.float32)
    signs = np.sign(two[np.arange(len(two)), np.abs(two).argmax(axis=1)])
    return mean, two * signs[:, None]


def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the ranks of values as places of 0–1, evenly apart."""
    places = np.empty(len(values), np.float32)
    places[np.argsort(values, kind="stable")] = (np.arange(len(values), dtype=np.float32) + 0.5) / max(1, len(values))
    return places


def draw_map(records: Records, tags: TagStore, space: EmbeddingSpace) -> LibraryMap:
    """Return the map of a library. Takes about a second for 100,000 images; holds one chunk of vectors at a time."""
    findable = tags.match(Filter())
    chunks = _sampled(records, findable, space)
    sampled = sum(map(len, chunks))
    if sampled < LEAST_IMAGES:
        return LibraryMap((), (), sampled)
    mean, axes = directions(np.concatenate(chunks))
    ordinals, flat = _flattened(records, findable, space, mean, axes)
    x, y = spread(flat[:, 0]), spread(flat[:, 1])
    shown = np.arange(0, len(ordinals), math.ceil(len(ordinals) / MOST_POINTS))
    known = {record.ordinal: record.id for record in records.records([int(o) for o in ordinals[shown]])}
    points = [Point(known[int(ordinals[at])], float(x[at]), float(y[at])) for at in shown if int(ordinals[at]) in known]
    return LibraryMap(tuple(points), tuple(_regions(records, tags, ordinals, x, y)), len(ordinals))


def _vectors(records: Records, shown: BitMap, space: EmbeddingSpace) -> Iterator[tuple[Ordinals, Matrix]]:
    """Yield the vectors of the images that can be found, in chunks."""
    for ordinals, vectors in records.embeddings(space):
        kept = np.isin(ordinals, ordinals_of(shown))
        if kept.any():
            yield ordinals[kept], vectors[kept]


def _sampled(records: Records, shown: BitMap, space: EmbeddingSpace) -> Sequence[Matrix]:
    found: list[Matrix] = []
    taken = 0
    for _, vectors in _vectors(records, shown, space):
        found.append(np.asarray(vectors[: SEED_SAMPLE - taken], np.float32))
        taken += len(found[-1])
        if taken >= SEED_SAMPLE:
            break
    return found


def _flattened(
    records: Records, shown: BitMap, space: EmbeddingSpace, mean: NDArray[np.float32], axes: NDArray[np.float32]
) -> tuple[Ordinals, NDArray[np.float32]]:
    parts = [(ordinals, (vectors - mean) @ axes.T) for ordinals, vectors in _vectors(records, shown, space)]
    flat = np.concatenate([part for _, part in parts]).astype(np.float32)
    return np.concatenate([ordinals for ordinals, _ in parts]), flat


def _regions(
    records: Records, tags: TagStore, ordinals: Ordinals, x: NDArray[np.float32], y: NDArray[np.float32]
) -> list[Region]:
    overall = {
        (facet.name, value.value): value.count / len(ordinals)
        for facet in tags.facets(KINDS, Filter(), within=None, size=1_000)
        for value in facet.values
    }
    cell = np.minimum((x * CELLS).astype(int), CELLS - 1) + CELLS * np.minimum((y * CELLS).astype(int), CELLS - 1)
    regions = []
    for number in range(CELLS * CELLS):
        here = np.flatnonzero(cell == number)
        if len(here) < LEAST_IN_REGION:
            continue
        middle_x, middle_y = float(x[here].mean()), float(y[here].mean())
        central = here[np.argmin((x[here] - middle_x) ** 2 + (y[here] - middle_y) ** 2)]
        found = records.records([int(ordinals[central])])
        telling = []
        for facet in tags.facets(KINDS, Filter(), within=BitMap(ordinals[here].tolist()), size=12):
            for value in facet.values:
                share = value.count / len(here)
                usual = overall.get((facet.name, value.value), share)
                if share > usual and value.count > 1:
                    telling.append((share * math.log(share / usual), value.value))
        if found:
            words = list(dict.fromkeys(label for _, label in sorted(telling, reverse=True)))[:2]
            regions.append(Region(", ".join(words), len(here), middle_x, middle_y, found[0].id))
    return regions
