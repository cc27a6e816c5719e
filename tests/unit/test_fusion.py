import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import fusion


def scores(*values: float):
    return np.array(values, dtype=np.float32)


def test_without_keywords_the_order_is_that_of_relevance() -> None:
    blended = fusion.blend(scores(0.2, 0.9, 0.5), scores(0, 0, 0), keyword_weight=0.3)
    assert fusion.best_first(blended).tolist() == [1, 2, 0]


def test_a_keyword_match_lifts_an_image_above_an_equal_one() -> None:
    blended = fusion.blend(scores(0.5, 0.5), scores(0, 6), keyword_weight=0.3)
    assert blended[1] > blended[0]


def test_a_weight_of_zero_leaves_keywords_out() -> None:
    assert fusion.blend(scores(0.5), scores(100), keyword_weight=0).tolist() == [0.5]


@given(st.floats(0, 1, width=32), st.floats(0, 1000, width=32), st.floats(0, 100))
def test_a_blended_score_stays_between_0_and_1(relevance: float, keyword: float, weight: float) -> None:
    (score,) = fusion.blend(scores(relevance), scores(keyword), keyword_weight=weight)
    assert 0 <= score <= 1 + 1e-6


def test_what_is_not_wanted_sinks() -> None:
    lowered = fusion.penalised(scores(0.9, 0.8), scores(0.9, 0.1))
    assert fusion.best_first(lowered).tolist() == [1, 0]


def test_words_count_by_how_few_they_are() -> None:
    assert fusion.keyword_weight(0.3, ["dog"]) == pytest.approx(0.9)
    assert fusion.keyword_weight(0.3, ["two dogs playing in deep snow"]) == pytest.approx(0.18)
    assert fusion.keyword_weight(0.3, []) == 0


def test_what_is_not_wanted_lowers_what_is_nearer_to_it_than_most() -> None:
    lowered = fusion.away_from(scores(0.5, 0.5, 0.5), [scores(0.1, 0.2, 0.6)])
    assert lowered == pytest.approx([0.6, 0.5, 0.1])
    nothing = scores(float("nan"), float("nan"))
    assert fusion.away_from(scores(0.5, 0.4), [nothing]).tolist() == scores(0.5, 0.4).tolist()


def test_ties_keep_their_order() -> None:
    assert fusion.best_first(scores(0.5, 0.7, 0.5, 0.7)).tolist() == [1, 3, 0, 2]
