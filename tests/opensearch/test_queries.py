"""Filters as queries, and prefixes as regular expressions: what is sent, without a server."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from filter_strategies import all_filters
from hypothesis import given
from pyroaring import BitMap

from search.errors import InvalidQuery
from search.filters import parse
from search.opensearch import aggregations, queries
from search.types import Filter, Op, TagKind, Term


def wanted(expression: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = queries.query_of(parse(expression))["bool"]["filter"]
    return found


def test_an_empty_filter_asks_for_everything_and_an_empty_set_for_nothing() -> None:
    assert queries.query_of(Filter()) == queries.EVERYTHING
    assert queries.query_of(Filter(), BitMap())["bool"]["filter"] == [queries.NOTHING]


def test_labels_are_asked_for_folded_in_the_field_of_those_that_count() -> None:
    assert wanted("object:Dog|cat") == [{"terms": {"value.object": ["cat", "dog"]}}]
    query = queries.query_of(parse("-has:faces"))
    assert query == {"bool": {"filter": [], "must_not": [{"terms": {"value.object": ["person"]}}]}}


def test_a_confidence_is_compared_as_the_32_bits_that_are_kept() -> None:
    (query,) = wanted("object:dog@0.7")
    least = query["nested"]["query"]["bool"]["filter"][2]["range"]["tags.confidence"]["gte"]
    assert least == float(np.float32(0.7)) != 0.7
    (query,) = wanted("confidence:>0.7 object:dog")
    above = query["nested"]["query"]["bool"]["filter"][2]["range"]["tags.confidence"]["gte"]
    assert above == float(np.nextafter(np.float32(0.7), np.float32(1)))


def test_numbers_are_ranges_with_open_ends_left_out() -> None:
    assert wanted("width:>=640") == [{"range": {"number.width": {"gte": 640}}}]
    assert wanted("people:6+") == [{"range": {"number.people": {"gte": 6}}}]
    assert wanted("year:<2000 height:1..2") == [
        {"range": {"number.year": {"lte": 1999}}},
        {"range": {"number.height": {"gte": 1, "lte": 2}}},
    ]


def test_a_glob_keeps_its_stars_and_nothing_else_has_a_meaning() -> None:
    assert wanted('path:"Holiday/*[1]?\\\\x"') == [{"wildcard": {"path": {"value": "holiday/*[1]?\\\\x"}}}]


def test_sets_of_images_are_sent_as_bitmaps() -> None:
    images = BitMap([1, 5, 70_000])
    (query,) = queries.query_of(Filter(), images)["bool"]["filter"]
    assert query["terms"]["value_type"] == "bitmap"
    assert BitMap.deserialize(base64.b64decode(query["terms"]["ordinal"][0])) == images


def test_labels_without_weight_are_not_asked_for() -> None:
    labels = {(TagKind.OBJECT, "Dog"): 1.0, (TagKind.USER, "x"): 0.0}
    (query,) = queries.by_labels(labels, np.array([0.5, 0.0], np.float32))
    assert query == {"constant_score": {"filter": {"terms": {"value.object": ["dog"]}}, "boost": 0.5}}


def test_a_term_on_a_field_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(InvalidQuery, match="no field 'shape'"):
        queries.query_of(Filter((Term("shape", Op.EQ, ("round",)),)))


@given(all_filters)
def test_every_filter_has_a_query(filter: Filter) -> None:
    query = queries.query_of(filter, BitMap([1]))
    terms = [term for term in filter.terms if term.field != "confidence"]
    assert len(query["bool"]["filter"]) + len(query["bool"]["must_not"]) == len(terms) + 1


def test_operators_of_regular_expressions_in_a_prefix_stand_for_themselves() -> None:
    include = aggregations.completing('c++ "x"~1_a é')["aggs"]["completion"]["terms"]["include"]
    assert include == '\\c\\+\\+ \\"x\\"\\~1_a é.*'.replace("\\c", "c", 1)
    assert "include" not in aggregations.completing("")["aggs"]["completion"]["terms"]
