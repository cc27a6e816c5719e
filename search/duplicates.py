"""Pictures that are one picture in another size, crop, colour or format: found, grouped, their differences named.

A perceptual hash finds who comes into question, the embedding sorts out most of those, and a look at the two decides:
at a hash alone that lets crops through, a library of 100,000 would have thousands of false pairs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.bitmaps import bitmap_of, ordinals_of
from search.candidates import Finder
from search.differences import Version, differences, version_of
from search.errors import InvalidQuery
from search.looks import Look, Looks, Overlap, overlap
from search.phash import distances
from search.protocols import Records, TagStore
from search.types import EmbeddingSpace, Filter, ImageRecord, Ordinals, Scores, Vector

SURE_HASH = 2
"""Hamming distance of copies in another size, quality or without colour; unrelated hashes differ in 32 of 64 bits."""
SAME_HASH = 6
"""Up to here two hashes alone mean one picture, where there is nothing to look at."""
NEAR_HASH = 16
SAME_VECTOR = 0.97
"""Cosine above which near hashes mean one picture, where there is nothing to look at."""
FAR_HASH = 20
"""Crops move the hash: 5 % off each side by 10 of 64 bits, at most 18 in a sample of 80 photos."""
LIKE_VECTOR = 0.8
"""Least cosine between a picture and its crop, with some room: 0.87 was the least in that sample."""
GROUP_HASH = 14
"""Among all pairs of a library less can be looked at than for one picture: 0.005 % of unrelated ones are as near."""
AGREEMENT = 0.85
"""Correlation where two pictures overlap: of copies 0.86 and more, of others with a near hash mostly under 0.7."""
MOST_LOOKED_AT = 64
ALL_PAIRS = 150_000
"""Up to so many images every pair of hashes is compared, in some seconds; above it, those alike in 16 bits in a row."""
CHUNK = 4096

Pairs = NDArray[np.uint32]
"""Two ordinals a row, the lower first."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of one picture, by ordinal."""

    ordinals: Ordinals
    similarity: Scores
    likeness: Scores
    """0 to 1."""
    allowed: int


@dataclass(frozen=True, slots=True)
class Group:
    """Images that are one picture. The first is the largest; the others differ from it as is told of each."""

    images: tuple[ImageRecord, ...]
    differences: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class DuplicateGroups:
    """A page of groups, in the order of their oldest images."""

    groups: Sequence[Group]
    total: int
    """As hashes and embeddings say; a few groups turn out to be none when they are looked at."""
    next: str | None
    took_ms: float


