"""Answer a query: encode once, find candidates, score, blend, cut off, count, load. Read `search` top to bottom."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search import cursor, duplicates, explain, fusion, limits, literals, paging, shuffle, similar
from search.bitmaps import bitmap_of, ordinals_of
from search.calibration import NEAREST, Calibration, Judge
from search.candidates import Candidates, Finder, Wanted, aligned, including
from search.cursor import Position
from search.differences import Version
from search.duplicates import DuplicateGroups, Duplicates
from search.errors import InvalidQuery, NotFound
from search.facets import selectable_fields
from search.filters import without_selection
from search.looks import Looks, no_looks
from search.planner import ANN_CANDIDATES, Route
from search.products import unit
from search.protocols import Encoder, Records, TagStore
from search.relevance import Relevance
from search.suggesting import Suggester
from search.types import (
    EmbeddingSpace,
    Facet,
    Filter,
    Hit,
    ImageId,
    Mode,
    Order,
    Ordinals,
    Place,
    Plan,
    Query,
    Range,
    Scores,
    SearchResults,
    SimilarBy,
    Sort,
    Tag,
    TagKind,
    Vector,
)
from search.vocabulary import Vocabulary

TEXTS_REMEMBERED = 1024
OTHER_WORDS = 0.6
"""Weight of BM25 for labels that a word may mean beside that of the word itself (docs/adr/0012)."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The images that answer, as parallel arrays, best first. NaN where a part does not apply."""

    ordinals: Ordinals
    score: Scores
    similarity: Scores
    relevance: Scores
    keyword: Scores
    parts: Mapping[str, Scores] = field(default_factory=dict)
    """What the score is the sum of, by name."""

    def take(self, positions: NDArray[np.integer | np.bool_]) -> Ranking:
        return Ranking(
            self.ordinals[positions],
            self.score[positions],
            self.similarity[positions],
            self.relevance[positions],
            self.keyword[positions],
            {name: part[positions] for name, part in self.parts.items()},
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to find the like of: its embedding, its perceptual hash and what was found in it."""

    vector: Vector
    phash: int
    tags: tuple[Tag, ...] = ()
    version: Version | None = None
    """What copies of it are compared with, where the difference is wanted."""


class SearchEngine:
    """Searches one library. Safe to call from several threads."""

    def __init__(
        self,
        *,
        records: Records,
        tags: TagStore,
        finder: Finder,
        encoder: Encoder,
        cutoff: float,
        calibration: Calibration | None = None,
        looks: Looks = no_looks,
        observe: Callable[[str, float], None] = lambda _stage, _seconds: None,
    ) -> None:
        """``calibration``: fitted on this library, in place of that of the encoder.

        ``observe`` is told how many seconds each part of a search took: encode, candidates, rank, suggest, hits and
        facets.
        """
        self._observe = observe
        self._records = records
        self._tags = tags
        self._finder = finder
        self._encoder = encoder
        self._cutoff = cutoff
        self._relevance = Relevance(encoder, records, calibration or encoder.calibration)
        self._vocabulary = Vocabulary(tags)
        self._suggester = Suggester(tags, self._vocabulary)
        self._duplicates = Duplicates(records, tags, finder, looks)
        # Pages, facets and sort orders of one query ask for the same text again and again.
        self._text_vector = functools.lru_cache(maxsize=TEXTS_REMEMBERED)(self._encoded)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._observe(stage, time.perf_counter() - began)

    def _encoded(self, text: str) -> Vector:
        vector: Vector = self._encoder.encode_texts([literals.parted(text)[0]])[0]
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
        position = cursor.decode(query) or Position(seed=_seed(query))
        with self._timed("encode"):
            target, unwanted = self._target(query), self._unwanted(query)
        if target is None and not unwanted and not query.texts:
            return self._browse(query, position, started)
        with self._timed("candidates"):
            scope = self._facet_scope(query)
            found = self._finder.find(self._wanted(query, scope, target, unwanted, position.shown + query.k))
            meant = self._other_labels(query)
            found, held = self._by_other_words(meant, scope, target, found), self._held(query, scope)
            for images in held:
                found = including(found, ordinals_of(images), self._finder, target)
        with self._timed("rank"):
            cutoff = self._least_relevance(query, target is not None)
            ranking = _literal_first(self._scored(query, scope, target, unwanted, found), held)
            ranking = self._cut(query, ranking, cutoff, stays=BitMap().union(*held))
            matched = bitmap_of(ranking.ordinals)
            if scope != query.filter:
                in_filter = ordinals_of(self._tags.among([query.filter], matched))
                ranking = ranking.take(np.isin(ranking.ordinals, in_filter))
            page, onward = self._page(query, ranking, position)
        with self._timed("suggest"):
            suggested = () if query.cursor else self._suggester.suggest(" ".join(query.texts), query.filter)
        with self._timed("hits"):
            hits = self._hits(query, page, frozenset(meant))
        with self._timed("facets"):
            facets, ranges = self._facets(query, within=matched), self._ranges(query, within=matched)
        return SearchResults(
            hits=hits,
            facets=facets,
            ranges=ranges,
            total=len(ranking.ordinals),
            total_is_exact=found.complete,
            space=self.space,
            cutoff=cutoff,
            next=onward,
            plan=Plan(found.route, len(matched), found.allowed),
            took_ms=(time.perf_counter() - started) * 1000,
            suggested=suggested,
        )

    def _browse(self, query: Query, position: Position, started: float) -> SearchResults:
        """Return a page of all that matches the filter, by date or at random: there is nothing to rank by."""
        with self._timed("candidates"):
            total = self._tags.count(query.filter)
            ordinals, onward = self._in_order(query, position, query.filter, within=None)
        nothing = np.full(len(ordinals), np.nan, np.float32)
        page = Ranking(ordinals, np.ones(len(ordinals), np.float32), nothing, nothing, nothing)
        with self._timed("hits"):
            hits = self._hits(query, page)
        with self._timed("facets"):
            facets, ranges = self._facets(query, within=None), self._ranges(query, within=None)
        return SearchResults(
            hits=hits,
            facets=facets,
            ranges=ranges,
            total=total,
            total_is_exact=True,
            space=self.space,
            cutoff=None,
            next=onward,
            plan=Plan(Route.KEYWORD, total, total),
            took_ms=(time.perf_counter() - started) * 1000,
        )

    def _target(self, query: Query) -> Vector | None:
        """Return the one vector to look for: the weighted mean of texts, images and a given vector."""
        if query.mode is Mode.KEYWORD:
            return None
        parts: list[tuple[float, Vector]] = []
        if query.texts:
            parts += [(query.weights.text, self._text_vector(text)) for text in query.texts]
        parts += [(query.weights.image, self.embedding(id)) for id in query.images]
        if query.vector is not None:
            parts.append((query.weights.image, self.given(query.vector)))
        if not parts:
            return None
        return unit(np.asarray(sum(weight * vector for weight, vector in parts), dtype=np.float32))

    def expect_space(self, told: str) -> None:
        """Raise InvalidQuery for vectors of another space than that of the library, by its fingerprint."""
        if told not in (self.space.fingerprint, f"{self.space.name}-{self.space.fingerprint[:12]}"):
            raise InvalidQuery(f"the vector is of the space {told}, the library's is {self.space.fingerprint}")

    def given(self, numbers: Sequence[float]) -> Vector:
        """Return a vector that somebody gives, of unit length. Raises InvalidQuery for one of another length."""
        given = np.asarray(numbers, dtype=np.float32)
        if given.shape != (self.space.dim,):
            raise InvalidQuery(f"the vector must have {self.space.dim} numbers, got {len(given)}")
        return unit(given)

    def embedding(self, id: ImageId) -> Vector:
        """Return the vector of an image. Raises NotFound, also for one that nobody is to find."""
        ordinal = self._records.find(id)
        if ordinal is None or not self._tags.among([Filter()], BitMap([ordinal])):
            raise NotFound(f"there is no image {id} in this library")
        return self._vector_of(id, ordinal)

    def _vector_of(self, id: ImageId, ordinal: int) -> Vector:
        vector = self._records.embedding(ordinal, self.space)
        if vector is None:
            raise NotFound(f"there is no image {id} in this library")
        return vector

    def _facet_scope(self, query: Query) -> Filter:
        """Return the filter that scores are needed for: the counts of a facet leave its own selection out."""
        scope = query.filter
        counted = [name for name in query.facets if name not in query.conjunctive]
        for name in (*selectable_fields(counted), *query.ranges):
            scope = without_selection(scope, name)
        return scope

    def _facets(self, query: Query, *, within: BitMap | None) -> Sequence[Facet]:
        if not query.facets:
            return ()
        return self._tags.facets(
            query.facets,
            query.filter,
            within=within,
            size=query.facet_size or limits.FACET_VALUES,
            prefix=query.facet_prefix,
            conjunctive=query.conjunctive,
        )

    def _ranges(self, query: Query, *, within: BitMap | None) -> Sequence[Range]:
        return self._tags.ranges(query.ranges, query.filter, within=within) if query.ranges else ()

    def _wanted(
        self, query: Query, scope: Filter, target: Vector | None, unwanted: Sequence[Vector], page_end: int
    ) -> Wanted:
        text = "" if query.mode is Mode.VECTOR else " ".join(query.texts)
        if target is None and unwanted and not text:
            # Only what is not wanted was said: what is farthest from it is near its opposite.
            return Wanted(scope, unit(np.asarray(-sum(unwanted), np.float32)), page_end=page_end)
        return Wanted(scope, target, text, page_end)

    def _by_other_words(
        self, labels: Sequence[str], scope: Filter, target: Vector | None, found: Candidates
    ) -> Candidates:
        """Return the candidates with the images that labels which may be meant find as well: of "puppy", dogs."""
        if not labels:
            return found
        said = self._tags.search_text(" ".join(labels), filter=scope, k=limits.KEYWORD_HITS)
        found = including(found, said[0], self._finder, target)
        return replace(found, keyword=found.keyword + OTHER_WORDS * aligned(found.ordinals, said))

    def _other_labels(self, query: Query) -> Sequence[str]:
        """Return labels that words of a query may mean; of an animal that is to be no cat, all but the cat."""
        if query.mode is Mode.VECTOR or not query.texts:
            return ()
        labels = self._vocabulary.other_labels(" ".join(map(literals.unquoted, query.texts)))
        unwanted = self._vocabulary.named(" ".join(query.not_texts)) if labels else frozenset()
        return [label for label in labels if label not in unwanted]

    def _held(self, query: Query, scope: Filter) -> list[BitMap]:
        """Return the images that hold each quoted phrase, word by word."""
        phrases = () if query.mode is Mode.VECTOR else literals.phrases_of(query.texts)
        return [literals.holding(phrase, self._tags, self._records, scope) for phrase in phrases]

    def _scored(
        self, query: Query, scope: Filter, target: Vector | None, unwanted: Sequence[Vector], found: Candidates
    ) -> Ranking:
        """Return every candidate with the parts of its score, by ordinal."""
        nothing = np.full(len(found.ordinals), np.nan, np.float32)
        if target is not None:
            weight = self._keyword_weight(query)
            judge = self._judge(query, self._judged_by(query, scope, target, found))
            relevance = judge(found.similarity)
            alone = fusion.blend(relevance, np.zeros_like(found.keyword), keyword_weight=weight)
            score = whole = fusion.blend(relevance, found.keyword, keyword_weight=weight)
            if unwanted:
                wanted = judge(fusion.away_from(found.similarity, self._cosines(unwanted, found.ordinals)))
                score = fusion.blend(wanted, found.keyword, keyword_weight=weight)
            parts = {explain.what_is_near(query): alone, **({"keyword": whole - alone} if weight else {})}
            ranking = Ranking(found.ordinals, score, found.similarity, relevance, found.keyword, parts)
        elif query.texts:
            score = fusion.keyword_strength(found.keyword)
            ranking = Ranking(found.ordinals, score, nothing, nothing, found.keyword, {"keyword": score})
        else:
            ranking = Ranking(found.ordinals, np.ones_like(nothing), nothing, nothing, nothing)
        if target is None:
            for cosines in self._cosines(unwanted, found.ordinals):
                away = self._judge(query, replace(found, similarity=cosines))(cosines)
                ranking = replace(ranking, score=fusion.penalised(ranking.score, np.nan_to_num(away)))
        for text in query.not_texts if query.mode is not Mode.VECTOR else ():
            among = bitmap_of(found.ordinals)
            said = self._tags.search_text(text, filter=Filter(), within=among, k=limits.KEYWORD_HITS)
            strength = fusion.keyword_strength(aligned(found.ordinals, said))
            ranking = replace(ranking, score=fusion.penalised(ranking.score, strength))
        if unwanted and ranking.parts:
            taken = np.asarray(ranking.score - sum(ranking.parts.values()), np.float32)
            ranking = replace(ranking, parts={**ranking.parts, "not": taken})
        return ranking

    def _keyword_weight(self, query: Query) -> float:
        if query.mode is not Mode.BLEND or not query.texts:
            return 0.0
        if query.images or query.vector is not None:  # then a short text is not all that was said
            return query.weights.keyword
        return fusion.keyword_weight(query.weights.keyword, query.texts)

    def _cosines(self, vectors: Sequence[Vector], ordinals: Ordinals) -> list[Scores]:
        return [self._finder.cosines(vector, ordinals) for vector in vectors]

    def _unwanted(self, query: Query) -> list[Vector]:
        texts = [self._text_vector(text) for text in query.not_texts]
        images = [self.embedding(id) for id in query.not_images]
        return [*texts, *images, *map(self.given, query.not_vectors)]

    def _judged_by(self, query: Query, scope: Filter, target: Vector, found: Candidates) -> Candidates:
        """Return the images that relevance is judged by: those of the whole library, whatever is filtered.

        Else the same image were relevant under one filter and not under another, and a facet's count not what is
        found when the value is chosen.
        """
        if not scope or query.images or query.vector is not None:
            return found
        return self._finder.find(Wanted(Filter(), target, page_end=NEAREST, most=NEAREST))

    def _judge(self, query: Query, among: Candidates) -> Judge:
        """Return what calibrates cosines. Those of pictures to pictures have their own scale: taken as they are."""
        if query.images or query.vector is not None:
            return lambda cosines: np.clip(cosines, 0.0, 1.0)
        return self._relevance.judge(among.ordinals, among.similarity, library=among.allowed)

    def _least_relevance(self, query: Query, has_vector: bool) -> float | None:
        if not has_vector or query.cutoff == "none":
            return None
        if query.cutoff != "auto":
            return float(query.cutoff)
        # Nearest pictures to a picture are wanted however far they are; the calibration is for words.
        return None if query.images or query.vector is not None else self._cutoff

    def _cut(self, query: Query, ranking: Ranking, cutoff: float | None, *, stays: BitMap) -> Ranking:
        """Drop what is not relevant. Unless a number was asked for, some images stay, and those with the very words as
        a label."""
        if cutoff is None:
            return ranking
        kept = ranking.relevance >= cutoff
        if query.cutoff == "auto" and query.mode is Mode.BLEND:
            dropped = bitmap_of(ranking.ordinals[~kept])
            labelled = explain.labelled_as(self._tags, query.texts, dropped)
            kept |= np.isin(ranking.ordinals, ordinals_of(labelled | stays))
        return ranking.take(np.flatnonzero(kept))

    def _page(self, query: Query, ranking: Ranking, position: Position) -> tuple[Ranking, str | None]:
        """Return the hits after a position, and the cursor that goes on after them."""
        if query.sort is not Sort.RELEVANCE:
            ordinals, onward = self._in_order(query, position, Filter(), within=bitmap_of(ranking.ordinals))
            return ranking.take(np.searchsorted(ranking.ordinals, ordinals)), onward
        ranked = ranking.take(fusion.best_first(ranking.score))
        left = paging.remaining(ranked.ordinals, position)
        page = ranked.take(left[: query.k])
        if len(left) <= query.k:
            return page, None
        return page, cursor.encode(query, paging.onward(ranked.ordinals, position, page.ordinals))

    def _in_order(
        self, query: Query, position: Position, filter: Filter, *, within: BitMap | None
    ) -> tuple[Ordinals, str | None]:
        """Return the next images by what they are, and the cursor that goes on after them."""
        order = Order(Sort.NEWEST if query.sort is Sort.RELEVANCE else query.sort, position.seed)
        ordinals, keys = self._tags.in_order(order, filter, within=within, after=position.after, k=query.k + 1)
        if len(ordinals) <= query.k:
            return ordinals, None
        last = Place(int(keys[query.k - 1]), int(ordinals[query.k - 1]))
        return ordinals[: query.k], cursor.encode(query, replace(position, after=last))

    def _hits(self, query: Query, page: Ranking, meant: Collection[str] = ()) -> Sequence[Hit]:
        """Load the images of a page; ``meant``: labels that the query's words may mean."""
        records = {r.ordinal: r for r in self._records.records([int(o) for o in page.ordinals])}
        hits = []
        columns = page.score, page.similarity, page.relevance, page.keyword
        for place, (ordinal, *numbers) in enumerate(zip(page.ordinals, *columns, strict=True)):
            record = records.get(int(ordinal))
            if record is None:  # deleted since it was ranked
                continue
            score, similarity, relevance, keyword = (None if np.isnan(number) else float(number) for number in numbers)
            why = explain.why(record, query, relevance=relevance, similarity=similarity, meant=meant)
            parts = {name: float(part[place]) for name, part in page.parts.items()}
            hits.append(Hit(record, score or 0.0, similarity, relevance, keyword, why, parts))
        return hits

    def similar(self, id: ImageId, *, by: SimilarBy, filter: Filter, k: int) -> SearchResults:
        """Return the images most like one of the library, itself left out. One that is hidden may be asked for."""
        ordinal = self._records.find(id)
        if ordinal is None:
            raise NotFound(f"there is no image {id} in this library")
        hashes = self._records.phashes(np.array([ordinal], np.uint32))[1]
        record = self._records.records([ordinal])[0]
        version = self._duplicates.version(record) if by is SimilarBy.DUPLICATE else None
        picture = Picture(self._vector_of(id, ordinal), int(hashes[0]), record.tags, version)
        return self._alike(picture, by=by, filter=filter, k=k, leave_out=BitMap([ordinal]))

    def similar_to(
        self, picture: Picture, *, by: SimilarBy, filter: Filter, k: int, leave_out: ImageId | None = None
    ) -> SearchResults:
        """Return the images most like a picture that need not be in the library; without the one that it is part of."""
        ordinal = None if leave_out is None else self._records.find(leave_out)
        return self._alike(picture, by=by, filter=filter, k=k, leave_out=BitMap([] if ordinal is None else [ordinal]))

    def duplicate_groups(self, *, cursor: str | None = None, k: int) -> DuplicateGroups:
        """Return a page of the groups of images that are one picture in several versions."""
        started = time.perf_counter()
        limits.check(Query(k=k))
        groups, last, total = self._duplicates.groups(self.space, after=duplicates.decode(cursor), k=k)
        took_ms = (time.perf_counter() - started) * 1000
        return DuplicateGroups(groups, total, None if last is None else str(last), took_ms)

    def _alike(self, picture: Picture, *, by: SimilarBy, filter: Filter, k: int, leave_out: BitMap) -> SearchResults:
        started = time.perf_counter()
        query = Query(filter=filter, k=k, vector=tuple(picture.vector.tolist()), cutoff="none")
        limits.check(query)
        found, likeness = self._likeness(picture, by, query)
        alike = ~np.isnan(likeness) & ~np.isin(found.ordinals, ordinals_of(leave_out))
        relevance = np.clip(found.similarity, 0.0, 1.0)
        nothing = np.full_like(likeness, np.nan)
        parts = {by.value: likeness}
        if by is SimilarBy.BOTH:
            half = np.asarray(relevance / 2, np.float32)
            parts = {"image": half, "tags": likeness - half}
        ranking = Ranking(found.ordinals, likeness, found.similarity, relevance, nothing, parts)
        ranking = ranking.take(np.flatnonzero(alike))
        hits = self._hits(query, ranking.take(fusion.best_first(ranking.score)[:k]))
        if by is SimilarBy.DUPLICATE and picture.version is not None:
            hits = [replace(hit, differences=self._duplicates.told(hit.image, picture.version)) for hit in hits]
        return SearchResults(
            hits=hits,
            facets=(),
            ranges=(),
            total=len(ranking.ordinals),
            total_is_exact=found.complete,
            space=self.space,
            cutoff=None,
            next=None,
            plan=Plan(found.route, len(ranking.ordinals), found.allowed),
            took_ms=(time.perf_counter() - started) * 1000,
        )

    def _likeness(self, picture: Picture, by: SimilarBy, query: Query) -> tuple[Candidates, Scores]:
        """Return candidates and how alike each is, 0–1; NaN where it is not what was asked for."""
        labels = similar.telling_labels(picture.tags)
        if by is SimilarBy.TAGS:
            found = self._sharing(picture, labels, query.filter)
            return found, found.keyword
        if by is SimilarBy.DUPLICATE:
            return self._copies(picture, query.filter)
        found = self._finder.find(Wanted(query.filter, picture.vector, page_end=query.k + 1))
        likeness = np.clip(found.similarity, 0.0, 1.0)
        if by is SimilarBy.BOTH:
            among = bitmap_of(found.ordinals)
            shared = self._tags.search_labels(labels, filter=Filter(), within=among, k=max(1, len(among)))
            likeness = np.asarray((likeness + aligned(found.ordinals, shared)) / 2, dtype=np.float32)
        return found, likeness

    def _copies(self, picture: Picture, filter: Filter) -> tuple[Candidates, Scores]:
        copies = self._duplicates.of(picture.phash, picture.vector, picture.version, filter)
        nothing = np.zeros(len(copies.ordinals), np.float32)
        found = Candidates(Route.SCAN, copies.ordinals, copies.similarity, nothing, copies.allowed, complete=True)
        return found, copies.likeness

    def _sharing(self, picture: Picture, labels: dict[tuple[TagKind, str], float], filter: Filter) -> Candidates:
        """Return the images that share labels with a picture, and how much of them in place of the keyword score."""
        shared = self._tags.search_labels(labels, filter=filter, k=ANN_CANDIDATES)
        ordinals = np.sort(shared[0])
        return Candidates(
            Route.KEYWORD,
            ordinals,
            similarity=self._finder.cosines(picture.vector, ordinals),
            keyword=aligned(ordinals, shared),
            allowed=self._tags.count(filter),
            complete=len(ordinals) < ANN_CANDIDATES,
        )


def _literal_first(ranking: Ranking, held: Sequence[BitMap]) -> Ranking:
    """Return the ranking with images that hold more of the quoted phrases before those that hold fewer."""
    if not held:
        return ranking
    literal = np.sum([np.isin(ranking.ordinals, ordinals_of(images)) for images in held], axis=0, dtype=np.float32)
    share = np.float32(1 / (1 + len(held)))
    parts = {name: np.asarray(part * share, np.float32) for name, part in ranking.parts.items()}
    return replace(
        ranking,
        score=np.asarray((np.clip(ranking.score, 0, 1) + literal) * share, np.float32),
        parts={**parts, "literal": np.asarray(literal * share, np.float32)},
    )


def _seed(query: Query) -> int:
    """Return the seed of a first page; the cursors after it hold it."""
    return secrets.randbelow(shuffle.MAX_SEED + 1) if query.seed is None else query.seed
