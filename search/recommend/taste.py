"""What a person likes: how much each event says, and the several interests that it is about. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from search.products import likenesses, unit
from search.recommend.events import Event, EventType, Kept
from search.similar import telling_labels
from search.types import ImageId, ImageRecord, Matrix, TagKind

HALF_LIFE_DAYS = 60.0
"""After so long an event says half as much."""
LIKE = 1.0
VIEW = 0.15
"""Of a first view; each doubling of their number adds as much again, up to `MOST_OF_VIEWS`."""
MOST_OF_VIEWS = 0.6
MOST_INTERESTS = 8
MOST_LABELS = 24
"""That a person's taste is told by."""

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Interest:
    """Some of what a person likes that belongs together."""

    members: tuple[int, ...]
    """Which of the images, by place."""
    weight: float
    """What their events say together."""
    centre: NDArray[np.float32]
    """The mean of their embeddings by weight, of unit length, shape (dim,)."""


def strength(event: Event, now: datetime) -> float:
    """Return how much an event says in favour of its image, 0–1: less the longer ago. Of a hide, 0."""
    if event.type is EventType.LIKE:
        said = LIKE
    elif event.type is EventType.VIEW:
        said = min(MOST_OF_VIEWS, VIEW * (1 + math.log2(event.times)))
    else:
        return 0.0
    days = max(0.0, (now - event.at).total_seconds() / 86_400)
    return said * math.pow(0.5, days / HALF_LIFE_DAYS)


def strengths(kept: Kept, now: datetime) -> dict[ImageId, float]:
    """Return how much a person's events say for each image, strongest first. What is hidden is not among them."""
    hidden = {one.image for one in kept if one.type is EventType.HIDE}
    found: dict[ImageId, float] = {}
    for event in kept:
        if event.image not in hidden:
            found[event.image] = min(1.0, found.get(event.image, 0.0) + strength(event, now))
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def interests(
    vectors: Matrix, weights: Weights, *, together: float = 1.0, most: int = MOST_INTERESTS
) -> list[Interest]:
    """Return the interests that images are about, the weightiest first; at most so many.

    The images are joined by Ward's method, in which a heavy group swallows a far one last, until few groups are left:
    the mean of two tastes is a third one that nobody has (Pal et al. 2020, PinnerSage). Then groups are joined whose
    centres have a cosine of ``together`` or more. ``vectors``: shape (n, dim), rows of unit length; ``weights``: (n,).
    """
    members: dict[int, tuple[int, ...]] = {place: (place,) for place in range(len(vectors))}
    centres, mass = vectors.astype(np.float32), weights.astype(np.float32)
    costs = _costs(2 - 2 * likenesses(centres, centres), mass[:, None], mass[None])
    np.fill_diagonal(costs, np.inf)
    while len(members) > most:
        kept, gone = sorted(map(int, np.unravel_index(int(np.argmin(costs)), costs.shape)))
        both = mass[kept] + mass[gone]
        centres[kept] = (mass[kept] * centres[kept] + mass[gone] * centres[gone]) / both
        mass[kept] = both
        members[kept] += members.pop(gone)
        away = centres - centres[kept]
        row = _costs(np.einsum("ij,ij->i", away, away), mass, mass[kept])
        row[[place for place in range(len(row)) if place == kept or place not in members]] = np.inf
        costs[kept] = costs[:, kept] = row
        costs[gone] = costs[:, gone] = np.inf
    groups = [
        Interest(tuple(sorted(some)), float(mass[place]), unit(centres[place])) for place, some in members.items()
    ]
    return sorted(_joined(groups, together), key=lambda one: (-one.weight, one.members))


def _joined(groups: list[Interest], together: float) -> list[Interest]:
    """Return the groups with those joined that are about the same, the most alike first."""
    while len(groups) > 1:
        centres = np.stack([one.centre for one in groups])
        alike = likenesses(centres, centres)
        np.fill_diagonal(alike, -np.inf)
        first, second = sorted(map(int, np.unravel_index(int(np.argmax(alike)), alike.shape)))
        if alike[first, second] < together:
            break
        one, other = groups[first], groups.pop(second)
        centre = unit(np.asarray(one.weight * one.centre + other.weight * other.centre, np.float32))
        groups[first] = Interest(tuple(sorted((*one.members, *other.members))), one.weight + other.weight, centre)
    return groups


def _costs(apart: Weights, mass: Weights, other: Weights) -> Weights:
    """Return how much the union of two groups spreads beyond the two, by their squared distance and weights."""
    return np.asarray(np.maximum(apart, 0) * mass * other / (mass + other), np.float32)


def favourite_labels(liked: Iterable[tuple[ImageRecord, float]]) -> Mapping[tuple[TagKind, str], float]:
    """Return the labels that images with these weights share most, each 0–1: what `TagStore.search_labels` takes."""
    said: dict[tuple[TagKind, str], float] = {}
    for record, weight in liked:
        for key, confidence in telling_labels(record.tags).items():
            said[key] = said.get(key, 0.0) + weight * confidence
    most = max(said.values(), default=1.0)
    best = sorted(said.items(), key=lambda one: (-one[1], one[0]))[:MOST_LABELS]
    return {key: weight / most for key, weight in best}
