"""Metrics, intervals and paired tests: by hand, by laws, and against ranx and scipy."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import evaluation as ev

ITEMS = st.integers(0, 20)
RANKED = st.lists(ITEMS, unique=True, max_size=15)
RELEVANT = st.sets(ITEMS, min_size=1)
VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_the_metrics_of_a_ranking_by_hand() -> None:
    ranked = ["x", "a", "y", "b"]
    assert ev.recall_at(ranked, {"a", "b", "c"}, 2) == 1 / 3
    assert ev.recall_at(ranked, {"a", "b", "c"}, 10) == 2 / 3
    assert ev.precision_at(ranked, {"a", "b", "c"}, 4) == 0.5
    assert ev.precision_at(ranked, {"a", "b", "c"}, 10) == 0.2  # six places are empty
    assert ev.reciprocal_rank(ranked, {"b", "a"}) == 0.5
    assert ev.reciprocal_rank(ranked, {"c"}) == 0
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    got = 1 / math.log2(3) + 1 / math.log2(5)
    assert ev.ndcg_at(ranked, {"a": 1, "b": 1, "c": 1}, 10) == pytest.approx(got / ideal)
    assert ev.ndcg_at(ranked, {"a": 1, "b": 3}, 2) == pytest.approx((1 / math.log2(3)) / (3 + 1 / math.log2(3)))


def test_a_question_without_an_answer_has_no_such_figure() -> None:
    for metric in (ev.recall_at, ev.precision_at, ev.ndcg_at):
        with pytest.raises(ValueError, match="relevant"):
            metric(["a"], {}, 10)
    with pytest.raises(ValueError, match="relevant"):
        ev.reciprocal_rank(["a"], ())


def made_runs() -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    rng = random.Random(1)
    documents = [f"d{n}" for n in range(40)]
    judged, ranked = {}, {}
    for number in range(300):
        judged[f"q{number}"] = {name: rng.randint(1, 3) for name in rng.sample(documents, rng.randint(1, 12))}
        ranked[f"q{number}"] = rng.sample(documents, rng.randint(3, 30))
    return judged, ranked


def test_the_metrics_are_those_of_ranx() -> None:
    """ranx 0.3.21 gave these for the same runs: it brings 700 MB of packages, so it is not asked here each time."""
    judged, ranked = made_runs()
    ours = {
        "recall@5": [ev.recall_at(ranked[q], judged[q], 5) for q in judged],
        "precision@10": [ev.precision_at(ranked[q], judged[q], 10) for q in judged],
        "mrr": [ev.reciprocal_rank(ranked[q], judged[q]) for q in judged],
        "ndcg@10": [ev.ndcg_at(ranked[q], judged[q], 10) for q in judged],
        "ndcg@3": [ev.ndcg_at(ranked[q], judged[q], 3) for q in judged],
    }
    assert {name: float(np.mean(values)) for name, values in ours.items()} == pytest.approx(
        {
            "recall@5": 0.1359698172198172,
            "precision@10": 0.1443333333333333,
            "mrr": 0.33239039588606045,
            "ndcg@10": 0.1828482406087035,
            "ndcg@3": 0.1342776703606997,
        }
    )


@given(RANKED, RELEVANT, st.integers(1, 12))
def test_metrics_lie_between_nothing_and_the_best_order(ranked: list[int], relevant: set[int], k: int) -> None:
    gains = dict.fromkeys(relevant, 1.0)
    best = [*relevant, *(item for item in ranked if item not in relevant)]
    for value, most in (
        (ev.recall_at(ranked, relevant, k), ev.recall_at(best, relevant, k)),
        (ev.precision_at(ranked, relevant, k), ev.precision_at(best, relevant, k)),
        (ev.reciprocal_rank(ranked, relevant), ev.reciprocal_rank(best, relevant)),
        (ev.ndcg_at(ranked, gains, k), ev.ndcg_at(best, gains, k)),
    ):
        assert 0 <= value <= most + 1e-9 <= 1 + 2e-9
    assert ev.ndcg_at(best, gains, k) == pytest.approx(1)
    assert ev.reciprocal_rank(best, relevant) == 1


@given(RANKED, RELEVANT, st.integers(0, 13))
def test_moving_a_right_answer_up_never_lowers_a_metric(ranked: list[int], relevant: set[int], place: int) -> None:
    if not 0 < place < len(ranked) or ranked[place] not in relevant:
        return
    raised = [*ranked[: place - 1], ranked[place], ranked[place - 1], *ranked[place + 1 :]]
    gains = dict.fromkeys(relevant, 1.0)
    assert ev.ndcg_at(raised, gains, 10) >= ev.ndcg_at(ranked, gains, 10) - 1e-12
    assert ev.reciprocal_rank(raised, relevant) >= ev.reciprocal_rank(ranked, relevant)
    assert ev.recall_at(raised, relevant, 5) >= ev.recall_at(ranked, relevant, 5)


@given(VALUES)
def test_an_interval_holds_its_mean_and_the_mean_lies_among_the_values(values: list[float]) -> None:
    found = ev.mean(values)
    assert found.value == pytest.approx(np.mean(values))
    assert min(values) - 1e-9 <= found.value <= max(values) + 1e-9
    assert found.low <= found.high
    assert found.count == len(values)
    assert ev.mean(values) == found  # seeded


def test_all_right_is_not_certain_and_more_questions_make_it_more_so() -> None:
    few, many = ev.mean([1.0] * 10), ev.mean([1.0] * 1_000)
    assert (few.value, few.high) == (1, 1)
    assert few.low == pytest.approx(0.025 ** (1 / 10))  # exact binomial: 0.69
    assert 0.99 < many.low < 1
    none = ev.mean([0.0] * 10)
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(1 - 0.025 ** (1 / 10)))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    drawn = [ev.mean((rng.random(120) < 0.3).astype(float)) for _ in range(200)]
    held = np.mean([one.low <= 0.3 <= one.high for one in drawn])
    assert 0.90 <= held <= 0.99


def test_questions_about_one_thing_count_as_one() -> None:
    """Five equal answers for each of 40 photos say no more than one for each."""
    rng = np.random.default_rng(4)
    photos = (rng.random(40) < 0.5).astype(float)
    each = ev.mean(photos)
    five = ev.mean(np.repeat(photos, 5), np.repeat(np.arange(40), 5).tolist())
    naive = ev.mean(np.repeat(photos, 5))
    assert five.value == each.value
    assert five.high - five.low == pytest.approx(each.high - each.low, rel=0.05)
    assert naive.high - naive.low < 0.6 * (five.high - five.low)


def test_intervals_and_p_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    ours, theirs = rng.random(150), rng.random(150) - 0.05
    found = ev.mean(ours)
    scipy_one = stats.bootstrap(
        (ours,), np.mean, method="percentile", n_resamples=5_000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((scipy_one.low, scipy_one.high), abs=0.006)
    difference = ev.paired(ours, theirs)
    p = stats.permutation_test(
        (ours, theirs),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=5_000,
        rng=np.random.default_rng(0),
        vectorized=True,
    ).pvalue
    assert difference.value == pytest.approx((ours - theirs).mean())
    assert difference.p == pytest.approx(p, abs=0.02)


def test_a_system_is_never_ahead_of_itself_and_far_ahead_of_a_bad_one() -> None:
    values = [0.2, 0.5, 0.9] * 20
    same = ev.paired(values, values)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    ahead = ev.paired(values, [value - 0.1 for value in values])
    assert ahead.low > 0
    assert ahead.p < 0.001


def test_a_ratio_weighs_pictures_by_what_was_found_in_them() -> None:
    found = ev.ratio([1, 0, 9], [1, 0, 10])
    assert found.value == pytest.approx(10 / 11)
    assert found.count == 11
    with pytest.raises(ValueError, match="nothing"):
        ev.ratio([0.0], [0.0])
    with pytest.raises(ValueError, match="nothing"):
        ev.mean([])


def test_percentiles() -> None:
    found = ev.percentile(range(101), 0.95)
    assert found.value == 95
    assert found.low <= 95 <= found.high
