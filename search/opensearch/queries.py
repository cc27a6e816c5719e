"""From a filter to a query of OpenSearch, as `search.matching` defines what it means. Pure: Filter → dict."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from pyroaring import BitMap

from search.errors import InvalidQuery
from search.facets import UNBOUNDED
from search.fields import CONFIDENCE, TAG_FIELDS, spans
from search.matching import filter_confidence, folded, least_confidence, single, tag_kind
from search.moderation import Policy
from search.opensearch.documents import cut
from search.opensearch.schema import LONGEST_TOKEN, LONGEST_WORD, TEXTS
from search.tags.sharing import Labels
from search.types import PERSON, Filter, Scores, TagKind, Term, Verdict
from search.words import caseless, fold, telling_words, words

Query = dict[str, Any]

EVERYTHING: Query = {"match_all": {}}
NOTHING: Query = {"match_none": {}}

TEXTS_WRITTEN = tuple(name for name in TEXTS if name != "ocr")
"""Those that count whatever the confidence."""

MAX_CLAUSES = 1_000
"""In one query; Lucene takes 1,024, and answers as if it were out of order where there are more."""

# Lines that do not reach the confidence drop out, so that a phrase may run over the gap that they leave. A line of
# ``reading`` is "place confidence words", and doc values come sorted, so they come in the order of the picture.
_READ = """
StringBuilder read = new StringBuilder(' ');
for (String line : doc['reading']) {
  int first = line.indexOf(' ');
  int second = line.indexOf(' ', first + 1);
  if (second + 1 < line.length() && Double.parseDouble(line.substring(first + 1, second)) >= params.least) {
    read.append(line.substring(second + 1)).append(' ');
  }
}
String text = read.toString();
for (String phrase : params.phrases) {
  if (text.contains(phrase)) {
    return true;
  }
}
return false;
"""


def query_of(filter: Filter, within: BitMap | None = None) -> Query:
    """Return the query for the images that satisfy every term and lie ``within``.

    Raises InvalidQuery for a filter that is more than a query can hold.
    """
    overall = filter_confidence(filter)
    wanted = [holding(term, overall) for term in filter.terms if term.field != CONFIDENCE and not term.negated]
    unwanted = [holding(term, overall) for term in filter.terms if term.field != CONFIDENCE and term.negated]
    if within is not None:
        wanted.append(lying_within(within))
    query = all_of(wanted, unwanted)
    if (count := _clauses(query)) > MAX_CLAUSES:
        raise InvalidQuery(f"the filter makes {count:,} conditions for OpenSearch, which takes {MAX_CLAUSES:,}")
    return query


def hidden(policy: Policy) -> Query:
    """Return the query for what nobody is to find: what was rejected, and what is flagged where the policy says so."""
    rejected: Query = {"term": {"verdict": Verdict.REJECTED.value}}
    if not policy.hide_flagged:
        return rejected
    return any_of([rejected, all_of([flagged(policy)], [{"term": {"verdict": Verdict.APPROVED.value}}])])


def flagged(policy: Policy) -> Query:
    """Return the query for images that reach the threshold of a category."""
    own: Query = {"term": {"tags.kind": TagKind.MODERATION.value}}
    named = [
        tagged([own, {"term": {"tags.label": cut(label)}}, reaching(single(least))])
        for label, least in policy.thresholds.items()
    ]
    others: Query = {"bool": {"must_not": [{"terms": {"tags.label": sorted(map(cut, policy.thresholds))}}]}}
    return any_of([*named, tagged([own, others, reaching(single(policy.other))])])


def lying_within(images: BitMap) -> Query:
    """Return the query for the images with these ordinals, however many they are."""
    if not images:
        return NOTHING
    return {"terms": {"ordinal": [base64.b64encode(images.serialize()).decode()], "value_type": "bitmap"}}


def all_of(wanted: Sequence[Query], unwanted: Sequence[Query] = ()) -> Query:
    if not wanted and not unwanted:
        return EVERYTHING
    return {"bool": {"filter": list(wanted), "must_not": list(unwanted)}}


def without(query: Query, unwanted: Query) -> Query:
    """Return a query that finds, and scores, all but what another one finds."""
    if query == EVERYTHING:
        return {"bool": {"must_not": [unwanted]}}
    if set(query) == {"bool"} and ("must_not" in query["bool"] or "filter" in query["bool"]):
        inner = query["bool"]
        return {"bool": {**inner, "must_not": [*inner.get("must_not", ()), unwanted]}}
    return {"bool": {"must": [query], "must_not": [unwanted]}}


def any_of(queries: Sequence[Query]) -> Query:
    if not queries:
        return NOTHING
    return queries[0] if len(queries) == 1 else {"bool": {"should": list(queries)}}


def by_words(text: str) -> Query | None:
    """Return the query that scores images by BM25 over their words; None for a text without a word."""
    asked = [word[:LONGEST_WORD] for word in telling_words(text)]
    return {"match": {"words": {"query": " ".join(asked)}}} if asked else None


def by_labels(labels: Labels, weights: Scores) -> list[Query]:
    """Return queries that score each label of an image, at its default confidence, with its weight."""
    return [
        {"constant_score": {"filter": having(kind.value, [fold(label)]), "boost": float(weight)}}
        for (kind, label), weight in zip(labels, weights, strict=True)
        if weight > 0
    ]


def holding(term: Term, overall: float | None) -> Query:  # noqa: PLR0911 - one line for each kind of field
    """Return the query for a term without its negation; ``overall`` is the `filter_confidence`."""
    if term.counted is not None:
        kind = tag_kind(term)
        return any_of([*_counted(kind, term.counted, spans(term), least_confidence(kind, overall, term))])
    match term.field:
        case "people" if overall is not None:
            return any_of([*_counted(TagKind.OBJECT, PERSON, spans(term), overall)])
        case "people" | "year" | "taken" | "width" | "height":
            return any_of([_range(f"number.{term.field}", *span) for span in spans(term)])
        case "path":
            return any_of([_with_path(glob) for glob in term.values])
        case "text":
            return any_of([*_with_phrases([words(phrase) for phrase in term.values], overall)])
        case "has":
            return any_of([*_with_features(folded(term), overall)])
        case "source" | "orientation":
            pass
        case _:
            tag_kind(term)
    return having(term.field, folded(term), _least(term, overall))


def having(field: str, labels: Iterable[str], least: float | None = None) -> Query:
    """Return the query for any of some folded values of a field, at its default confidence or at ``least``."""
    known = sorted(map(cut, labels))
    if least is None:
        return {"terms": {f"value.{field}": known}}
    return tagged([{"term": {"tags.kind": field}}, {"terms": {"tags.label": known}}, reaching(least)])


def tagged(conditions: Sequence[Query]) -> Query:
    """Return the query for images with a tag that satisfies all conditions."""
    return {"nested": {"path": "tags", "query": all_of(conditions), "score_mode": "none"}}


def reaching(least: float) -> Query:
    return {"range": {"tags.confidence": {"gte": least}}}


def _least(term: Term, overall: float | None) -> float | None:
    """Return the confidence that a term asks for, or None for the default ones."""
    if term.field in TAG_FIELDS and term.min_confidence is not None:
        return single(term.min_confidence)
    return None if term.field == "orientation" else overall


def _range(field: str, first: int, last: int) -> Query:
    ends = {"gte": first} if first > -UNBOUNDED else {}
    ends |= {"lte": last} if last < UNBOUNDED else {}
    return {"range": {field: ends}} if ends else {"exists": {"field": field}}


def _counted(kind: TagKind, label: str, wanted: Iterable[tuple[int, int]], least: float) -> Iterable[Query]:
    """Yield queries for images that have a label as often as one of the spans says."""
    for first, last in wanted:
        more = [] if last >= UNBOUNDED else [_at_least(last + 1, kind, label, least)]
        yield all_of([_at_least(first, kind, label, least)], more)


def _at_least(number: int, kind: TagKind, label: str, least: float) -> Query:
    if number <= 0:
        return EVERYTHING
    same = [{"term": {"tags.kind": kind.value}}, {"term": {"tags.label": cut(fold(label))}}]
    return tagged([*same, {"term": {"tags.n": number}}, reaching(least)])


def _with_path(glob: str) -> Query:
    return {"wildcard": {"path": {"value": caseless(glob).replace("\\", "\\\\")}}}


def _with_phrases(phrases: Sequence[Sequence[str]], overall: float | None) -> Iterable[Query]:
    """Yield queries for images in one of whose texts the words of one of the phrases stand side by side."""
    phrases = [phrase for phrase in phrases if phrase]
    single = sorted({phrase[0] for phrase in phrases if len(phrase) == 1 and len(phrase[0]) <= LONGEST_WORD})
    for name in TEXTS if overall is None else TEXTS_WRITTEN:
        if single:
            yield {"terms": {f"texts.{name}": single}}
        for phrase in phrases:
            if len(phrase) > 1 or phrase[0] not in single:
                yield {"match_phrase": {f"texts.{name}": " ".join(phrase)}}
    if overall is not None and phrases:
        yield _read(phrases, least_confidence(TagKind.TEXT, overall))


def _read(phrases: Sequence[Sequence[str]], least: float) -> Query:
    """Return the query for images with one of the phrases in what was read at a confidence."""
    telling = sorted({max(phrase, key=len)[:LONGEST_TOKEN] for phrase in phrases})  # what the script need look at
    parameters = {"least": least, "phrases": [f" {' '.join(phrase)} " for phrase in phrases]}
    script = {"lang": "painless", "source": _READ, "params": parameters}
    return all_of([{"terms": {"texts.ocr": telling}}, {"script": {"script": script}}])


def _clauses(query: Query) -> int:
    ((kind, content),) = query.items()
    if kind == "bool":
        return sum(_clauses(clause) for clauses in content.values() for clause in clauses)
    return _clauses(content["query"]) if kind == "nested" else 1


def _with_features(features: set[str], overall: float | None) -> Iterable[Query]:
    """Yield queries for what ``has:`` asks for; faces are a label."""
    if "faces" in features:
        yield having("object", [PERSON], overall)
    if features - {"faces"}:
        yield having("has", features - {"faces"}, overall)
