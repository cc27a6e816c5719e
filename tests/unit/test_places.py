import numpy as np
import pytest

from indexer.taggers.zero_shot import LEAST_SURE_OF_GROUP, places, scene_groups, scene_tags
from search.types import TagKind


def row(**shares: float) -> np.ndarray:
    """Return probabilities of the 365 scenes: what is not named shares the rest."""
    names, _ = places()
    rest = (1 - sum(shares.values())) / (len(names) - len(shares))
    return np.array([shares.get(name, rest) for name in names], np.float32)


def group_tags(probabilities: np.ndarray) -> dict[str, float]:
    tags = scene_tags(probabilities, "test")
    return {tag.label: tag.confidence for tag in tags if tag.kind is TagKind.ATTRIBUTE and tag.label in scene_groups()}


def test_every_scene_is_in_one_of_sixteen_groups() -> None:
    names, _ = places()
    assert len(names) == len(set(names)) == 365
    assert len(scene_groups()) == 16
    assert (np.sum(list(scene_groups().values()), axis=0) == 1).all()


def test_a_group_is_said_with_the_sum_of_its_scenes() -> None:
    probabilities = row(kitchen=0.3, bedroom=0.3, street=0.1)
    (label,) = group_tags(probabilities)
    assert label == "home or hotel"
    members = scene_groups()["home or hotel"]
    assert group_tags(probabilities)[label] == pytest.approx(probabilities[members].sum(), abs=1e-5)


def test_no_group_is_said_where_none_is_clear() -> None:
    assert group_tags(row(kitchen=0.3, street=0.3, beach=0.3)) == {}
    assert LEAST_SURE_OF_GROUP >= 0.5, "or two groups could be said"


def test_scenes_stay_a_list_of_their_own() -> None:
    scenes = [tag for tag in scene_tags(row(kitchen=0.5, bedroom=0.3), "test") if tag.kind is TagKind.SCENE]
    assert [tag.label for tag in scenes[:2]] == ["kitchen", "bedroom"]
    assert len(scenes) == 5
