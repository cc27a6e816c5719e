"""Which facets there are, and how counted values are listed."""

from __future__ import annotations

import pytest

from search.errors import InvalidQuery
from search.facets import FACETS, facet_named, listed, people_bucket, selectable_fields
from search.fields import FIELDS
from search.types import FacetValue


def test_every_facet_of_the_contract_exists_and_selects_a_field_of_the_filter_language() -> None:
    contract = ("object", "scene", "attribute", "style", "color", "people", "orientation", "year", "moderation")
    assert {*contract, "source"} <= set(FACETS)
    assert {spec.field for spec in FACETS.values()} <= set(FIELDS)
    assert all(spec.title and spec.name == name for name, spec in FACETS.items())


def test_fields_of_facets_are_named_once_and_unknown_facets_are_errors() -> None:
    assert selectable_fields(["people", "object", "people"]) == ("people", "object")
    assert facet_named("color").title == "Colours"
    with pytest.raises(InvalidQuery, match="no facet 'size'"):
        selectable_fields(["size"])


@pytest.mark.parametrize(("count", "bucket"), [(0, "0"), (2, "2"), (3, "3-5"), (5, "3-5"), (6, "6+"), (10**6, "6+")])
def test_people_fall_into_buckets(count: int, bucket: str) -> None:
    assert people_bucket(count) == bucket


def test_values_are_listed_by_count_then_by_value() -> None:
    values = listed({"b": 2, "a": 2, "c": 5, "never": 0}, (), 2)
    assert values == (FacetValue("c", 5), FacetValue("a", 2))


def test_selected_values_are_listed_beyond_the_size_and_without_any_image() -> None:
    values = listed({"a": 3, "Rare Bird": 1, "b": 2}, ("rare bird", "unknown"), 1)
    assert values == (FacetValue("a", 3), FacetValue("Rare Bird", 1, True), FacetValue("unknown", 0, True))
