import math
from dataclasses import replace

import pytest

from search import limits
from search.errors import InvalidQuery
from search.types import Query, Weights

GOOD = Query(texts=("a dog",))


def test_a_plain_query_passes() -> None:
    limits.check(GOOD)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"k": 0}, "k must be 1–200, got 0"),
        ({"k": 201}, "got 201"),
        ({"texts": ("x" * 1001,)}, "1,001"),
        ({"texts": ("  ",)}, "empty"),
        ({"texts": ("a\0b",)}, "control character"),
        ({"not_texts": ("\x1b",)}, "control character"),
        ({"texts": ("a",) * 17}, "at most 16"),
        ({"images": ("0" * 32,) * 9, "not_images": ("1" * 32,) * 9}, "at most 16"),
        ({"weights": Weights(text=-1)}, "weight of text"),
        ({"weights": Weights(keyword=math.nan)}, "weight of keyword"),
        ({"vector": (math.inf, 1.0)}, "finite"),
        ({"vector": (0.0, 0.0)}, "zero"),
        ({"cutoff": 1.5}, "cutoff"),
        ({"cutoff": "some"}, "cutoff"),
        ({"cutoff": math.nan}, "cutoff"),
    ],
)
def test_a_query_out_of_bounds_is_refused_with_the_bound(change: dict, says: str) -> None:
    with pytest.raises(InvalidQuery, match=says):
        limits.check(replace(GOOD, **change))


def test_a_control_character_is_named_with_its_place() -> None:
    with pytest.raises(InvalidQuery) as error:
        limits.check_text("dog\0")
    assert error.value.position == 3
