"""The tag store in memory: a bitmap for each value, and the values of each image as arrays.

Bitmaps hold the images that have a value at its default confidence. The arrays hold all postings, one after the
other by image: they count what few images have, and answer for any other confidence. A posting that is gone keeps its
place with a confidence of -1 until `_compact`, so that a change costs what it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search import shuffle
from search.bitmaps import bitmap_of, ordinals_of
from search.tags.growing import Growing
from search.tags.rows import POSTING
from search.types import Keys, Order, Ordinals, Place, Sort

MISSING = np.iinfo(np.int64).min
"""Below every span: those start at -sys.maxsize."""
UNDATED = np.iinfo(np.int64).max
GONE = -1.0
NUMBERS = ("width", "height", "taken")
PLACES = ("start", "length")
COLUMNS = ("owner", "value", "confidence", "best", "shown")
"""The arrays by what they are numbered by: images, images again, postings."""

# Above these shares of the library, intersecting bitmaps is faster than gathering the images' postings, and so is
# scanning all postings where bitmaps cannot help. Six facets of 5,000 in 100,000 images: 1.3 ms gathered, 1.6 ms by
# bitmaps; of 20,000: 2.7 and 1.0 ms.
BITMAPS_ABOVE = 1 / 15
SCAN_ABOVE = 1 / 4

COMPACT_ABOVE = 10_000
"""Postings that may be gone before their places are taken out; in large libraries, half of all may."""


class Value(NamedTuple):
    """A value of a field; ``label`` is how it is shown."""

    id: int
    field: str
    folded: str
    label: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the projection holds of one image; ``postings`` is None for one that was deleted."""

    ordinal: int
    width: int | None
    height: int | None
    taken: int | None
    postings: bytes | None


