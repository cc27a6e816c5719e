"""Relevance curves: what they keep, and what they are the same for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.calibration import KEPT, Calibration, Curve, Observed, fitted, observed

cosines = st.floats(-1, 1, width=32)


@given(arrays(np.float32, (40, 12), elements=cosines), arrays(np.float32, 12, elements=cosines))
def test_a_fit_keeps_what_it_was_asked_to(similarity: np.ndarray, prior: np.ndarray) -> None:
    own = np.arange(40) % 12
    seen = observed(similarity, own, prior)
    if seen.shown.any():
        assert seen.kept(fitted(seen)) >= KEPT


@given(arrays(np.float32, (1, 30), elements=cosines), st.floats(-1, 1))
def test_relevance_grows_with_the_cosine(similarity: np.ndarray, prior: float) -> None:
    judged = Calibration(Curve(-0.2, 0.1), Curve(-0.3, 0.1)).judge(similarity[0], prior, library=30)(similarity[0])
    assert (np.diff(judged[np.argsort(similarity[0])]) >= 0).all()
    assert ((judged >= 0) & (judged <= 1)).all()


@given(arrays(np.float32, (20, 15), elements=cosines), st.integers(1, 19))
def test_texts_may_be_seen_in_parts(similarity: np.ndarray, cut: int) -> None:
    own, prior = np.arange(20) % 15, similarity[0]
    whole = observed(similarity, own, prior)
    parts = observed(similarity[:cut], own[:cut], prior) + observed(similarity[cut:], own[cut:], prior)
    for name in Observed.__slots__:
        assert np.array_equal(getattr(parts, name), getattr(whole, name))


def test_a_calibration_comes_back_from_its_numbers() -> None:
    calibration = Calibration(Curve(-0.25, 0.1), Curve(-0.3, 0.05))
    assert Calibration.of(calibration.numbers()) == calibration
