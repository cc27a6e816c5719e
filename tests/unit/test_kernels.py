"""The compiled loops against the same sums in NumPy."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.types import Matrix
from search.vectors import kernels
from search.vectors.codes import EVERYTHING, LEVELS, WORD, Asked, Coder, Codes, Wanted, trained

DIMS = [16, 64, 200, 512, 768, 1152]


def vectors(count: int, dim: int, seed: int = 0) -> Matrix:
    drawn = np.random.default_rng(seed).standard_normal((count, dim)) + 0.3
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def coded(count: int, dim: int, seed: int = 0) -> tuple[Coder, Codes, Asked]:
    rows = vectors(count, dim, seed)
    coder = trained(rows)
    return coder, coder.encode(rows), coder.asked(rows[0] + 0.1 * vectors(1, dim, seed + 1)[0])


def estimates(codes: Codes, asked: Asked) -> np.ndarray:
    bits = np.unpackbits(codes[:, :-8], axis=1, bitorder="little").astype(np.int64)
    numbers = codes[:, -8:].copy().view(np.float32).astype(np.float64)
    sums = bits @ asked.weights.reshape(-1).astype(np.int64)
    return asked.base - numbers[:, 0] / 2 + numbers[:, 1] * (asked.scale * sums - asked.shift)


def whole(codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(1, np.int64), np.array([len(codes)])


@pytest.mark.parametrize("dim", DIMS)
def test_estimates_are_as_good_as_with_the_query_itself(dim: int) -> None:
    rows = vectors(2000, dim)
    coder, codes, asked = coded(2000, dim)
    query = rows[0] + 0.1 * vectors(1, dim, 1)[0]
    assert codes.shape == (2000, coder.code_bytes)
    assert (coder.dim % WORD, np.abs(asked.weights).max()) == (0, LEVELS)
    places, scores = kernels.scanned(codes, *whole(codes), asked, 2000, EVERYTHING)
    found = np.empty(2000)
    found[places] = scores
    assert np.allclose(found, estimates(codes, asked), atol=1e-5)
    signs = 2.0 * np.unpackbits(codes[:, :-8], axis=1, bitorder="little") - 1
    numbers = codes[:, -8:].copy().view(np.float32)
    turned = coder.rotation @ query
    inner = signs @ (turned - coder.centre) / np.sqrt(coder.dim)
    unrounded = turned @ coder.centre - coder.centre @ coder.centre / 2 - numbers[:, 0] / 2 + numbers[:, 1] * inner
    truth = rows @ query
    assert (found - truth).std() < 1.02 * (unrounded - truth).std()


def test_weights_as_great_as_may_be_do_not_overflow() -> None:
    codes = np.full((3, 8 * 18 + 8), 255, np.uint8)
    codes[:, -8:] = np.array([0, 1], np.float32).view(np.uint8)
    for sign in (1, -1):
        asked = Asked(np.full((18, WORD), sign * LEVELS, np.int8), *np.array([0, 1, 0], np.float32))
        _, scores = kernels.scanned(codes, *whole(codes), asked, 3, EVERYTHING)
        assert scores.tolist() == [sign * LEVELS * 18 * WORD] * 3


ELSEWHERE = """
import sys
import llvmlite.binding as llvm
features = llvm.get_host_cpu_features()
features.update({name: False for name in features if name.startswith(tuple(sys.argv[2].split(",")))})
llvm.get_host_cpu_features = lambda: features
llvm.get_host_cpu_name = lambda: sys.argv[1]
from unit.test_kernels import test_estimates_are_as_good_as_with_the_query_itself as good
good(512)
good(768)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of PCs")
@pytest.mark.parametrize(
    ("processor", "without"), [("haswell", "avx512"), ("x86-64", "avx,sse4,ssse3,f16c,fma,popcnt,bmi,xsave")]
)
def test_other_processors_find_the_same(processor: str, without: str) -> None:
    """Those without AVX-512, and those with nothing but what all have."""
    tests = Path(__file__).parents[1]
    here = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    subprocess.run([sys.executable, "-c", ELSEWHERE, processor, without], check=True, env=here)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 1500), min_size=2, max_size=12),
    count=st.sampled_from([1, 7, 100, 2000]),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    shift=st.sampled_from([0, 1, 77]),
    told=st.booleans(),
)
def test_the_best_of_what_is_wanted_in_some_runs_are_found(
    seed: int, cuts: list[int], count: int, share: float, shift: int, told: bool
) -> None:
    _, codes, asked = coded(1500, 128)
    rng = np.random.default_rng(seed)
    cuts = sorted(cuts)
    starts, stops = np.array(cuts[:-1:2]), np.array(cuts[1::2])
    wanted = rng.random(1500) < share
    bits = np.packbits(np.concatenate([np.ones(shift, bool), wanted]), bitorder="little")
    rows = rng.permutation(1500) if told else None
    places, scores = kernels.scanned(codes, starts, stops - starts, asked, count, Wanted(bits, shift), rows)
    inside = [place for start, stop in zip(starts, stops, strict=True) for place in range(start, stop)]
    allowed = [place for place in inside if wanted[place if rows is None else rows[place]]]
    expected = estimates(codes, asked)[allowed]
    assert len(places) == len(set(places.tolist())) == min(count, len(allowed))
    assert set(places.tolist()) <= set(allowed)
    assert np.allclose(np.sort(scores), np.sort(expected)[-count:], atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(places=st.lists(st.integers(0, 1499), max_size=600, unique=True), count=st.sampled_from([1, 7, 100, 2000]))
def test_the_best_of_listed_places_are_found(places: list[int], count: int) -> None:
    _, codes, asked = coded(1500, 128)
    numbers, scores = kernels.picked(codes, np.array(places, np.int32), asked, count)
    expected = estimates(codes, asked)[places]
    assert len(numbers) == min(count, len(places))
    assert np.allclose(scores, expected[numbers], atol=1e-5)
    assert np.allclose(np.sort(scores), np.sort(expected)[-count:], atol=1e-5)


def test_what_is_no_place_or_no_number_is_left_out() -> None:
    """So it may be in a damaged file."""
    _, codes, asked = coded(100, 64)
    codes[7, -8:] = np.array([np.nan, np.nan], np.float32).view(np.uint8)
    numbers, scores = kernels.picked(codes, np.array([5, -3, 7, 100, 2**30, 6], np.int32), asked, 10)
    assert sorted(numbers.tolist()) == [0, 5]
    assert np.isfinite(scores).all()
    outside = Wanted(np.full(1, 255, np.uint8), 0)
    rows = np.arange(-50, 50)
    places, _ = kernels.scanned(codes, *whole(codes), asked, 100, outside, rows)
    assert set(rows[places].tolist()) == set(range(8))


@pytest.mark.parametrize("dim", DIMS)
def test_inner_products_with_a_table(dim: int) -> None:
    table = vectors(33, dim)
    assert np.allclose(kernels.dots(table, table[3]), table @ table[3], atol=1e-5)
    assert np.allclose(kernels.dots(kernels.narrowed(table), table[3]), table @ table[3], atol=1e-3)
    assert len(kernels.dots(table[:0], table[3])) == 0


@pytest.mark.skipif(not kernels.widens_halves(), reason="the processor has no instruction for half precision")
@pytest.mark.parametrize("dim", [8, 33, 512])
def test_inner_products_with_rows_in_half_precision(dim: int) -> None:
    table = vectors(500, dim).astype(np.float16)
    table[3, :5] = [6e-8, -6e-8, 65504, -0.0, np.inf]
    rows = np.array([499, 0, 7, 7, 3], np.int32)
    expected = table[rows].astype(np.float32) @ table[1].astype(np.float32)
    assert np.allclose(kernels.half_dots(table, rows, table[1].astype(np.float32)), expected, rtol=1e-5, atol=1e-5)
    assert len(kernels.half_dots(table, rows[:0], table[1].astype(np.float32))) == 0
