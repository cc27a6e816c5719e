"""Groups of near-duplicates: pairs of near hashes, joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.duplicates import connected, decode, near_pairs
from search.errors import InvalidQuery


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(0, 40))
def test_every_near_pair_is_found_once(hashes: list[int], most: int) -> None:
    places, distances = near_pairs(np.array(hashes, np.uint64), most)
    expected = {
        (one, other): (hashes[one] ^ hashes[other]).bit_count()
        for other in range(len(hashes))
        for one in range(other)
        if (hashes[one] ^ hashes[other]).bit_count() <= most
    }
    assert dict(zip(map(tuple, places.tolist()), distances.tolist(), strict=True)) == expected
    assert len(places) == len(expected)


def test_large_libraries_lose_no_pair_up_to_seven_bits() -> None:
    random = np.random.default_rng(3)
    hashes = random.integers(0, 2**63, 500, dtype=np.uint64)
    for copy in range(100):
        for bit in random.permutation(64)[: copy % 8]:
            hashes[400 + copy] = (hashes[400 + copy] if bit < 0 else hashes[copy]) ^ np.uint64(1 << int(bit))
    every, some = (near_pairs(hashes, 7, all_pairs=limit)[0].tolist() for limit in (1000, 10))
    assert sorted(every) == sorted(some)


def test_pairs_are_joined_to_groups() -> None:
    pairs = np.array([[5, 9], [1, 2], [9, 7], [2, 3]], np.uint32)
    assert [group.tolist() for group in connected(pairs)] == [[1, 2, 3], [5, 7, 9]]
    assert connected(np.empty((0, 2), np.uint32)) == []


def test_a_long_chain_is_one_group() -> None:
    chain = np.stack([np.arange(5000), np.arange(1, 5001)], axis=1).astype(np.uint32)
    assert [len(group) for group in connected(chain[::-1])] == [5001]


@pytest.mark.parametrize("cursor", ["", "-1", "x", "1.5", "²", "9" * 11])
def test_other_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="cursor"):
        decode(cursor)
