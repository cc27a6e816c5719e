"""What events say, and the interests that they are about."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from helpers import an_image, image_id
from hypothesis import given, settings
from hypothesis import strategies as st

from search.recommend.events import Event, EventType
from search.recommend.taste import (
    HALF_LIFE_DAYS,
    MOST_LABELS,
    MOST_OF_VIEWS,
    favourite_labels,
    interests,
    strength,
    strengths,
)
from search.types import TagKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIKE, VIEW, HIDE = EventType.LIKE, EventType.VIEW, EventType.HIDE


def an_event(number: int, type: EventType = LIKE, *, days: float = 0, times: int = 1) -> Event:
    return Event(image_id(number), type, NOW - timedelta(days=days), times)


def test_an_event_says_half_as_much_after_the_half_life_and_never_more_than_at_first() -> None:
    assert strength(an_event(1), NOW) == 1
    assert strength(an_event(1, days=HALF_LIFE_DAYS), NOW) == pytest.approx(0.5)
    assert strength(an_event(1, days=2 * HALF_LIFE_DAYS), NOW) == pytest.approx(0.25)
    assert strength(an_event(1, days=-1), NOW) == 1, "another machine's clock"


def test_views_say_less_than_a_like_however_many_they_are() -> None:
    said = [strength(an_event(1, VIEW, times=times), NOW) for times in (1, 2, 8, 10_000)]
    assert said == sorted(said)
    assert said[-1] == MOST_OF_VIEWS < strength(an_event(1), NOW)


def test_what_is_hidden_says_nothing_even_if_it_was_viewed() -> None:
    kept = (an_event(1), an_event(2, HIDE), an_event(2, VIEW), an_event(3, VIEW), an_event(1, VIEW))
    assert list(strengths(kept, NOW)) == [image_id(1), image_id(3)]
    assert strengths(kept, NOW)[image_id(1)] == 1, "no image counts for more than one like"


def some_vectors(count: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@settings(max_examples=60)
@given(count=st.integers(0, 80), most=st.integers(1, 10), seed=st.integers(0, 1000))
def test_interests_part_the_images_and_keep_their_weight(count: int, most: int, seed: int) -> None:
    vectors = some_vectors(count, seed)
    weights = np.random.default_rng(seed).uniform(0.01, 1, count).astype(np.float32)
    found = interests(vectors, weights, most=most)
    assert len(found) == min(count, most)
    assert sorted(place for one in found for place in one.members) == list(range(count))
    assert sum(one.weight for one in found) == pytest.approx(float(weights.sum()), rel=1e-4)
    assert [one.weight for one in found] == sorted((one.weight for one in found), reverse=True)
    for one in found:
        mean = (weights[list(one.members), None] * vectors[list(one.members)]).sum(axis=0)
        assert one.centre == pytest.approx(mean / np.linalg.norm(mean), abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_two_tastes_are_two_interests_and_not_their_mean(seed: int) -> None:
    """Also where one is far heavier, and some of what a person likes is about nothing at all."""
    rng = np.random.default_rng(seed)
    axes = np.eye(6, dtype=np.float32)
    near = np.concatenate([np.tile(axes[0], (30, 1)), np.tile(axes[1], (5, 1))])
    near += rng.normal(scale=0.05, size=near.shape).astype(np.float32)
    vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
    first, second = interests(vectors, np.ones(35, np.float32), most=2)
    assert set(first.members) == set(range(30))
    assert set(second.members) == set(range(30, 35))
    assert float(first.centre @ axes[0]) > 0.99
    assert float(second.centre @ axes[1]) > 0.99


def test_groups_about_the_same_are_one_interest_and_others_stay_apart() -> None:
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]], np.float32)
    found = interests(vectors, np.array([1, 1, 3], np.float32), together=0.7)
    assert [one.members for one in found] == [(2,), (0, 1)]
    assert [one.weight for one in found] == [3, 2]
    assert found[1].centre == pytest.approx(np.array([0.9, 0.3, 0]) / np.hypot(0.9, 0.3), abs=1e-6)
    assert len(interests(vectors, np.ones(3, np.float32), together=0.9)) == 3


def test_favourite_labels_are_those_that_the_weightiest_images_share() -> None:
    dog, cat = an_image(objects=["dog"], styles=[("drawing", 0.8)]), an_image(objects=["cat", ("bird", 0.1)])
    found = favourite_labels([(dog, 1.0), (cat, 0.25), (dog, 0.5)])
    assert list(found) == [(TagKind.OBJECT, "dog"), (TagKind.STYLE, "drawing"), (TagKind.OBJECT, "cat")]
    assert found[TagKind.OBJECT, "dog"] == 1
    assert found[TagKind.OBJECT, "cat"] == pytest.approx(0.25 / 1.5)
    many = an_image(objects=[f"thing {number}" for number in range(50)])
    assert len(favourite_labels([(many, 1.0)])) == MOST_LABELS
    assert favourite_labels([]) == {}
