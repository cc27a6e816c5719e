"""From a filter, a vector and words to the images that are scored. How depends on where vectors and tags live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from pyroaring import BitMap

from search import planner
from search.bitmaps import bitmap_of, ordinals_of
from search.limits import KEYWORD_HITS
from search.planner import Route
from search.protocols import TagStore, VectorIndex
from search.types import Filter, Matrix, Ordinals, Scores, Vector

WIDEN = 4
"""Factor by which a search that found too little is widened."""
FIRST_WIDTH = 10_000
"""The most that is asked for at first: a filter that has nothing to do with the query then yields the usual number of
candidates down to a tenth of the library; it is widened only where even the page asked for is not filled."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What candidates are needed for."""

    filter: Filter
    probe: Vector | None = None
    """The nearest to this vector are wanted; None where words alone find."""
    text: str = ""
    """Words whose BM25 counts; images that hold them are candidates however far they are."""
    page_end: int = 0
    """How many hits are needed at least, if there are as many."""
    most: int = planner.ANN_CANDIDATES
    """How many an approximate route takes."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Images to be scored, by ordinal, as parallel arrays."""

    route: Route
    ordinals: Ordinals
    similarity: Scores
    """Exact cosine to the probe; NaN where nothing is compared."""
    keyword: Scores
    """BM25 of the words; 0 where an image holds none of them."""
    allowed: int
    """How many images the filter lets through."""
    complete: bool
    """Whether no image that the filter lets through was left out."""


class Finder(Protocol):
    """Finds candidates in the stores of a library."""

    def find(self, wanted: Wanted) -> Candidates: ...

    def cosines(self, vector: Vector, ordinals: Ordinals) -> Scores:
        """Return the exact cosine of a vector to each image; NaN where there is none."""
        ...

    def nearest(self, filter: Filter, probes: Matrix, k: int, *, without: BitMap) -> list[tuple[Ordinals, Scores]]:
        """Return for each vector the k nearest that a filter lets through, some images left out, best first."""
        ...


