"""What the persons of a library like together: whose likes go with whose, and which images many like.

Two ways, one answer. *Co-occurrence*: persons are as near as the cosine of what they like, and the nearest ones speak
for images. *Factorisation* (search/recommend/factors.py) learns what likes have in common, so it needs many of them,
and the extra `recommendations`. Whichever it is, one person's like is never shown to another as such: an image counts
from `LEAST_PERSONS` persons on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.recommend import factors
from search.types import ImageId

LEAST_PERSONS = 2
NEIGHBOURS = 50
FACTORISED_FROM = 200
"""Persons. Of fewer, factors say less than the likes themselves (docs/recommendations.md)."""

Tastes = Mapping[str, Mapping[ImageId, float]]
"""How much the events of each person say for each image."""


@dataclass(frozen=True, slots=True)
class Popular:
    image: ImageId
    persons: int
    weight: float
    """What all their events say together."""


class Crowd:
    """The tastes of all persons at one moment. Does not change, so threads share it."""

    def __init__(self, tastes: Tastes, *, factorised: bool | None = None) -> None:
        """``factorised``: whether likes are factorised; None: where there are enough, and what does it is installed."""
        self._persons = {person: place for place, person in enumerate(tastes)}
        images = sorted({image for taste in tastes.values() for image in taste})
        self._images = images
        self._places = {image: place for place, image in enumerate(images)}
        self._starts = np.zeros(len(tastes) + 1, np.int64)
        np.cumsum([len(taste) for taste in tastes.values()], out=self._starts[1:])
        columns = (self._places[image] for taste in tastes.values() for image in taste)
        self._columns = np.fromiter(columns, np.int32, int(self._starts[-1]))
        weights = (weight for taste in tastes.values() for weight in taste.values())
        self._weights = np.fromiter(weights, np.float32, int(self._starts[-1]))
        self._support = np.bincount(self._columns, minlength=len(images))
        rows = np.repeat(np.arange(len(tastes)), np.diff(self._starts))
        order = np.argsort(self._columns, kind="stable")
        self._fans = rows[order]
        """Persons by image: those of the image at a place lie between two of `_fans_starts`."""
        self._fans_weights = self._weights[order]
        self._fans_starts = np.zeros(len(images) + 1, np.int64)
        np.cumsum(self._support, out=self._fans_starts[1:])
        squares = np.zeros(len(tastes))
        np.add.at(squares, rows, self._weights.astype(np.float64) ** 2)
        self._lengths = np.sqrt(squares)
        if factorised is None:
            factorised = len(tastes) >= FACTORISED_FROM and factors.is_installed()
        self._model = factors.fit(self._starts, self._columns, self._weights, len(images)) if factorised else None

    @property
    def persons(self) -> int:
        return len(self._persons)

    @property
    def method(self) -> str:
        return "factorisation" if self._model is not None else "co-occurrence"

    def popular(self, k: int) -> list[Popular]:
        """Return the k images that most persons' events speak for, those of one person alone left out."""
        total = np.bincount(self._columns, self._weights, len(self._images))
        total[self._support < LEAST_PERSONS] = 0
        best = np.argsort(-total, kind="stable")[:k]
        return [Popular(self._images[i], int(self._support[i]), float(total[i])) for i in best if total[i] > 0]

    def likes_of_others(self, person: str, own: Mapping[ImageId, float], k: int) -> dict[ImageId, float]:
        """Return the k images that persons with the same likes like most, each 0–1; what is their own is left out.

        ``own``: how much the person's events say for each image, as of now.
        """
        known = [(self._places[image], weight) for image, weight in own.items() if image in self._places]
        if not known:
            return {}
        places = np.array([place for place, _ in known], np.int32)
        weights = np.array([weight for _, weight in known], np.float32)
        scores = self._by_neighbours(person, places, weights) if self._model is None else self._model(places, weights)
        scores[self._voices(person) < LEAST_PERSONS] = 0
        scores[places] = 0
        best = np.argsort(-scores, kind="stable")[:k]
        best = best[scores[best] > 0]
        return {self._images[i]: float(scores[i] / scores[best[0]]) for i in best}

    def _voices(self, person: str) -> NDArray[np.int64]:
        """Return how many other persons' events speak for each image."""
        voices = self._support.copy()
        place = self._persons.get(person)
        if place is not None:
            voices[self._row(place)[0]] -= 1
        return voices

    def _row(self, person: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        part = slice(self._starts[person], self._starts[person + 1])
        return self._columns[part], self._weights[part]

    def _by_neighbours(
        self, person: str, places: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        shared = np.zeros(len(self._persons))
        for place, weight in zip(places, weights, strict=True):
            part = slice(self._fans_starts[place], self._fans_starts[place + 1])
            shared[self._fans[part]] += weight * self._fans_weights[part]
        if (me := self._persons.get(person)) is not None:
            shared[me] = 0
        nearness = shared / np.maximum(self._lengths, 1e-9)
        scores, voices = np.zeros(len(self._images)), np.zeros(len(self._images), np.int64)
        for neighbour in np.argsort(-nearness, kind="stable")[:NEIGHBOURS]:
            if nearness[neighbour] > 0:
                columns, said = self._row(int(neighbour))
                scores[columns] += nearness[neighbour] * said
                voices[columns] += 1
        scores[voices < LEAST_PERSONS] = 0
        return scores

    def links(self, images: Sequence[ImageId], own: Sequence[ImageId]) -> dict[ImageId, ImageId]:
        """Return for each image which of a person's own is liked most by those who like it; for some there is none."""
        known = [image for image in own if image in self._places]
        fans = [self._fans_of(image) for image in known]
        if not fans:
            return {}
        all_fans, whose = np.concatenate(fans), np.repeat(np.arange(len(fans)), [len(some) for some in fans])
        found = {}
        for image in images:
            if image in self._places:
                shared = np.bincount(whose[np.isin(all_fans, self._fans_of(image))], minlength=len(known))
                if shared.any():
                    found[image] = known[int(np.argmax(shared))]
        return found

    def _fans_of(self, image: ImageId) -> NDArray[np.int64]:
        place = self._places[image]
        return self._fans[self._fans_starts[place] : self._fans_starts[place + 1]]
