"""Answer a query: encode once, filter, score, blend, cut off, count, load. Read `search` from top to bottom."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search import cursor, explain, fusion, limits, planner, similar
from search.bitmaps import bitmap_of, ordinals_of
from search.errors import InvalidQuery, NotFound
from search.facets import selectable_fields
from search.filters import without_selection
from search.planner import Route
from search.protocols import Encoder, Records, TagStore, VectorIndex
from search.types import (
    EmbeddingSpace,
    Filter,
    Hit,
    ImageId,
    Mode,
    Ordinals,
    Plan,
    Query,
    Scores,
    SearchResults,
    SimilarBy,
    Sort,
    Tag,
    Vector,
)

TEXTS_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Ranking:
    """The images that answer, as parallel arrays, best first. NaN where a part does not apply."""

    ordinals: Ordinals
    score: Scores
    similarity: Scores
    relevance: Scores
    keyword: Scores

    def take(self, positions: NDArray[np.integer | np.bool_]) -> Ranking:
        return Ranking(*(getattr(self, name)[positions] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to find the like of: its embedding, its perceptual hash and what was found in it."""

    vector: Vector
    phash: int
    tags: tuple[Tag, ...] = ()


class SearchEngine:
    """Searches one library. Safe to call from several threads."""

    def __init__(
        self,
        *,
        records: Records,
        tags: TagStore,
        vectors: VectorIndex,
        encoder: Encoder,
        cutoff: float,
        exact_limit: int,
    ) -> None:
        self._records = records
        self._tags = tags
        self._vectors = vectors
        self._encoder = encoder
        self._cutoff = cutoff
        self._exact_limit = exact_limit
        # Pages, facets and sort orders of one query ask for the same text again and again.
        self._text_vector = functools.lru_cache(maxsize=TEXTS_REMEMBERED)(self._encoded)

    def _encoded(self, text: str) -> Vector:
        vector: Vector = self._encoder.encode_texts([text])[0]
        return vector

    @property
    def space(self) -> EmbeddingSpace:
        return self._encoder.space

    def search(self, query: Query) -> SearchResults:
        """Return the page of hits that ``query`` asks for, with facets over all that matched.

        Raises InvalidQuery for what cannot be asked, NotFound for an image id that is not in the library.
        """
        started = time.perf_counter()
        limits.check(query)
        offset = cursor.decode(query)
        target = self._target(query)
        scope = self._facet_scope(query, target is not None)
        allowed = self._tags.match(scope)
        route = planner.choose(allowed=len(allowed), has_vector=target is not None, exact_limit=self._exact_limit)
        ranking = self._rank(query, target, allowed, route)
        cutoff = self._least_relevance(query, target is not None)
        ranking = self._cut(query, ranking, cutoff)
        matched = bitmap_of(ranking.ordinals)
        if scope != query.filter:
            hits = self._tags.match(query.filter)
            ranking = ranking.take(np.isin(ranking.ordinals, ordinals_of(hits)))
        ranking = self._sorted(query, ranking)
        return SearchResults(
            hits=self._hits(query, ranking.take(np.arange(offset, min(offset + query.k, len(ranking.ordinals))))),
            facets=self._tags.facets(query.facets, query.filter, within=matched, size=limits.FACET_VALUES)
            if query.facets
            else (),
            total=len(ranking.ordinals),
            total_is_exact=route is not Route.ANN,
            space=self._encoder.space,
            cutoff=cutoff,
            next=cursor.encode(query, offset + query.k) if offset + query.k < len(ranking.ordinals) else None,
            plan=Plan(route, len(matched), len(allowed)),
            took_ms=(time.perf_counter() - started) * 1000,
        )

    def _target(self, query: Query) -> Vector | None:
        """Return the one vector to look for: the weighted mean of texts, images and a given vector."""
        if query.mode is Mode.KEYWORD:
            return None
        parts: list[tuple[float, Vector]] = []
        if query.texts:
            parts += [(query.weights.text, self._text_vector(text)) for text in query.texts]
        parts += [(query.weights.image, self._embedding(id)) for id in query.images]
        if query.vector is not None:
            given = np.asarray(query.vector, dtype=np.float32)
            if given.shape != (self.space.dim,):
                raise InvalidQuery(f"the vector must have {self.space.dim} numbers, got {len(given)}")
            parts.append((query.weights.image, _unit(given)))
        if not parts:
            return None
        return _unit(np.asarray(sum(weight * vector for weight, vector in parts), dtype=np.float32))

    def _embedding(self, id: ImageId) -> Vector:
        ordinal = self._records.find(id)
        vector = None if ordinal is None else self._records.embedding(ordinal, self.space)
        if vector is None:
            raise NotFound(f"there is no image {id} in this library")
        return vector

    def _facet_scope(self, query: Query, has_vector: bool) -> Filter:
        """Return the filter that scores are needed for: the counts of a facet leave its own selection out."""
        if not query.facets or not (has_vector or query.texts):
            return query.filter
        scope = query.filter
        for field in selectable_fields(query.facets):
            scope = without_selection(scope, field)
        return scope

    def _rank(self, query: Query, target: Vector | None, allowed: BitMap, route: Route) -> Ranking:
        """Return every candidate with the parts of its score, by ordinal."""
        keywords = self._keywords(query, allowed)
        if target is None:
            return self._without_vectors(query, allowed, keywords)
        if route is Route.SCAN:
            ordinals = ordinals_of(allowed)
        else:
            found = self._vectors.search(target[None], planner.ANN_CANDIDATES, allowed=allowed)[0][0]
            ordinals = np.union1d(found, keywords[0]).astype(np.uint32)
        similarity = self._vectors.scores(target, ordinals)
        known = ~np.isnan(similarity)
        ordinals, similarity = ordinals[known], similarity[known]
        relevance = self._relevance(query, similarity)
        keyword = _aligned(ordinals, keywords)
        weight = query.weights.keyword if query.mode is Mode.BLEND and query.texts else 0.0
        score = fusion.blend(relevance, keyword, keyword_weight=weight)
        for unwanted in self._unwanted(query):
            score = fusion.penalised(score, self._relevance(query, self._vectors.scores(unwanted, ordinals)))
        return Ranking(ordinals, score, similarity, relevance, keyword)

    def _keywords(self, query: Query, allowed: BitMap) -> tuple[Ordinals, Scores]:
        if not query.texts or query.mode is Mode.VECTOR:
            return np.empty(0, np.uint32), np.empty(0, np.float32)
        return self._tags.search_text(" ".join(query.texts), allowed=allowed, k=limits.KEYWORD_HITS)

    def _without_vectors(self, query: Query, allowed: BitMap, keywords: tuple[Ordinals, Scores]) -> Ranking:
        if query.texts:
            ordinals, keyword = keywords
            score = fusion.keyword_strength(keyword)
        else:
            ordinals = ordinals_of(allowed)
            keyword, score = np.full(len(ordinals), np.nan, np.float32), np.ones(len(ordinals), np.float32)
        nothing = np.full(len(ordinals), np.nan, np.float32)
        for unwanted in self._unwanted(query):
            away = self._relevance(query, self._vectors.scores(unwanted, ordinals))
            score = fusion.penalised(score, np.nan_to_num(away))
        return Ranking(ordinals, score, nothing, nothing, keyword)

    def _unwanted(self, query: Query) -> list[Vector]:
        texts = [self._text_vector(text) for text in query.not_texts]
        return texts + [self._embedding(id) for id in query.not_images]

    def _relevance(self, query: Query, similarity: Scores) -> Scores:
        """Return calibrated relevance. Picture-to-picture cosines are on a scale of their own, taken as they are."""
        if query.images or query.vector is not None:
            return np.clip(similarity, 0.0, 1.0)
        return self._encoder.relevance(similarity)

    def _least_relevance(self, query: Query, has_vector: bool) -> float | None:
        if not has_vector or query.cutoff == "none":
            return None
        if query.cutoff != "auto":
            return float(query.cutoff)
        # Nearest pictures to a picture are wanted however far they are; the calibration is for words.
        return None if query.images or query.vector is not None else self._cutoff

    def _cut(self, query: Query, ranking: Ranking, cutoff: float | None) -> Ranking:
        """Drop what is not relevant. Unless a number was asked for, an image with the very words as a label stays."""
        if cutoff is None:
            return ranking
        kept = ranking.relevance >= cutoff
        by_default = query.cutoff == "auto" and query.mode is Mode.BLEND
        labelled = explain.labelled_as(self._tags, query.texts) if by_default else BitMap()
        if labelled:
            kept |= np.isin(ranking.ordinals, ordinals_of(labelled))
        return ranking.take(np.flatnonzero(kept))

    def _sorted(self, query: Query, ranking: Ranking) -> Ranking:
        ranks_itself = bool(query.texts or query.images or query.vector or query.not_texts or query.not_images)
        if query.sort is Sort.RELEVANCE and ranks_itself:
            return ranking.take(fusion.best_first(ranking.score))
        dated = self._records.by_date(oldest_first=query.sort is Sort.OLDEST)
        place = np.full(int(max(dated.max(initial=0), ranking.ordinals.max(initial=0))) + 1, len(dated))
        place[dated] = np.arange(len(dated))
        return ranking.take(np.argsort(place[ranking.ordinals], kind="stable"))

    def _hits(self, query: Query, page: Ranking) -> Sequence[Hit]:
        records = {r.ordinal: r for r in self._records.records([int(o) for o in page.ordinals])}
        hits = []
        for ordinal, *parts in zip(
            page.ordinals, page.score, page.similarity, page.relevance, page.keyword, strict=True
        ):
            record = records.get(int(ordinal))
            if record is None:  # deleted since it was ranked
                continue
            score, similarity, relevance, keyword = (None if np.isnan(part) else float(part) for part in parts)
            why = explain.why(record, query, relevance=relevance, similarity=similarity)
            hits.append(Hit(record, score or 0.0, similarity, relevance, keyword, why))
        return hits

    def similar(self, id: ImageId, *, by: SimilarBy, filter: Filter, k: int) -> SearchResults:
        """Return the images most like one of the library, itself left out."""
        ordinal = self._records.find(id)
        if ordinal is None:
            raise NotFound(f"there is no image {id} in this library")
        ordinals, hashes = self._records.phashes()
        picture = Picture(
            vector=self._embedding(id),
            phash=int(hashes[ordinals == ordinal][0]),
            tags=self._records.records([ordinal])[0].tags,
        )
        return self._alike(picture, by=by, filter=filter, k=k, leave_out=BitMap([ordinal]))

    def similar_to(self, picture: Picture, *, by: SimilarBy, filter: Filter, k: int) -> SearchResults:
        """Return the images most like a picture that need not be in the library."""
        return self._alike(picture, by=by, filter=filter, k=k, leave_out=BitMap())

    def _alike(self, picture: Picture, *, by: SimilarBy, filter: Filter, k: int, leave_out: BitMap) -> SearchResults:
        started = time.perf_counter()
        query = Query(filter=filter, k=k, vector=tuple(picture.vector.tolist()), cutoff="none")
        limits.check(query)
        allowed = self._tags.match(filter) - leave_out
        route = planner.choose(allowed=len(allowed), has_vector=True, exact_limit=self._exact_limit)
        ordinals, score = self._likeness(picture, by, allowed, route)
        similarity = self._vectors.scores(picture.vector, ordinals)
        ranking = Ranking(ordinals, score, similarity, np.clip(similarity, 0.0, 1.0), np.full_like(score, np.nan))
        ranking = ranking.take(fusion.best_first(score))
        return SearchResults(
            hits=self._hits(query, ranking.take(np.arange(min(k, len(ordinals))))),
            facets=(),
            total=len(ordinals),
            total_is_exact=route is not Route.ANN,
            space=self.space,
            cutoff=None,
            next=None,
            plan=Plan(route, len(ordinals), len(allowed)),
            took_ms=(time.perf_counter() - started) * 1000,
        )

    def _likeness(self, picture: Picture, by: SimilarBy, allowed: BitMap, route: Route) -> tuple[Ordinals, Scores]:
        if by is SimilarBy.DUPLICATE:
            return similar.duplicates(self._records, self._vectors, picture.vector, picture.phash, allowed)
        if by is SimilarBy.TAGS:
            return similar.by_tags(self._tags, picture.tags, allowed)
        k = len(allowed) if route is Route.SCAN else planner.ANN_CANDIDATES
        nearest = self._vectors.search(picture.vector[None], k, allowed=allowed, exact=route is Route.SCAN)[0]
        ordinals, score = nearest[0], np.clip(nearest[1], 0.0, 1.0)
        if by is SimilarBy.IMAGE:
            return ordinals, score
        shared = _aligned(ordinals, similar.by_tags(self._tags, picture.tags, allowed))
        return ordinals, np.asarray((score + shared) / 2, dtype=np.float32)


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector


def _aligned(ordinals: Ordinals, scored: tuple[Ordinals, Scores]) -> Scores:
    """Return the scores of ``scored`` in the order of ``ordinals``; 0 for those it does not hold."""
    keys, values = scored
    order = np.argsort(keys)
    keys, values = keys[order], values[order]
    place = np.minimum(np.searchsorted(keys, ordinals), max(0, len(keys) - 1))
    if not len(keys):
        return np.zeros(len(ordinals), np.float32)
    return np.where(keys[place] == ordinals, values[place], 0).astype(np.float32)
