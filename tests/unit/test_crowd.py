"""What others with the same likes like: by co-occurrence and by factors, and never one person's like as such."""

import numpy as np
import pytest
from helpers import image_id

from search.recommend import crowd as crowds
from search.recommend.crowd import Crowd
from search.recommend.factors import is_installed
from search.types import ImageId

FACTORISED = pytest.param(True, marks=pytest.mark.skipif(not is_installed(), reason="needs the extra recommendations"))


def tastes(**likes: list[int]) -> dict[str, dict[ImageId, float]]:
    return {person: {image_id(number): 1.0 for number in numbers} for person, numbers in likes.items()}


def own(*numbers: int) -> dict[ImageId, float]:
    return {image_id(number): 1.0 for number in numbers}


def test_what_goes_with_ones_likes_comes_first() -> None:
    crowd = Crowd(tastes(ann=[1, 2, 3], bob=[1, 2, 3], cy=[2, 3, 9], dan=[7, 8, 9], eve=[7, 8]))
    found = crowd.likes_of_others("zoe", own(1), 10)
    assert set(found) == {image_id(2), image_id(3)}
    assert max(found.values()) == 1
    assert crowd.likes_of_others("zoe", own(5), 10) == {}, "nobody knows what the person likes"
    assert crowd.likes_of_others("zoe", {}, 10) == {}
    assert Crowd({}).likes_of_others("zoe", own(1), 10) == {}


@pytest.mark.parametrize("factorised", [False, FACTORISED])
def test_one_persons_like_is_shown_to_nobody(factorised: bool) -> None:
    crowd = Crowd(tastes(ann=[1, 2, 5], bob=[1, 2, 6], cy=[1, 2, 6]), factorised=factorised)
    for person in ("zoe", "ann"):
        assert image_id(5) not in crowd.likes_of_others(person, own(1), 10)
    assert image_id(6) in crowd.likes_of_others("zoe", own(1), 10)
    assert image_id(6) not in crowd.likes_of_others("bob", own(1), 10), "besides bob, only cy likes it"
    assert image_id(5) not in {one.image for one in crowd.popular(10)}


def test_who_asks_is_not_ones_own_neighbour() -> None:
    crowd = Crowd(tastes(ann=[1, 2], bob=[1, 2], cy=[1, 3]))
    assert crowd.likes_of_others("ann", own(1), 10) == {}, "of 2 only bob speaks, of 3 only cy"


def test_popular_is_what_many_like_the_most_liked_first() -> None:
    crowd = Crowd(tastes(ann=[1, 2], bob=[1, 2], cy=[1, 3]))
    assert [(one.image, one.persons) for one in crowd.popular(5)] == [(image_id(1), 3), (image_id(2), 2)]
    assert crowd.popular(1)[0].image == image_id(1)


def test_the_link_is_the_like_that_is_shared_most() -> None:
    crowd = Crowd(tastes(ann=[1, 3], bob=[1, 3], cy=[2, 3], dan=[4]))
    assert crowd.links([image_id(3), image_id(4), image_id(99)], list(own(1, 2, 98))) == {image_id(3): image_id(1)}
    assert crowd.links([image_id(3)], []) == {}


@pytest.mark.parametrize("factorised", [False, FACTORISED])
def test_persons_of_one_circle_are_shown_what_the_circle_likes(factorised: bool) -> None:
    rng = np.random.default_rng(3)
    circles = [list(range(10 * c, 10 * c + 10)) for c in range(6)]
    likes = {f"p{n}": rng.choice(circles[n % 6], 6, replace=False).tolist() for n in range(120)}
    crowd = Crowd(tastes(**likes), factorised=factorised)
    assert crowd.method == ("factorisation" if factorised else "co-occurrence")
    right = 0
    for n in range(30):
        found = list(crowd.likes_of_others(f"p{n}", own(*likes[f"p{n}"]), 4))
        right += sum(image in own(*circles[n % 6]) for image in found)
        assert not set(found) & set(own(*likes[f"p{n}"])), "what one likes oneself is no news"
    assert right >= (0.7 if factorised else 0.95) * 30 * 4, "by chance it were a sixth"


def test_likes_are_factorised_once_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "FACTORISED_FROM", 3)
    few, many = tastes(ann=[1, 2], bob=[1, 2]), tastes(ann=[1, 2], bob=[1, 2], cy=[1, 3])
    assert Crowd(few).method == "co-occurrence"
    assert Crowd(many).method == ("factorisation" if is_installed() else "co-occurrence")
    monkeypatch.setattr(crowds.factors, "is_installed", lambda: False)
    assert Crowd(many).method == "co-occurrence", "without the extra it goes on without factors"
