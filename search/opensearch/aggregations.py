"""Facet counts and completions as aggregations of OpenSearch: what is asked, and how the answer reads. Pure.

A facet's values are the terms of ``shown.FIELD``, or of nested tags where the filter says at which confidence. Of these
the commonest are listed; a selected one may be rarer, so each is counted by a filter of its own besides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pyroaring import BitMap

from search.facets import PEOPLE_BUCKETS, FacetSpec, FacetWish, listed
from search.fields import TAG_FIELDS
from search.matching import filter_confidence, least_confidence
from search.opensearch.documents import COMPLETED, SEPARATOR, cut
from search.opensearch.queries import EVERYTHING, Query, all_of, any_of, holding, query_of, reaching
from search.selection import selected_values, without_selection
from search.types import PERSON, Facet, Filter, Op, Range, TagKind, Term
from search.words import fold

Aggregation = dict[str, Any]

MOST_VALUES = 1_000
"""The values of a field that are counted, the commonest; of the completions of a prefix as well."""
OF_EACH_SHARD = 5_000
"""How many each shard names, so that those that are common only on the whole are not lost."""
WITHOUT_CONFIDENCE = frozenset({"orientation", "year"})

LONGEST_PREFIX = 200
MOST_PERSONS = 10_000
"""In one picture."""

Counts = dict[str, int]


def counting(
    scope: Filter, specs: Iterable[FacetSpec], filter: Filter, within: BitMap | None, wish: FacetWish
) -> dict[str, Any]:
    """Return the search that counts the facets of a scope."""
    overall = filter_confidence(filter)
    asked: dict[str, Aggregation] = {}
    for spec in specs:
        selected = selected_values(filter, spec.field)
        if spec.field == "people":
            numbers = dict.fromkeys((*PEOPLE_BUCKETS, *selected))
            asked["people"] = {"filters": {"filters": {n: holding(_equal("people", n), overall) for n in numbers}}}
            continue
        asked[spec.field] = _common(spec.field, overall, fold(wish.prefix)[:LONGEST_PREFIX])
        if selected:
            chosen = {value: holding(_equal(spec.field, value), overall) for value in selected}
            asked[_selected(spec.field)] = {"filters": {"filters": chosen}, "aggs": {"spelt": _spelt(spec, selected)}}
    return {"size": 0, "track_total_hits": False, "query": query_of(scope, within), "aggs": asked}


def facet(spec: FacetSpec, filter: Filter, counted: Mapping[str, Any], wish: FacetWish) -> Facet:
    """Return a facet from the ``aggregations`` of the answer."""
    selected = selected_values(filter, spec.field)
    if spec.field == "people":
        counts = {value: int(bucket["doc_count"]) for value, bucket in counted["people"]["buckets"].items()}
    else:
        counts = _merged(_buckets(counted[spec.field]))
        chosen = counted[_selected(spec.field)]["buckets"] if selected else {}
        known = set(map(fold, counts))
        for value, bucket in chosen.items():
            if fold(value) not in known:
                counts[_spelling(value, bucket["spelt"])] = int(bucket["doc_count"])
    return Facet(spec.name, listed(counts, selected, wish.size, wish.prefix))


def reaching_over(name: str, filter: Filter, within: BitMap | None) -> dict[str, Any]:
    """Return the search for the range of a field of numbers."""
    overall = filter_confidence(filter)
    asked: dict[str, Aggregation] = {end: {end: {"field": f"number.{name}"}} for end in ("min", "max")}
    if name == "people" and overall is not None:
        # An image that shows n persons at the confidence has a first, a second … and an nth tag that reaches it.
        persons: list[Query] = [{"term": {"tags.kind": TagKind.OBJECT}}, {"term": {"tags.label": PERSON}}]
        numbered = {"terms": {"field": "tags.n", "size": MOST_PERSONS}}
        matching = {"filter": all_of([*persons, reaching(overall)]), "aggs": {"values": numbered}}
        asked = {"persons": {"nested": {"path": "tags"}, "aggs": {"matching": matching}}}
    scope = without_selection(filter, name)
    return {"size": 0, "track_total_hits": True, "query": query_of(scope, within), "aggs": asked}


def range_of(name: str, answer: Mapping[str, Any]) -> Range | None:
    """Return the range from an answer; None where no image has such a number."""
    counted, total = answer["aggregations"], int(answer["hits"]["total"]["value"])
    if "persons" in counted:
        images_with = {int(bucket["key"]): int(bucket["doc_count"]) for bucket in _buckets(counted["persons"])}
        all_have = [number for number, images in images_with.items() if images == total]
        return Range(name, max(all_have, default=0), max(images_with, default=0)) if total else None
    if counted["min"]["value"] is None:
        return None
    return Range(name, int(counted["min"]["value"]), int(counted["max"]["value"]))


def completing(prefix: str) -> dict[str, Any]:
    """Return the search for labels with a word that starts with a folded prefix."""
    terms = {"field": "completion", "size": MOST_VALUES, "shard_size": OF_EACH_SHARD}
    if prefix:
        terms["include"] = f"{_literal(prefix[:LONGEST_PREFIX])}.*"
    return {"size": 0, "track_total_hits": False, "query": EVERYTHING, "aggs": {"completion": {"terms": terms}}}


def completed(prefix: str, counted: Mapping[str, Any], k: int) -> list[tuple[str, str, int]]:
    """Return (kind, label, count) of the commonest labels from the ``aggregations`` of the answer."""
    by_spelling: dict[tuple[str, str], int] = {}
    for bucket in counted["completion"]["buckets"]:
        ending, kind, label = bucket["key"].split(SEPARATOR, 2)
        if ending.startswith(prefix):
            by_spelling[kind, label] = int(bucket["doc_count"])  # the same for each word of it
    counts: Counter[tuple[str, str]] = Counter()
    spelling: dict[tuple[str, str], str] = {}
    for (kind, label), count in by_spelling.items():
        key = kind, fold(label)
        counts[key] += count
        spelling.setdefault(key, label)
    found = [(kind, spelling[kind, label], count) for (kind, label), count in counts.items()]
    return sorted(found, key=lambda item: (-item[2], item[1], item[0]))[:k]


def naming(names: Collection[str]) -> dict[str, Any]:
    """Return the search for labels that are one of the folded names, by kind."""
    same: Query = {"terms": {"tags.label": sorted(map(cut, names))}}
    asked = {}
    for kind in sorted(COMPLETED):
        sure: list[Query] = [{"term": {"tags.kind": kind}}, {"term": {"tags.n": 1}}]
        asked[kind] = _of_tags([*sure, reaching(least_confidence(TagKind(kind), None)), same], MOST_VALUES)
    return {"size": 0, "track_total_hits": False, "query": EVERYTHING, "aggs": asked}


def named(counted: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Return (kind, label, count) from the ``aggregations`` of the answer."""
    found = [
        (kind, label, count) for kind, values in counted.items() for label, count in _merged(_buckets(values)).items()
    ]
    return sorted(found, key=lambda item: (-item[2], item[1], item[0]))


