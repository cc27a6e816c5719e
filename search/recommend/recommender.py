"""What a person may like of a library: candidates by each interest and by others, one score, a varied list, reasons."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search import limits
from search.bitmaps import bitmap_of, ordinals_of
from search.candidates import Finder, aligned
from search.products import likenesses
from search.protocols import Records, TagStore
from search.recommend import choosing, taste
from search.recommend.crowd import Crowd
from search.recommend.events import Events, EventType, Kept
from search.recommend.keeper import CrowdKeeper
from search.recommend.taste import Interest
from search.similar import telling_labels
from search.types import (
    EmbeddingSpace,
    Filter,
    Hit,
    ImageId,
    ImageRecord,
    Matrix,
    Order,
    Ordinals,
    Query,
    Scores,
    Sort,
    TagKind,
)

MOST_EVENTS = 128
"""Images that a taste is told by: those that a person's events say most for."""
LABELLED = 16
"""The same where labels tell it."""
SPARE = 30
"""Candidates of each interest beyond as many as are wanted, for what is left out and for variety."""
OTHERS = 200
"""Candidates that others bring."""
COPY = 0.985
"""Cosine to something liked, from which on an image is taken for a copy of it, or the next of a series."""
RECENT = 200
SAMPLE = 200
"""Images that tell what cosines are by chance."""
DEVIATIONS = 2.0
"""So many beyond the median of chance, two interests are one. Medians, for in a library some are alike by no chance."""
NORMAL = 1.4826
"""What makes the median of deviations a standard deviation."""


class ReasonKind(StrEnum):
    LIKED = "liked"
    """It is like something that the person likes."""
    VIEWED = "viewed"
    OTHERS = "others"
    """Persons with the same likes like it."""
    POPULAR = "popular"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Reason:
    kind: ReasonKind
    image: ImageId | None = None
    """What the person liked, or viewed."""
    labels: tuple[str, ...] = ()
    """What the two have in common."""
    persons: int = 0
    """How many like it, where that is the reason."""

    def __str__(self) -> str:
        if self.kind is ReasonKind.POPULAR:
            return f"liked by {self.persons} persons"
        if self.kind is ReasonKind.NEW:
            return "new here"
        if self.kind is ReasonKind.OTHERS:
            return f"persons who liked {self.image} like this"
        shared = f" ({', '.join(self.labels)})" if self.labels else ""
        return f"because you {self.kind} {self.image}{shared}"


@dataclass(frozen=True, slots=True)
class Recommended:
    hit: Hit
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """What recommendations were made from."""

    liked: int = 0
    viewed: int = 0
    hidden: int = 0
    interests: int = 0
    persons: int = 0
    """Those of the library whose events count."""
    method: str = ""
    """How those of others are used."""


@dataclass(frozen=True, slots=True)
class Recommendations:
    shown: Sequence[Recommended]
    basis: Basis
    took_ms: float


@dataclass(frozen=True, slots=True)
class _Taste:
    """A person as of now, as far as it is in the library and may be seen."""

    weights: Mapping[ImageId, float]
    """How much the events say for each image, strongest first."""
    images: tuple[ImageId, ...] = ()
    ordinals: Ordinals = field(default_factory=lambda: np.empty(0, np.uint32))
    vectors: Matrix = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """Of the images that say most, shape (len(images), dim)."""
    interests: Sequence[Interest] = ()
    hidden: Matrix = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """Vectors of what is to be hidden."""
    liked: frozenset[ImageId] = frozenset()
    known: BitMap = field(default_factory=BitMap)
    """What is not shown: liked, viewed or hidden."""


@dataclass(slots=True)
class _Pool:
    """Candidates, as parallel arrays."""

    ordinals: Ordinals
    vectors: Matrix
    groups: NDArray[np.intp]
    """The interest of each; one more than there are for what only others like."""
    score: Scores
    parts: Mapping[str, Scores]
    nearest: NDArray[np.intp]
    """Which of the liked images each is nearest to."""
    similarity: Scores