class Duplicates:
    """Finds copies in one library. Safe to call from several threads."""

    def __init__(self, records: Records, tags: TagStore, finder: Finder, looks: Looks) -> None:
        self._records = records
        self._tags = tags
        self._finder = finder
        self._looks = looks
        self._lock = threading.Lock()
        self._grouped: tuple[str, list[Ordinals]] | None = None

    def of(self, phash: int, vector: Vector, version: Version | None, filter: Filter) -> Copies:
        """Return the copies of a picture among the images that match a filter, itself too if it is there."""
        ordinals, hashes = self._records.near_phashes(phash, FAR_HASH)
        let_through = np.isin(ordinals, ordinals_of(self._tags.among([filter], bitmap_of(ordinals))))
        ordinals, hashes = ordinals[let_through], hashes[let_through]
        cosine = np.nan_to_num(self._finder.cosines(vector, ordinals))
        distance = distances(hashes, phash).astype(np.int64)
        nearest = np.lexsort((-cosine, distance))
        nearest = nearest[(distance[nearest] <= SAME_HASH) | (cosine[nearest] >= LIKE_VECTOR)]
        likeness = np.full(len(ordinals), np.nan, np.float32)
        look = None if version is None else version.look
        for record, place in self._records_at(ordinals, nearest[:MOST_LOOKED_AT]):
            found = None if look is None else _overlap(look, self._looks(record.id))
            likeness[place] = _likeness(found, int(distance[place]), float(cosine[place]))
        kept = np.flatnonzero(~np.isnan(likeness))
        return Copies(ordinals[kept], cosine[kept].astype(np.float32), likeness[kept], self._tags.count(filter))

    def _records_at(self, ordinals: Ordinals, places: NDArray[np.intp]) -> Iterable[tuple[ImageRecord, int]]:
        at = {int(ordinals[place]): int(place) for place in places}
        return [(record, at[record.ordinal]) for record in self._records.records(list(at))]

    def version(self, record: ImageRecord) -> Version:
        """Return what an image is compared by."""
        return version_of(record, self._looks(record.id))

    def told(self, record: ImageRecord, version: Version) -> tuple[str, ...]:
        """Return in what an image differs from another version of it."""
        return differences(self.version(record), version)

    def groups(self, space: EmbeddingSpace, *, after: int = -1, k: int) -> tuple[list[Group], int | None, int]:
        """Return k groups by their oldest images, the place to go on after, and about how many there are."""
        found = self._all_groups(space)
        keys = [int(members[0]) for members in found]
        start = int(np.searchsorted(keys, after, side="right"))
        groups: list[Group] = []
        for position in range(start, len(found)):
            group = self._group(found[position])
            if group is not None:
                groups.append(group)
            if len(groups) == k:
                return groups, keys[position] if position + 1 < len(found) else None, len(found)
        return groups, None, len(found)

    def _all_groups(self, space: EmbeddingSpace) -> list[Ordinals]:
        """Return the ordinals of each group, the groups by their lowest; found again only when the library changed."""
        version = self._records.version()
        with self._lock:
            if self._grouped is None or self._grouped[0] != version:
                pairs = self._confirmed(*self._near_pairs(space))
                self._grouped = version, connected(pairs)
            return self._grouped[1]

    def _near_pairs(self, space: EmbeddingSpace) -> tuple[Pairs, NDArray[np.int64], Scores]:
        """Return the pairs that come into question, with their distance and cosine."""
        ordinals, hashes = self._records.phashes(None)
        places, distance = near_pairs(hashes, GROUP_HASH)
        pairs = ordinals[places]
        shown = self._tags.among([Filter()], bitmap_of(np.unique(pairs)))  # the catalogue has those that are hidden too
        both = np.isin(pairs, ordinals_of(shown)).all(axis=1)
        pairs, distance = pairs[both], distance[both]
        cosine = np.ones(len(pairs), np.float32)
        unsure = np.flatnonzero(distance > SURE_HASH)
        for start in range(0, len(unsure), CHUNK):
            rows = unsure[start : start + CHUNK]
            cosine[rows] = self._cosines(pairs[rows], space)
        kept = (distance <= SAME_HASH) | (cosine >= LIKE_VECTOR)
        return pairs[kept], distance[kept], cosine[kept]

    def _cosines(self, pairs: Pairs, space: EmbeddingSpace) -> Scores:
        """Return the cosine of each pair; 0 where one of the two has no vector."""
        wanted, places = np.unique(pairs, return_inverse=True)
        vectors = np.zeros((len(wanted), space.dim), np.float32)
        for ordinals, found in self._records.embeddings(space, wanted.tolist()):
            vectors[np.searchsorted(wanted, ordinals)] = found
        one, other = places.reshape(pairs.shape).T
        return np.asarray(np.einsum("ij,ij->i", vectors[one], vectors[other]), np.float32)

    def _confirmed(self, pairs: Pairs, distance: NDArray[np.int64], cosine: Scores) -> Pairs:
        """Return the pairs that are sure, and those of the others that look the same."""
        unsure = np.flatnonzero(distance > SURE_HASH)
        ids = {record.ordinal: record.id for record in self._loaded(np.unique(pairs[unsure]))}
        same = distance <= SURE_HASH
        for row in unsure:
            one, other = (ids.get(int(ordinal)) for ordinal in pairs[row])
            if one is None or other is None:  # gone meanwhile
                continue
            found = _overlap(self._looks(one), self._looks(other))
            same[row] = not np.isnan(_likeness(found, int(distance[row]), float(cosine[row])))
        return pairs[same]

    def _loaded(self, ordinals: Ordinals) -> Iterable[ImageRecord]:
        for start in range(0, len(ordinals), CHUNK):
            yield from self._records.records([int(o) for o in ordinals[start : start + CHUNK]])

    def _group(self, members: Ordinals) -> Group | None:
        """Return those of a group that look like another one of it, the largest first; None if that is one image."""
        records = self._records.records([int(ordinal) for ordinal in members])
        records.sort(key=lambda r: (-r.width * r.height, -r.bytes, -len(r.files), r.ordinal))
        kept: list[tuple[ImageRecord, Version]] = []
        for record in records:
            version = self.version(record)
            if not kept or any(_look_alike(version, other) for _, other in kept):
                kept.append((record, version))
        if len(kept) < 2:
            return None
        told = [differences(version, kept[0][1]) for _, version in kept[1:]]
        return Group(tuple(record for record, _ in kept), ((), *told))