def _equal(field: str, value: str) -> Term:
    return Term(field, Op.EQ, (value,))


def _selected(field: str) -> str:
    return f"{field} selected"


def _common(field: str, overall: float | None, prefix: str) -> Aggregation:
    """Return the count of a field's commonest values; of labels, of those with a word that starts with ``prefix``."""
    begins = [_beginning(prefix)] if prefix and field in TAG_FIELDS else []
    if field in WITHOUT_CONFIDENCE or (overall is None and not begins):
        return _terms(f"shown.{field}")
    least = least_confidence(TagKind(field), None) if overall is None else overall
    sure: list[Query] = [{"term": {"tags.kind": field}}, {"term": {"tags.n": 1}}, reaching(least)]
    return _of_tags([*sure, *begins], MOST_VALUES)


def _beginning(prefix: str) -> Query:
    inside = re.sub(r"([\\*?])", r"\\\1", prefix)
    return any_of([{"prefix": {"tags.label": prefix}}, {"wildcard": {"tags.label": {"value": f"* {inside}*"}}}])


def _spelt(spec: FacetSpec, selected: Sequence[str]) -> Aggregation:
    """Return how the library spells selected values, of which each bucket has one at least."""
    labels = sorted({cut(fold(value)) for value in selected})
    same: list[Query] = [{"term": {"tags.kind": spec.field}}, {"terms": {"tags.label": labels}}]
    return _of_tags([*same, {"term": {"tags.n": 1}}], MOST_VALUES)


def _of_tags(conditions: Sequence[Query], size: int) -> Aggregation:
    """Count the values of nested tags. Each is the surest of its value and image, so what is counted is images."""
    matching = {"filter": all_of(conditions), "aggs": {"values": _terms("tags.shown", size)}}
    return {"nested": {"path": "tags"}, "aggs": {"matching": matching}}


def _terms(field: str, size: int = MOST_VALUES) -> Aggregation:
    return {"terms": {"field": field, "size": size, "shard_size": OF_EACH_SHARD}}


def _buckets(counted: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = counted["matching"]["values"] if "matching" in counted else counted
    buckets: list[dict[str, Any]] = values["buckets"]
    return buckets


def _merged(buckets: Iterable[Mapping[str, Any]]) -> Counts:
    """Return the counts with one spelling for each value, the commonest: an image has one spelling of a value."""
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for bucket in buckets:
        counts[spelling.setdefault(fold(bucket["key"]), bucket["key"])] += bucket["doc_count"]
    return dict(counts)


def _spelling(value: str, counted: Mapping[str, Any]) -> str:
    """Return how the library spells a value; as it was selected where it has no tags, as a year."""
    spellings = (bucket["key"] for bucket in _buckets(counted))
    return next((spelling for spelling in spellings if fold(spelling) == fold(value)), value)


def _literal(text: str) -> str:
    """Return the text so that Lucene's regular expressions, which have operators of their own, take it as it stands."""
    return re.sub(r"([^\w\s])", r"\\\1", text)