class Recommender:
    """Recommends images of one library. Safe to call from several threads."""

    def __init__(
        self,
        *,
        records: Records,
        tags: TagStore,
        finder: Finder,
        space: EmbeddingSpace,
        events: Events,
        crowd: CrowdKeeper,
    ) -> None:
        self._records = records
        self._tags = tags
        self._finder = finder
        self._space = space
        self._events = events
        self._crowd = crowd
        self._together: float | None = None

    def recommend(self, person: str, *, filter: Filter, k: int, now: datetime | None = None) -> Recommendations:
        """Return up to k images that a person has not liked, viewed or hidden, and why each.

        Who has done nothing yet gets what many like and what is new. Raises InvalidQuery.
        """
        started = time.perf_counter()
        limits.check(Query(filter=filter, k=k))
        kept, crowd = self._events.of(person), self._crowd.current()
        likes = self._taste(kept, now or datetime.now(UTC))
        found = self._fitting(person, likes, crowd, filter, k) if likes.interests else []
        if len(found) < k:
            left_out = likes.known | BitMap(one.hit.image.ordinal for one in found)
            found += self._at_large(crowd, filter, k - len(found), left_out)
        counts = {type: sum(one.type is type for one in kept) for type in EventType}
        basis = Basis(
            counts[EventType.LIKE],
            counts[EventType.VIEW],
            counts[EventType.HIDE],
            len(likes.interests),
            crowd.persons,
            crowd.method if crowd.persons else "",
        )
        return Recommendations(found, basis, (time.perf_counter() - started) * 1000)

    def _taste(self, kept: Kept, now: datetime) -> _Taste:
        places = self._records.find_all([one.image for one in kept])
        known = BitMap(places.values())
        seen = self._tags.among([Filter()], known)
        said = taste.strengths(kept, now)
        weights = {image: weight for image, weight in said.items() if image in places and places[image] in seen}
        told = list(weights)[:MOST_EVENTS]
        images, ordinals, vectors = self._with_vectors(told, places)
        said_of = np.array([weights[image] for image in images], np.float32)
        hide = [one.image for one in kept if one.type is EventType.HIDE][:MOST_EVENTS]
        return _Taste(
            weights,
            images,
            ordinals,
            vectors,
            taste.interests(vectors, said_of, together=self._beyond_chance()),
            self._with_vectors(hide, places)[2],
            frozenset(one.image for one in kept if one.type is EventType.LIKE),
            known,
        )

    def _beyond_chance(self) -> float:
        """Return a cosine that two images of the library that have nothing to do with each other hardly reach.

        Cosines of two embedding spaces cannot be compared, so it is measured, once for each library that is opened.
        """
        if self._together is None:
            drawn, _ = self._tags.in_order(Order(Sort.RANDOM), Filter(), k=SAMPLE)
            vectors = self._vectors(np.sort(drawn))[1]
            cosines = likenesses(vectors, vectors)[np.triu_indices(len(vectors), 1)]
            middle = float(np.median(cosines)) if len(cosines) else 1.0
            deviation = float(np.median(np.abs(cosines - middle))) if len(cosines) else 0.0
            self._together = middle + DEVIATIONS * NORMAL * deviation
        return self._together

    def _with_vectors(
        self, images: Sequence[ImageId], places: Mapping[ImageId, int]
    ) -> tuple[tuple[ImageId, ...], Ordinals, Matrix]:
        """Return those of the images that have a vector, in their order, with it."""
        ordinals = np.array([places[image] for image in images if image in places], np.uint32)
        ordinals, vectors = self._vectors(ordinals)
        by_ordinal = {places[image]: image for image in images if image in places}
        return tuple(by_ordinal[int(ordinal)] for ordinal in ordinals), ordinals, vectors

    def _vectors(self, ordinals: Ordinals) -> tuple[Ordinals, Matrix]:
        """Return those of the ordinals that have a vector, in their order, with it; shape (n, dim)."""
        found = list(self._records.embeddings(self._space, [int(one) for one in ordinals]))
        if not found:
            return np.empty(0, np.uint32), np.empty((0, self._space.dim), np.float32)
        held = np.concatenate([some for some, _ in found])
        vectors = np.concatenate([some for _, some in found]).astype(np.float32)
        order = np.argsort(held)
        place = np.minimum(np.searchsorted(held[order], ordinals), len(held) - 1)
        there = held[order[place]] == ordinals
        return ordinals[there], vectors[order[place[there]]]

    def _fitting(self, person: str, likes: _Taste, crowd: Crowd, filter: Filter, k: int) -> list[Recommended]:
        """Return up to k images by what a person likes and others with the same likes."""
        others = crowd.likes_of_others(person, likes.weights, OTHERS)
        pool = self._pool(likes, others, filter, k)
        weights = [interest.weight for interest in likes.interests]
        weights.append(choosing.NEWS * sum(weights))
        places = choosing.chosen(pool.score, pool.vectors, pool.groups, weights, k, variety=choosing.VARIETY)
        sources = {place: int(likes.ordinals[pool.nearest[place]]) for place in places}
        shown, records = self._hits(pool, places, tuple(sources.values()))
        links = crowd.links([hit.image.id for _, hit in shown if hit.image.id in others], likes.images)
        found = []
        for place, hit in shown:
            reasons = _reasons(hit, records.get(sources[place]), likes, links.get(hit.image.id))
            found.append(_recommended(hit, reasons))
        return found

    def _pool(self, likes: _Taste, others: Mapping[ImageId, float], filter: Filter, k: int) -> _Pool:
        probes = np.stack([interest.centre for interest in likes.interests])
        near = self._finder.nearest(filter, probes, k + SPARE, without=likes.known)
        brought = self._records.find_all(list(others))
        candidates = BitMap(brought.values()).union(*(bitmap_of(ordinals) for ordinals, _ in near))
        allowed = self._tags.among([filter], candidates - likes.known)
        ordinals, vectors = self._vectors(ordinals_of(allowed))
        cosines = likenesses(vectors, likes.vectors)
        similarity = cosines.max(axis=1) if len(ordinals) else np.empty(0, np.float32)
        stays = similarity < COPY
        if len(likes.hidden) and len(ordinals):
            stays &= likenesses(vectors, likes.hidden).max(axis=1) <= similarity
        ordinals, vectors, cosines, similarity = ordinals[stays], vectors[stays], cosines[stays], similarity[stays]
        by_ordinal = {ordinal: others[image] for image, ordinal in brought.items()}
        parts = {
            "content": choosing.CONTENT * choosing.scaled(similarity),
            "labels": choosing.LABELS * self._shared_labels(likes, ordinals),
            "others": choosing.OTHERS * np.array([by_ordinal.get(int(one), 0.0) for one in ordinals], np.float32),
        }
        nearest = cosines.argmax(axis=1) if len(ordinals) else np.empty(0, np.intp)
        group_of = np.empty(len(likes.images), np.intp)
        for number, interest in enumerate(likes.interests):
            group_of[list(interest.members)] = number
        groups = group_of[nearest]
        groups[(parts["others"] > 0) & (similarity < self._beyond_chance())] = len(likes.interests)
        return _Pool(
            ordinals,
            vectors,
            groups,
            np.asarray(sum(parts.values()), np.float32),
            parts,
            nearest,
            similarity,
        )

    def _shared_labels(self, likes: _Taste, ordinals: Ordinals) -> Scores:
        """Return how much of the weight of a person's favourite labels each image has, 0–1."""
        records = self._records.records([int(one) for one in likes.ordinals[:LABELLED]])
        labels = taste.favourite_labels((record, likes.weights[record.id]) for record in records)
        if not labels or not len(ordinals):
            return np.zeros(len(ordinals), np.float32)
        within = bitmap_of(ordinals)
        return aligned(ordinals, self._tags.search_labels(labels, filter=Filter(), within=within, k=len(ordinals)))

    def _at_large(self, crowd: Crowd, filter: Filter, k: int, left_out: BitMap) -> list[Recommended]:
        """Return up to k images that many like and that are new, no two of them much alike."""
        popular = crowd.popular(RECENT)
        places = self._records.find_all([one.image for one in popular])
        liked = {places[one.image]: one for one in popular if one.image in places}
        recent, _ = self._tags.in_order(Order(Sort.NEWEST), filter, k=RECENT + len(left_out))
        allowed = self._tags.among([filter], (BitMap(liked) | bitmap_of(recent)) - left_out)
        ordinals, vectors = self._vectors(ordinals_of(allowed))
        most = max((one.weight for one in popular), default=1.0)
        age = {int(ordinal): place for place, ordinal in enumerate(recent)}
        by_many = [liked[int(one)].weight / most / 2 if int(one) in liked else 0.0 for one in ordinals]
        by_age = [(1 - age[int(one)] / len(recent)) / 2 if int(one) in age else 0.0 for one in ordinals]
        parts: dict[str, Scores] = {"popular": np.array(by_many, np.float32), "new": np.array(by_age, np.float32)}
        score = np.asarray(sum(parts.values()), np.float32)
        nowhere = np.zeros(len(ordinals), np.intp)
        similarity = np.full(len(ordinals), np.nan, np.float32)
        pool = _Pool(ordinals, vectors, nowhere, score, parts, nowhere, similarity)
        chosen = choosing.chosen(pool.score, vectors, nowhere, [1.0], k, variety=choosing.VARIETY)
        found = []
        for _, hit in self._hits(pool, chosen)[0]:
            fans = liked.get(hit.image.ordinal)
            reason = Reason(ReasonKind.NEW) if fans is None else Reason(ReasonKind.POPULAR, persons=fans.persons)
            found.append(_recommended(hit, [reason]))
        return found

    def _hits(
        self, pool: _Pool, places: Sequence[int], also: Sequence[int] = ()
    ) -> tuple[list[tuple[int, Hit]], Mapping[int, ImageRecord]]:
        """Return the hits of some places, and all records that were loaded, by ordinal: of some more images too."""
        wanted = dict.fromkeys((*(int(pool.ordinals[place]) for place in places), *also))
        records = {one.ordinal: one for one in self._records.records(list(wanted))}
        found = []
        for place in places:
            record = records.get(int(pool.ordinals[place]))
            if record is not None:  # else it was deleted meanwhile
                near = pool.similarity[place]
                parts = {name: float(part[place]) for name, part in pool.parts.items() if part[place]}
                similarity = None if np.isnan(near) else float(near)
                found.append((place, Hit(record, float(pool.score[place]), similarity, parts=parts)))
        return found, records


def _recommended(hit: Hit, reasons: Sequence[Reason]) -> Recommended:
    told = Hit(hit.image, hit.score, hit.similarity, why=tuple(map(str, reasons)), parts=hit.parts)
    return Recommended(told, tuple(reasons))


def _reasons(hit: Hit, source: ImageRecord | None, likes: _Taste, link: ImageId | None) -> list[Reason]:
    reasons = []
    if source is not None:
        kind = ReasonKind.LIKED if source.id in likes.liked else ReasonKind.VIEWED
        reasons.append(Reason(kind, source.id, _in_common(source, hit.image)))
    if link is not None:
        counts_more = hit.parts.get("others", 0.0) > hit.parts.get("content", 0.0)
        reasons.insert(0 if counts_more else len(reasons), Reason(ReasonKind.OTHERS, link))
    return reasons


def _in_common(first: ImageRecord, second: ImageRecord) -> tuple[str, ...]:
    """Return up to three labels that two images share, the surest first."""
    one, other = telling_labels(first.tags), telling_labels(second.tags)
    shared: list[tuple[TagKind, str]] = [key for key in one if key in other]
    shared.sort(key=lambda key: -one[key] * other[key])
    return tuple(dict.fromkeys(label for _, label in shared))[:3]