def _look_alike(one: Version, other: Version) -> bool:
    found = _overlap(one.look, other.look)
    return found is None or found.agreement >= AGREEMENT


def decode(cursor: str | None) -> int:
    """Return the place that a page's ``next`` stands for. Raises InvalidQuery for any other text."""
    if cursor is None:
        return -1
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 10):
        raise InvalidQuery("the cursor is not one that an answer gave as `next`")
    return int(cursor)


def _overlap(one: Look | None, other: Look | None) -> Overlap | None:
    return None if one is None or other is None else overlap(one, other)


def _likeness(found: Overlap | None, distance: int, cosine: float) -> float:
    """Return how alike two pictures are, 0 to 1, if they are one picture; else NaN."""
    if found is not None:
        return min(1.0, found.agreement) if found.agreement >= AGREEMENT else np.nan
    same = distance <= SAME_HASH or (distance <= NEAR_HASH and cosine >= SAME_VECTOR)
    return 1.0 - distance / 64 if same else np.nan


def near_pairs(
    hashes: NDArray[np.uint64], most: int, *, all_pairs: int = ALL_PAIRS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of hashes that differ in at most ``most`` bits, the lower first: shape (n, 2), and distances.

    Above ``all_pairs`` hashes, pairs further than 7 bits apart may be missing: each such pair is found if one of the
    four quarters of its hashes differs in one bit at most.
    """
    import faiss

    codes = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
    index: faiss.IndexBinary = faiss.IndexBinaryFlat(64)
    if len(hashes) > all_pairs:
        index = by_quarters = faiss.IndexBinaryMultiHash(64, 4, 16)
        by_quarters.nflip = 1
    index.add(codes)
    found, apart = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(codes), CHUNK):
        limits, distance, other = index.range_search(codes[start : start + CHUNK], most + 1)
        one = np.repeat(np.arange(start, start + len(limits) - 1), (limits[1:] - limits[:-1]).astype(np.int64))
        rising = other > one
        found.append(np.stack([one[rising], other[rising]], axis=1).astype(np.int64))
        apart.append(distance[rising].astype(np.int64))
    return np.concatenate(found), np.concatenate(apart)


def connected(pairs: Pairs) -> list[Ordinals]:
    """Return the members of each connected component, ascending; the components by their lowest member."""
    parent: dict[int, int] = {}

    def root(of: int) -> int:
        while parent.setdefault(of, of) != of:
            parent[of] = of = parent[parent[of]]
        return of

    for one, other in pairs.tolist():
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for ordinal in sorted(parent):
        members.setdefault(root(ordinal), []).append(ordinal)
    return [np.array(members[key], np.uint32) for key in sorted(members)]
