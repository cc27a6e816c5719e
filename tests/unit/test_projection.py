"""The arrays and bitmaps of the tag store in memory: what many changes leave behind."""

from __future__ import annotations

import numpy as np
from pyroaring import BitMap

from search.bitmaps import bitmap_of, ordinals_of
from search.tags.growing import Growing
from search.tags.projection import COMPACT_ABOVE, Entry, Projection, Value
from search.tags.rows import POSTING

VALUES = [Value(n, "object", f"label {n}", f"label {n}") for n in range(1, 5)]


def an_entry(ordinal: int, *values: int) -> Entry:
    postings = np.array([(value, 0.9, True, True) for value in values], dtype=POSTING)
    return Entry(ordinal, 10, 10, None, postings.tobytes())


def test_counts_stay_true_when_the_places_of_gone_postings_are_taken_out() -> None:
    projection = Projection()
    projection.add_values(VALUES)
    projection.apply([an_entry(n, 1, 2) for n in range(100)])
    for _ in range(COMPACT_ABOVE // 4 + 1):
        projection.apply([an_entry(7, 1, 2, 3, 4)])
    projection.apply([an_entry(7, 4), Entry(8, None, None, None, None)])
    everything, few = projection.alive, BitMap([5, 7])
    assert len(projection.alive) == 99
    assert projection.count(["object"], everything) == {"object": {"label 1": 98, "label 2": 98, "label 4": 1}}
    assert projection.count(["object"], few) == {"object": {"label 1": 1, "label 2": 1, "label 4": 1}}
    assert projection.count(["object"], everything, 0.5)["object"]["label 4"] == 1
    assert projection.having([VALUES[3]]) == projection.having([VALUES[3]], 0.5) == BitMap([7])


def test_an_image_without_a_date_lies_in_no_span_of_dates() -> None:
    projection = Projection()
    projection.apply([an_entry(1), Entry(2, 10, 10, -5, b"")])
    assert projection.between("taken", [(-(2**63) + 1, 2**63 - 1)]) == BitMap([2])


def test_a_column_grows_where_it_is_written_and_is_empty_elsewhere() -> None:
    column = Growing(np.int64, -1)
    column.put(np.array([5000, 2]), np.array([7, 8]))
    column.extend(np.array([9]))
    assert len(column) == 5002
    assert column.at(np.array([2, 3, 5000, 5001])).tolist() == [8, -1, 7, 9]
    column.keep(np.array([2, 5001]))
    column.extend(np.array([1, 2]))
    assert column.filled().tolist() == [8, 9, 1, 2]


def test_sets_of_images_go_to_arrays_and_back() -> None:
    assert ordinals_of(BitMap()).tolist() == []
    assert ordinals_of(BitMap([7, 3])).tolist() == [3, 7]
    assert bitmap_of(np.array([9, 2, 9], dtype=np.int64)) == BitMap([2, 9])