class IndexFinder:
    """Vectors in an index of this process; tags in it too, or on a server that can name a few images cheaply."""

    def __init__(self, tags: TagStore, vectors: VectorIndex, *, exact_limit: int) -> None:
        self._tags = tags
        self._vectors = vectors
        self._exact_limit = exact_limit

    def cosines(self, vector: Vector, ordinals: Ordinals) -> Scores:
        return self._vectors.scores(vector, ordinals)

    def nearest(self, filter: Filter, probes: Matrix, k: int, *, without: BitMap) -> list[tuple[Ordinals, Scores]]:
        cheap = self._tags.cheap_matches
        allowed, most = self._tags.count(filter), k + len(without)
        if allowed >= len(self._vectors):  # then no mask has to be looked at
            found = self._vectors.search(probes, most)
        elif cheap is None or allowed <= cheap:
            return self._vectors.search(probes, k, allowed=self._tags.match(filter) - without)
        else:
            wide = [Wanted(filter, probe, page_end=most, most=most) for probe in probes]
            found = [self._let_through(wanted, probe, allowed) for wanted, probe in zip(wide, probes, strict=True)]
        return [_without(ordinals, similarity, without, k) for ordinals, similarity in found]

    def find(self, wanted: Wanted) -> Candidates:
        cheap = self._tags.cheap_matches
        matched = self._tags.match(wanted.filter) if cheap is None else None
        allowed = self._tags.count(wanted.filter) if matched is None else len(matched)
        route = planner.choose(
            allowed=allowed,
            has_vector=wanted.probe is not None,
            exact_limit=self._exact_limit,
            cheap_matches=cheap,
        )
        if matched is None and route in (Route.SCAN, Route.ANN):
            matched = self._tags.match(wanted.filter)
        words = self._by_words(wanted, matched)
        if wanted.probe is None:
            return by_words_alone(words, allowed, route)
        found = self._near(wanted, wanted.probe, route, allowed, matched)
        if route is not Route.SCAN:
            found = including(found, words[0], self, wanted.probe)
        return replace(found, keyword=aligned(found.ordinals, words))

    def _by_words(self, wanted: Wanted, matched: BitMap | None) -> tuple[Ordinals, Scores]:
        if not wanted.text:
            return np.empty(0, np.uint32), np.empty(0, np.float32)
        filter = wanted.filter if matched is None else Filter()
        return self._tags.search_text(wanted.text, filter=filter, within=matched, k=KEYWORD_HITS)

    def _near(self, wanted: Wanted, probe: Vector, route: Route, allowed: int, matched: BitMap | None) -> Candidates:
        """Return the nearest images, by ordinal, without what words say of them."""
        if matched is None:
            ordinals, similarity = self._let_through(wanted, probe, allowed)
        elif route is Route.SCAN:
            ordinals = ordinals_of(matched)
            similarity = self._vectors.scores(probe, ordinals)
            known = ~np.isnan(similarity)
            ordinals, similarity = ordinals[known], similarity[known]
        else:
            ordinals, similarity = self._vectors.search(probe[None], wanted.most, allowed=matched)[0]
        order = np.argsort(ordinals)
        nothing = np.zeros(len(ordinals), np.float32)
        return Candidates(route, ordinals[order], similarity[order], nothing, allowed, route is Route.SCAN)

    def _let_through(self, wanted: Wanted, probe: Vector, allowed: int) -> tuple[Ordinals, Scores]:
        """Return the nearest of all images that the filter lets through, at least as many as a page needs."""
        everything = len(self._vectors)
        if allowed >= everything:
            return self._vectors.search(probe[None], wanted.most)[0]
        width = min(FIRST_WIDTH, wanted.most * everything // max(1, allowed) + wanted.most)
        while True:
            nearest, similarity = self._vectors.search(probe[None], width)[0]
            through = self._tags.among([wanted.filter], bitmap_of(nearest))
            if len(through) >= min(wanted.page_end, allowed) or width >= everything:
                kept = np.flatnonzero(np.isin(nearest, ordinals_of(through)))[: max(wanted.most, wanted.page_end)]
                return nearest[kept], similarity[kept]
            width *= WIDEN


def _without(ordinals: Ordinals, similarity: Scores, without: BitMap, k: int) -> tuple[Ordinals, Scores]:
    kept = np.flatnonzero(~np.isin(ordinals, ordinals_of(without)))[:k]
    return ordinals[kept], similarity[kept]


def by_words_alone(words: tuple[Ordinals, Scores], allowed: int, route: Route) -> Candidates:
    """Return what words found, where no vector is compared."""
    ordinals = np.sort(words[0])
    nothing = np.full(len(ordinals), np.nan, np.float32)
    return Candidates(
        route, ordinals, nothing, aligned(ordinals, words), allowed, complete=len(ordinals) < KEYWORD_HITS
    )


def including(found: Candidates, ordinals: Ordinals, finder: Finder, probe: Vector | None) -> Candidates:
    """Return the candidates and some more images, which need a vector if there is a probe to compare them with."""
    missing = np.setdiff1d(ordinals, found.ordinals).astype(np.uint32)
    if not len(missing):
        return found
    similarity = np.full(len(missing), np.nan, np.float32) if probe is None else finder.cosines(probe, missing)
    if probe is not None:
        missing, similarity = missing[~np.isnan(similarity)], similarity[~np.isnan(similarity)]
    together = np.concatenate([found.ordinals, missing])
    order = np.argsort(together)
    return replace(
        found,
        ordinals=together[order],
        similarity=np.concatenate([found.similarity, similarity])[order],
        keyword=np.concatenate([found.keyword, np.zeros(len(missing), np.float32)])[order],
    )


def aligned(ordinals: Ordinals, scored: tuple[Ordinals, Scores]) -> Scores:
    """Return the scores of ``scored`` in the order of ``ordinals``; 0 for those it does not hold."""
    keys, values = scored
    if not len(keys):
        return np.zeros(len(ordinals), np.float32)
    order = np.argsort(keys)
    keys, values = keys[order], values[order]
    place = np.minimum(np.searchsorted(keys, ordinals), len(keys) - 1)
    return np.where(keys[place] == ordinals, values[place], 0).astype(np.float32)