class Projection:
    """Not safe for threads by itself: the store locks it."""

    def __init__(self) -> None:
        self.alive = BitMap()
        self.values: dict[tuple[str, str], Value] = {}
        self.by_field: dict[str, list[Value]] = defaultdict(list)
        self.bitmaps: dict[int, BitMap] = defaultdict(BitMap)
        self._last_value = 0
        self._numbers = {name: Growing(np.int64, MISSING) for name in NUMBERS}
        self._start = Growing(np.int64, 0)
        self._length = Growing(np.int64, 0)
        self._owner = Growing(np.uint32, 0)
        self._value = Growing(np.uint32, 0)
        self._confidence = Growing(np.float32, GONE)
        self._best = Growing(np.bool_, False)
        self._shown = Growing(np.bool_, False)
        """Best of its value, and counting at the default confidence: in the bitmap."""

    @property
    def columns(self) -> dict[str, Growing]:
        """Return every array by its name."""
        places = self._start, self._length
        columns = self._owner, self._value, self._confidence, self._best, self._shown
        return {**self._numbers, **dict(zip((*PLACES, *COLUMNS), (*places, *columns), strict=True))}

    @property
    def last_value(self) -> int:
        """The highest value id that is known."""
        return self._last_value

    def add_values(self, values: Sequence[Value]) -> None:
        for value in values:
            self.values[value.field, value.folded] = value
            self.by_field[value.field].append(value)
            self._last_value = max(self._last_value, value.id)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take images in, replacing those that are there, and drop the deleted ones."""
        for entry in entries:
            if entry.ordinal in self.alive:
                self._remove(entry.ordinal)
        self._add([entry for entry in entries if entry.postings is not None])
        gone = len(self._value) - int(self._length.filled().sum())
        if gone > max(COMPACT_ABOVE, len(self._value) // 2):
            self._compact()

    def _remove(self, ordinal: int) -> None:
        start, length = int(self._start[ordinal]), int(self._length[ordinal])
        own = slice(start, start + length)
        for value in self._value[own][self._shown[own]].tolist():
            self.bitmaps[value].discard(ordinal)
        self._confidence[own], self._best[own], self._shown[own] = GONE, False, False
        self._length[ordinal] = 0
        self.alive.discard(ordinal)

    def _add(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        ordinals = np.array([entry.ordinal for entry in entries], dtype=np.uint32)
        blobs = [entry.postings or b"" for entry in entries]
        lengths = np.array([len(blob) for blob in blobs]) // POSTING.itemsize
        postings = np.frombuffer(b"".join(blobs), dtype=POSTING)
        self._start.put(ordinals, len(self._value) + np.cumsum(lengths) - lengths)
        self._length.put(ordinals, lengths)
        for name, numbers in self._numbers.items():
            found = [getattr(entry, name) for entry in entries]
            numbers.put(ordinals, np.array([MISSING if number is None else number for number in found]))
        owners = np.repeat(ordinals, lengths)
        shown = postings["counts"] & postings["best"]
        self._owner.extend(owners)
        self._value.extend(postings["value"])
        self._confidence.extend(postings["confidence"])
        self._best.extend(postings["best"])
        self._shown.extend(shown)
        self.alive |= bitmap_of(ordinals)
        self._mark(postings["value"][shown], owners[shown])

    def _mark(self, values: NDArray[np.uint32], owners: Ordinals) -> None:
        order = np.argsort(values, kind="stable")
        values, owners = values[order], owners[order]
        distinct, first = np.unique(values, return_index=True)
        for value, members in zip(distinct.tolist(), np.split(owners, first[1:]), strict=False):
            self.bitmaps[value] |= bitmap_of(members)

    def _compact(self) -> None:
        """Close the gaps of postings that are gone; an image's postings stay side by side, in their order."""
        kept = np.flatnonzero(self._confidence.filled() != GONE)
        for column in (self._owner, self._value, self._confidence, self._best, self._shown):
            column.keep(kept)
        ordinals, first = np.unique(self._owner.filled(), return_index=True)
        self._start.put(ordinals, first)

    def having(self, values: Collection[Value], least: float | None = None) -> BitMap:
        """Return the images that have any of the values, at their default confidence or at ``least``."""
        if least is None:
            return BitMap.union(BitMap(), *(self.bitmaps[value.id] for value in values))
        asked = (self._confidence.filled() >= least) & self._among(values)
        return bitmap_of(self._owner.filled()[asked])

    def instances(self, value: Value, least: float) -> tuple[Ordinals, NDArray[np.int64]]:
        """Return the images that have a value at a confidence, ascending, and how often each has it."""
        asked = (self._value.filled() == value.id) & (self._confidence.filled() >= least)
        ordinals, counts = np.unique(self._owner.filled()[asked], return_counts=True)
        return ordinals, counts.astype(np.int64)

    def between(self, name: str, spans: Sequence[tuple[int, int]]) -> BitMap:
        """Return the images whose width, height or date lies in one of the spans, both ends included.

        Deleted images may be among them.
        """
        numbers = self._numbers[name].filled()
        inside = np.zeros(len(numbers), dtype=np.bool_)
        for first, last in spans:
            inside |= (numbers >= first) & (numbers <= last)
        return bitmap_of(np.flatnonzero(inside))

    def ends(self, name: str, images: BitMap) -> tuple[int, ...]:
        """Return the least and the greatest number that the images have, none if none of them has any."""
        numbers = self._numbers[name].at(ordinals_of(images))
        numbers = numbers[numbers != MISSING]
        return (int(numbers.min()), int(numbers.max())) if len(numbers) else ()

    def in_order(self, order: Order, images: BitMap, *, after: Place | None, k: int) -> tuple[Ordinals, Keys]:
        """Return the next k of the images after a place, and their keys. ``images`` must all be alive."""
        ordinals = ordinals_of(images)[::-1]
        keys = self._keys(order, ordinals)
        if after is not None:
            ahead = (keys > after.key) | ((keys == after.key) & (ordinals < after.ordinal))
            ordinals, keys = ordinals[ahead], keys[ahead]
        if 0 < k < len(keys):  # the rest need not be sorted
            among_first = keys <= np.partition(keys, k - 1)[k - 1]
            ordinals, keys = ordinals[among_first], keys[among_first]
        first = np.argsort(keys, kind="stable")[:k]
        return ordinals[first], keys[first]

    def _keys(self, order: Order, ordinals: Ordinals) -> Keys:
        if order.sort is Sort.RANDOM:
            return shuffle.keys(ordinals, order.seed)
        taken = self._numbers["taken"].at(ordinals)
        return np.where(taken == MISSING, UNDATED, taken if order.sort is Sort.OLDEST else -taken)

    def count(self, fields: Collection[str], images: BitMap, least: float | None = None) -> dict[str, dict[str, int]]:
        """Return for each field, by label, how many of the images have each value that any of them has.

        ``images`` must all be alive.
        """
        if least is None and len(images) > BITMAPS_ABOVE * len(self.alive):
            counts = {v.id: self.bitmaps[v.id].intersection_cardinality(images) for v in self._of(fields)}
        else:
            counts = dict(enumerate(self._histogram(images, least).tolist()))
        return {f: {v.label: counts[v.id] for v in self._of([f]) if counts[v.id]} for f in fields}

    def _of(self, fields: Collection[str]) -> Iterator[Value]:
        return (value for field in fields for value in self.by_field.get(field, ()))

    def _histogram(self, images: BitMap, least: float | None) -> NDArray[np.int64]:
        """Return how many of the images have each value, by value id."""
        places: NDArray[Any] | slice = slice(None)
        if len(images) <= SCAN_ABOVE * len(self.alive):
            places = self._places(ordinals_of(images))
        asked = self._shown.filled()[places]
        if least is not None:
            asked = self._best.filled()[places] & (self._confidence.filled()[places] >= least)
        if isinstance(places, slice):
            asked = asked & self._members(images)[self._owner.filled()]
        values: NDArray[np.uint32] = self._value.filled()[places][asked]
        counts: NDArray[np.int64] = np.bincount(values, minlength=self._last_value + 1)
        return counts

    def _places(self, ordinals: Ordinals) -> NDArray[np.int64]:
        """Return where the postings of some images stand."""
        starts, lengths = self._start.at(ordinals), self._length.at(ordinals)
        before = np.cumsum(lengths) - lengths
        places: NDArray[np.int64] = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
        return places

    def _members(self, images: BitMap) -> NDArray[np.bool_]:
        members = np.zeros(len(self._start), dtype=np.bool_)
        members[ordinals_of(images)] = True
        return members

    def _among(self, values: Collection[Value]) -> NDArray[np.bool_]:
        wanted = np.zeros(self._last_value + 1, dtype=np.bool_)
        wanted[[value.id for value in values]] = True
        among: NDArray[np.bool_] = wanted[self._value.filled()]
        return among
