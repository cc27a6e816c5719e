"""Sets of images as bitmaps, masks and arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from search.bitmaps import bitmap_of, bits_of, mask_of, ordinals_of

SIZES = [0, 1, 65_535, 65_536, 65_537, 200_000]


@pytest.mark.parametrize("size", SIZES)
@given(
    seed=st.integers(0, 2**32 - 1),
    shares=st.lists(st.sampled_from([0.0, 0.0001, 0.0625, 0.5, 1.0]), min_size=4, max_size=4),
    form=st.sampled_from(["as it comes", "in runs", "of a range"]),
)
def test_a_mask_has_the_members_of_a_set(size: int, seed: int, shares: list[float], form: str) -> None:
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([n * 65_536 + np.flatnonzero(rng.random(65_536) < share) for n, share in enumerate(shares)])
    images = bitmap_of(drawn)
    if form == "in runs":
        images.run_optimize()
    elif form == "of a range":
        images |= BitMap(range(70_000, 70_000 + 50 * len(shares)))
    expected = np.zeros(max(size, 300_000), bool)
    expected[list(images)] = True
    mask = mask_of(images, size)
    assert mask.dtype == bool
    assert np.array_equal(mask, expected[:size])
    bits = bits_of(images, size)
    assert len(bits) == -(-size // 8)
    assert np.array_equal(np.unpackbits(bits, bitorder="little")[:size], mask)
    assert np.array_equal(ordinals_of(images), np.flatnonzero(expected))


@pytest.mark.parametrize("images", [BitMap(), BitMap([4095]), BitMap(range(4096)), BitMap(range(0, 8194, 2))])
def test_a_mask_of_few_and_of_as_many_as_change_a_container(images: BitMap) -> None:
    assert np.flatnonzero(mask_of(images, 100_000)).tolist() == list(images)
    assert np.flatnonzero(np.unpackbits(bits_of(images, 100_000), bitorder="little")).tolist() == list(images)
