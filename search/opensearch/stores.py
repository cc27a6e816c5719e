"""A library whose tags and vectors are in OpenSearch: the cluster itself compares vectors, words and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pyroaring import BitMap

from search.bitmaps import bitmap_of
from search.candidates import Candidates, Wanted, aligned, by_words_alone, including
from search.catalog.rows import Problem
from search.config import Config
from search.limits import KEYWORD_HITS
from search.moderation import policy_of
from search.opensearch import queries, schema
from search.opensearch.client import Client, connect
from search.opensearch.tag_store import PAGE, OpenSearchTagStore
from search.planner import ANN_CANDIDATES, Route
from search.types import EmbeddingSpace, Filter, Matrix, Ordinals, Scores, Vector

EF_SEARCH = 4_000
"""How many of the nearest the graph keeps in sight; k of them are returned. At 100,000 images (tests/bench/stores.py)
the recall of ten was 0.981 with 1,000, 0.989 with 2,000 and 0.993 with these, in 18, 24 and 29 ms. Where a filter lets
fewer through than this, Lucene compares them all."""
EF_FEW = 500
"""The same where some of the nearest do, and which of them does not matter much: for recommendations."""


class ClusterStores:
    """Satisfies `search.stores.Stores`. The catalogue writes what is searched here, so nothing has to catch up."""

    def __init__(self, config: Config, space: EmbeddingSpace) -> None:
        self._config = config
        self._client = connect(config)
        self._is_readable = False
        self.tags = OpenSearchTagStore(config, self._client)
        self.finder = ClusterFinder(config, self._client, self.tags, space)

    def catch_up(self) -> None:
        """See at first that this version and what is there fit: there is one copy of everything, so no more is due."""
        if not self._is_readable:
            schema.upgrade(self._client, self._config)
            self._is_readable = True

    def check(self) -> list[Problem]:
        return []

    def rebuild(self) -> None:
        """Do nothing: what is searched is the catalogue itself."""

    def save(self) -> None:
        """Do nothing: nothing is kept here."""

    def close(self) -> None:
        self.tags.close()


class ClusterFinder:
    """Candidates by filtered k-NN in the cluster; satisfies `search.candidates.Finder`. Safe for threads."""

    def __init__(self, config: Config, client: Client, tags: OpenSearchTagStore, space: EmbeddingSpace) -> None:
        self._client = client
        self._tags = tags
        self._images = schema.images(schema.library(config))
        self._field = schema.vector_field(space)
        self._hidden = queries.hidden(policy_of(config))

    def find(self, wanted: Wanted) -> Candidates:
        words = self._by_words(wanted)
        if wanted.probe is None:
            return by_words_alone(words, self._tags.count(wanted.filter), Route.KEYWORD)
        (near, similarity), allowed = self._near(wanted, wanted.probe)
        order = np.argsort(near)
        nearest = Candidates(Route.CLUSTER, near[order], similarity[order], np.zeros_like(similarity), allowed, False)
        found = including(nearest, words[0], self, wanted.probe)
        return replace(found, keyword=aligned(found.ordinals, words), complete=len(found.ordinals) >= allowed)

    def nearest(self, filter: Filter, probes: Matrix, k: int, *, without: BitMap) -> list[tuple[Ordinals, Scores]]:
        allowed = queries.without(queries.query_of(filter), self._hidden)
        if without:
            allowed = queries.without(allowed, queries.lying_within(without))
        bodies = [self._knn(probe, allowed, k, EF_FEW) for probe in probes]
        return [_scored(answer) for answer in self._ask(bodies)] if bodies else []

    def cosines(self, vector: Vector, ordinals: Ordinals) -> Scores:
        found = np.full(len(ordinals), np.nan, np.float32)
        for start in range(0, len(ordinals), PAGE):
            part = ordinals[start : start + PAGE]
            compared = self._ask([self._comparing(vector, part)])[0]
            known, cosines = _scored(compared)
            order = np.argsort(part)
            found[start + order[np.searchsorted(part[order], known)]] = cosines
        return found

    def _by_words(self, wanted: Wanted) -> tuple[Ordinals, Scores]:
        if not wanted.text:
            return np.empty(0, np.uint32), np.empty(0, np.float32)
        return self._tags.search_text(wanted.text, filter=wanted.filter, k=KEYWORD_HITS)

    def _near(self, wanted: Wanted, probe: Vector) -> tuple[tuple[Ordinals, Scores], int]:
        """Return the nearest that the filter lets through, and how many images it lets through in all."""
        filter = queries.without(queries.query_of(wanted.filter), self._hidden)
        knn = self._knn(probe, filter, max(ANN_CANDIDATES, wanted.page_end), EF_SEARCH)
        counted = {"size": 0, "track_total_hits": True, "query": filter}
        found, count = self._ask([knn, counted])
        return _scored(found), int(count["hits"]["total"]["value"])

    def _knn(self, probe: Vector, filter: Mapping[str, Any], k: int, ef_search: int) -> dict[str, Any]:
        nearest: dict[str, Any] = {"vector": probe.tolist(), "k": k, "method_parameters": {"ef_search": ef_search}}
        return {**_ORDINALS, "size": k, "query": {"knn": {self._field: {**nearest, "filter": filter}}}}

    def _comparing(self, vector: Vector, ordinals: Ordinals) -> dict[str, Any]:
        among = queries.all_of([queries.lying_within(bitmap_of(ordinals)), {"exists": {"field": self._field}}])
        parameters = {"field": self._field, "query_value": vector.tolist(), "space_type": "cosinesimil"}
        exact = {"lang": "knn", "source": "knn_score", "params": parameters}
        return {
            **_ORDINALS,
            "size": max(1, len(ordinals)),
            "query": {"script_score": {"query": among, "script": exact}},
        }

    def _ask(self, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._client.msearch([(self._images, body) for body in bodies])


_ORDINALS: Mapping[str, Any] = {
    "_source": False,
    "stored_fields": "_none_",
    "docvalue_fields": ["ordinal"],
    "track_total_hits": False,
}


def _scored(answer: Mapping[str, Any]) -> tuple[Ordinals, Scores]:
    """Return the ordinals and cosines of an answer's hits, whose scores are (1 + cosine) / 2."""
    hits = answer.get("hits", {}).get("hits", [])
    ordinals = np.array([hit["fields"]["ordinal"][0] for hit in hits], np.uint32)
    scores = np.array([hit["_score"] for hit in hits], np.float32)
    return ordinals, np.asarray(2 * scores - 1, np.float32)
