"""From candidates to a list: places by weight, nothing twice, variety."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.recommend.choosing import allotted, chosen, scaled

weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=8)


@given(weights=weights, places=st.integers(0, 60))
def test_places_go_by_weight(weights: list[float], places: int) -> None:
    turns = allotted(weights, places)
    assert len(turns) == places
    counts = [turns.count(one) for one in range(len(weights))]
    for one, count in enumerate(counts):
        quota = places * weights[one] / sum(weights)
        assert abs(count - quota) < len(weights), "no more than a place for each other one from the exact share"
    for one, other in zip(range(len(weights)), range(1, len(weights)), strict=False):
        if weights[one] > weights[other]:
            assert counts[one] >= counts[other]


def test_a_heavy_interest_comes_first_and_a_light_one_has_its_place() -> None:
    assert allotted([6.0, 3.0, 1.0], 10).count(2) == 1
    assert allotted([6.0, 3.0, 1.0], 3) == [0, 1, 0]
    assert allotted([], 5) == []


@given(count=st.integers(0, 40), groups=st.integers(1, 5), k=st.integers(0, 50), seed=st.integers(0, 99))
def test_a_list_has_no_image_twice_and_is_as_long_as_it_can_be(count: int, groups: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    scores, of = rng.random(count).astype(np.float32), rng.integers(0, groups, count)
    found = chosen(scores, vectors, of, rng.random(groups).tolist(), k, variety=0.3)
    assert len(found) == len(set(found)) == min(count, k)
    if found and (of == 0).any() and groups == 1:
        assert found[0] == int(np.argmax(scores)), "nothing was shown before the first"


def test_what_is_like_something_shown_already_comes_later() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    scores, nowhere = np.array([1.0, 0.9, 0.7], np.float32), np.zeros(3, np.intp)
    assert chosen(scores, vectors, nowhere, [1.0], 3, variety=0.0) == [0, 1, 2]
    assert chosen(scores, vectors, nowhere, [1.0], 3, variety=0.3) == [0, 2, 1]


def test_an_interest_that_has_too_few_candidates_leaves_its_places_to_others() -> None:
    vectors, of = np.eye(4, dtype=np.float32), np.array([0, 1, 1, 1])
    found = chosen(np.array([0.1, 0.9, 0.8, 0.7], np.float32), vectors, of, [3.0, 1.0], 4, variety=0.3)
    assert found == [0, 1, 2, 3]


def test_values_are_scaled_by_the_least_and_the_most() -> None:
    assert scaled(np.array([0.6, 0.8, 0.7], np.float32)) == pytest.approx([0, 1, 0.5])
    assert scaled(np.array([0.4, 0.4], np.float32)) == pytest.approx([1, 1])
    assert len(scaled(np.empty(0, np.float32))) == 0
