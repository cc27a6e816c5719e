"""Filters, words and facet counts asked of OpenSearch.

A write is complete, and seen, when the index is refreshed at its end; the change that it brings the index up to is
noted after that. A crash in between repeats work and loses none, for a document is written whole, under the image's id.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import numpy as np
from pyroaring import BitMap

from search.config import Config
from search.errors import ConfigError, InvalidQuery, Unavailable
from search.facets import FacetWish, check_ranges, facet_named, scopes
from search.moderation import policy_of
from search.opensearch import aggregations, ordering, queries, schema
from search.opensearch.client import Client, NotFoundError, RequestError
from search.opensearch.documents import document_of
from search.opensearch.queries import Query
from search.opensearch.rewriting import KEPT, point_in_time
from search.tags import sharing
from search.types import (
    Facet,
    Filter,
    ImageRecord,
    Keys,
    Order,
    Ordinals,
    Place,
    Range,
    Scores,
    TagKind,
)
from search.words import fold

PAGE = 10_000
"""Hits of one request; more are fetched page by page from a point in time."""


class OpenSearchTagStore:
    """Filters, words and facet counts over the images of a library in OpenSearch. Safe for threads and processes.

    Nothing is asked before the first use. Raises Unavailable where the cluster is away.
    """

    def __init__(self, config: Config, client: Client) -> None:
        self._config = config
        self._client = client
        self._images = schema.images(schema.library(config))
        self._state = schema.state(schema.library(config))
        self._hidden = queries.hidden(policy_of(config))
        self._is_there = False
        self._scale = functools.cache(self._asked_scale)

    def close(self) -> None:
        """Close the connections; the store cannot be used afterwards."""
        self._client.close()

    @property
    def applied(self) -> int:
        """The change number of the catalogue up to which this projection is complete; 0 for a new one."""
        name = self._current()
        found = self._client.call(lambda raw: raw.get(index=self._state, id=_note(name), ignore=[404]))
        body = found.get("_source", {}).get("body", {})
        return int(body["change"]) if body.get("index") == self._identity(name) else 0

    def upsert(self, records: Iterable[ImageRecord], *, applied: int | None = None) -> None:
        """Add records, replacing those whose ordinal is there already; visible to the next call.

        ``applied`` is stored once they are. Records that cannot all be read change nothing.
        """
        actions = list(map(_written, records))
        name = self._current()
        self._client.bulk({"_index": name, **action} for action in actions)
        self._complete(name, applied)

    def delete(self, ordinals: BitMap, *, applied: int | None = None) -> int:
        """Remove records and return how many were there. ``applied`` is stored once they are gone."""
        name = self._current()
        hits = self._hits(queries.lying_within(ordinals), columns=["id"]) if ordinals else iter(())
        ids = [str(hit["fields"]["id"][0]) for hit in hits]
        self._client.bulk({"_op_type": "delete", "_index": name, "_id": id} for id in ids)
        self._complete(name, applied)
        return len(ids)

    def rebuild(self, records: Iterable[ImageRecord], *, applied: int) -> None:
        """Hold these records and no others. Until they are all in, queries are answered by those that were there."""
        before = schema.current_index(self._client, schema.library(self._config))
        name = schema.next_index(self._client, self._config)
        self._client.bulk({"_index": name, **_written(record)} for record in records)
        self._complete(name, applied)
        schema.put_in_place(self._client, schema.library(self._config), name)
        if before is not None:
            self._client.bulk([{"_op_type": "delete", "_index": self._state, "_id": _note(before)}])

    def save(self) -> None:
        """Do nothing: the server keeps all."""

    def size(self) -> int:
        """Return the bytes that the index takes, copies included."""
        name = self._current()
        found = self._client.call(lambda raw: raw.indices.stats(index=name, metric="store"))
        return int(found["_all"]["total"]["store"]["size_in_bytes"])

    @property
    def cheap_matches(self) -> int | None:
        return PAGE

    def match(self, filter: Filter, *, limit: int | None = None) -> BitMap:
        """Return the ordinals that satisfy every term; an empty filter matches all. At most ``limit``, lowest first."""
        return self._matching(queries.query_of(filter), limit)

    def count(self, filter: Filter) -> int:
        body = {"size": 0, "track_total_hits": True, "query": queries.query_of(filter)}
        return int(self._search(body)["hits"]["total"]["value"])

    def among(self, filters: Sequence[Filter], ordinals: BitMap) -> BitMap:
        """Return which of the ordinals satisfy at least one of the filters. Cheap however many images there are."""
        if not filters or not ordinals:
            return BitMap()
        either = queries.any_of([queries.query_of(filter) for filter in filters])
        return self._matching(queries.all_of([either, queries.lying_within(ordinals)]))

    def in_order(
        self, order: Order, filter: Filter, *, within: BitMap | None = None, after: Place | None = None, k: int
    ) -> tuple[Ordinals, Keys]:
        """Return the next k images ``after`` a place, and their keys, of those that match and lie ``within``.

        By date, those without one come last, last indexed first. The image at the place need not be there any more.
        """
        if within is not None and not within:
            return np.empty(0, np.uint32), np.empty(0, np.int64)
        query, sort = queries.query_of(filter, within), ordering.sort_of(order)
        hits = list(self._hits(query, sort, limit=k, after=ordering.values_of(order, after)))
        ordinals = np.array([hit["sort"][1] for hit in hits], dtype=np.uint32)
        return ordinals, np.array([ordering.key_of(order, hit["sort"][0]) for hit in hits], dtype=np.int64)

    def search_text(
        self, text: str, *, filter: Filter, within: BitMap | None = None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k best by BM25 over caption, labels, OCR text and path, best first; any text is safe to pass.

        Only images that match ``filter`` and lie ``within``. Words are stemmed and any of them may match; scores are
        positive. Ties: lower ordinal first.
        """
        query = queries.by_words(text)
        ordinals, scores = self._best([query] if query else [], filter, within, k)
        return ordinals, scores * np.float32(self._scale()) if len(scores) else scores

    def search_labels(
        self, labels: Mapping[tuple[TagKind, str], float], *, filter: Filter, within: BitMap | None = None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k images that share most of the labels, with the share (0–1) of their weight, best first.

        Only images that match ``filter`` and lie ``within``; those that share nothing are left out. Ties: lower
        ordinal first.
        """
        if not labels:
            return np.empty(0, np.uint32), np.empty(0, np.float32)
        each = sharing.weights(labels, *self._spread(labels))
        ordinals, sums = self._best(queries.by_labels(labels, each), filter, within, k)
        return ordinals, sharing.share(sums, each)

    def facets(
        self,
        names: Collection[str],
        filter: Filter,
        *,
        within: BitMap | None,
        size: int,
        prefix: str = "",
        conjunctive: Collection[str] = (),
    ) -> list[Facet]:
        """Return each named facet's top ``size`` values over the images that match ``filter`` and lie ``within``.

        Disjunctive: a facet's own selection is left out of its own counts unless it is ``conjunctive``, all other terms
        apply. With a ``prefix``, only values with a word that starts so are listed. Selected values are always listed.
        By count, then value. Raises InvalidQuery for a name that is no facet.
        """
        specs = [facet_named(name) for name in dict.fromkeys(names)]
        wish = FacetWish(size, prefix, tuple(conjunctive))
        grouped = scopes(specs, filter, wish)
        bodies = [aggregations.counting(scope, members, filter, within, wish) for scope, members in grouped.items()]
        counted = {
            spec.name: aggregations.facet(spec, filter, answer["aggregations"], wish)
            for members, answer in zip(grouped.values(), self._several(bodies), strict=True)
            for spec in members
        }
        return [counted[spec.name] for spec in specs]

    def ranges(self, names: Collection[str], filter: Filter, *, within: BitMap | None) -> list[Range]:
        """Return the least and greatest number of each named field over the images that match and lie ``within``.

        A field's own selection is left out, as for facets; so is a field that none of the images has.
        """
        check_ranges(names)
        names = list(dict.fromkeys(names))
        answers = self._several([aggregations.reaching_over(name, filter, within) for name in names])
        found = [aggregations.range_of(name, answer) for name, answer in zip(names, answers, strict=True)]
        return [range for range in found if range is not None]

    def labels(self, prefix: str, *, k: int) -> list[tuple[str, str, int]]:
        """Return (kind, label, image count) of the k commonest labels with a word that starts with ``prefix``."""
        beginning = fold(prefix)
        answer = self._search(aggregations.completing(beginning))
        return aggregations.completed(beginning, answer["aggregations"], k)

    def labels_named(self, names: Collection[str]) -> list[tuple[str, str, int]]:
        """Return (kind, label, image count) of the labels that are one of the names, whatever their case."""
        if not names:
            return []
        answer = self._search(aggregations.naming({fold(name) for name in names}))
        return aggregations.named(answer["aggregations"])

    def counts(self, filters: Sequence[Filter]) -> list[int]:
        """Return how many images match each filter."""
        bodies = [{"size": 0, "track_total_hits": True, "query": queries.query_of(filter)} for filter in filters]
        return [int(answer["hits"]["total"]["value"]) for answer in self._several(bodies)]

    def __len__(self) -> int:
        return self.count(Filter())

    def _index(self) -> str:
        """Return what to search: the alias, which is made with its index before the first use."""
        if not self._is_there:
            schema.ensure_images(self._client, self._config)
            self._is_there = True
        return self._images

    def _current(self) -> str:
        """Return the index behind the alias, to write to. One of an older version gives way to a new, empty one."""
        name = schema.ensure_images(self._client, self._config)
        version = schema.version_of(self._client, name)
        if version > schema.VERSION:
            raise ConfigError(f"the index {name} was made by a later version of Snapseek")
        if version < schema.VERSION:
            name = schema.next_index(self._client, self._config)
            schema.put_in_place(self._client, schema.library(self._config), name)
        self._is_there = True
        return name

    def _identity(self, name: str) -> str:
        """Return what tells an index from a later one of the same name."""
        found = self._client.call(lambda raw: raw.indices.get_settings(index=name, name="index.uuid"))
        return str(found[name]["settings"]["index"]["uuid"])

    def _complete(self, name: str, applied: int | None) -> None:
        """Make what was written visible, and then note up to which change the index is complete."""
        done = self._client.call(lambda raw: raw.indices.refresh(index=name))
        if done["_shards"]["failed"]:
            raise Unavailable(f"{done['_shards']['failed']} shards of {name} do not show yet what was written")
        if applied is not None:
            schema.ensure_index(self._client, self._config, self._state)
            note = {"kind": "applied", "body": {"change": applied, "index": self._identity(name)}}
            self._client.bulk([{"_index": self._state, "_id": _note(name), "_source": note}])

    def _matching(self, query: Query, limit: int | None = None) -> BitMap:
        return BitMap([hit["sort"][0] for hit in self._hits(query, limit=limit)])

    def _best(self, scoring: Sequence[Query], filter: Filter, within: BitMap | None, k: int) -> tuple[Ordinals, Scores]:
        """Return the k best by the sum of what the queries score, best first, at least one of which must hold."""
        if not scoring or k < 1 or (within is not None and not within):
            return np.empty(0, np.uint32), np.empty(0, np.float32)
        allowed = [queries.query_of(filter, within)]
        body = {
            "query": {"bool": {"should": list(scoring), "minimum_should_match": 1, "filter": allowed}},
            "sort": [{"_score": "desc"}, {"ordinal": "asc"}],
            "size": min(k, schema.MOST_HITS),
            **_NUMBERS_ALONE,
        }
        # With the statistics of all shards: else the same image scored differently wherever it lies.
        found = self._search(body, search_type="dfs_query_then_fetch", filter_path=_FILTER_PATH)
        sorts = [hit["sort"] for hit in found.get("hits", {}).get("hits", [])]
        return np.array([o for _, o in sorts], dtype=np.uint32), np.array([s for s, _ in sorts], dtype=np.float32)

    def _asked_scale(self) -> float:
        """Return the factor to the scale that blending is tuned for."""
        return schema.classical_bm25(self._client.call(lambda raw: raw.info())["version"]["number"])

    def _spread(self, labels: sharing.Labels) -> tuple[list[int], int]:
        """Return how many images have each label, and how many there are."""
        having = [queries.having(kind.value, [fold(label)]) for kind, label in labels]
        counted = {"each": {"filters": {"filters": having}}}
        answer = self._search({"size": 0, "track_total_hits": True, "query": queries.EVERYTHING, "aggs": counted})
        buckets = answer["aggregations"]["each"]["buckets"]
        return [int(bucket["doc_count"]) for bucket in buckets], int(answer["hits"]["total"]["value"])

    def _hits(
        self,
        query: Query,
        sort: Sequence[Mapping[str, Any]] = ({"ordinal": "asc"},),
        *,
        columns: Sequence[str] = (),
        limit: int | None = None,
        after: Sequence[Any] = (),
    ) -> Iterator[Mapping[str, Any]]:
        """Return up to ``limit`` hits ``after`` some sort values, with their own and columns, at one moment."""
        body = {"query": query, "sort": list(sort), **_NUMBERS_ALONE, "docvalue_fields": list(columns)}
        if after:
            body["search_after"] = list(after)
        wanted = PAGE if limit is None else min(PAGE, limit)
        if wanted < 1:
            return iter(())
        hits = self._page({**body, "size": wanted})
        if len(hits) < wanted or limit == wanted:
            return iter(hits)
        return islice(chain.from_iterable(self._pages(body)), limit)

    def _pages(self, body: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
        """Yield all hits page by page, from one point in time."""
        with point_in_time(self._client, self._index()) as point:
            moment = {"id": point, "keep_alive": KEPT}
            after: dict[str, Any] = {}
            while hits := self._page({**body, "pit": moment, "size": PAGE, **after}, index=""):
                yield hits
                after = {"search_after": hits[-1]["sort"]}

    def _page(self, body: Mapping[str, Any], index: str | None = None) -> list[Mapping[str, Any]]:
        answer = self._search(body, index, filter_path=_FILTER_PATH)
        found: list[Mapping[str, Any]] = answer.get("hits", {}).get("hits", [])
        return found

    def _several(self, bodies: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        index = self._index()
        with _asking(index):
            return self._client.msearch([(index, self._shown(body)) for body in bodies]) if bodies else []

    def _search(self, body: Mapping[str, Any], index: str | None = None, **params: Any) -> dict[str, Any]:
        index = self._index() if index is None else index
        with _asking(index):
            return self._client.search(index, self._shown(body), **params)

    def _shown(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a search without the images that nobody is to find; its scores stay the same."""
        return {**body, "query": queries.without(body["query"], self._hidden)}


_NUMBERS_ALONE: Mapping[str, Any] = {"track_total_hits": False, "_source": False, "stored_fields": "_none_"}
"""What a search is told that needs no document: not even ids, which are read from the disk one document at a time
(10,000 hits: 14 ms and not 200). What hits are sorted by, and columns, are at hand without them."""

_FILTER_PATH = "hits.hits.sort,hits.hits.fields,timed_out,_shards"
"""What is read of an answer, for the rest of a hit is most of it."""


@contextmanager
def _asking(index: str) -> Iterator[None]:
    """Turn what a search may fail with, other than the cluster being away, into errors of ours."""
    try:
        yield
    except NotFoundError as error:
        raise Unavailable(f"OpenSearch has lost the index {index} or what was asked of it") from error
    except RequestError as error:
        if "too_complex_to_determinize" in str(error.info):
            raise InvalidQuery("a path has more of * and ? than OpenSearch can search for") from error
        raise


def _written(record: ImageRecord) -> dict[str, Any]:
    return {"_id": record.id, "_source": document_of(record)}


def _note(index: str) -> str:
    """Return the id of the document that says up to which change an index is complete."""
    return f"applied:{index}"
