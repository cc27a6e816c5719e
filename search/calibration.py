"""What cosines of an embedding space mean: from how far pictures are above their prior to a relevance of 0–1. Pure.

A cosine alone does not tell whether a picture answers: some texts are near to many pictures, and some pictures near to
any text. What tells is how far the nearest pictures are above their *prior*, the mean of the best cosines that they
have to labels of all sorts of things: a right text says a picture about as well as its best labels do, and a text about
nothing in the library does not (docs/adr has the measurements).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.products import products
from search.types import Matrix, Scores

BEST_LABELS = 5
"""Labels whose mean cosine is a picture's prior."""
NEAREST = 30
"""Pictures whose mean prior is a query's; in a small library one in thirty."""
ANSWERS = 10
"""Pictures whose mean cosine says whether anything answers; in a small library one in ninety."""
KEPT = 0.95
"""Share of the true answers among the first ten that a relevance of one half keeps."""
SHOWN = 10
"""A true answer counts if it is among so many first."""
HALF = 0.5
MEDIAN_RELEVANCE = 0.95
"""What each of the two curves says of the median true answer."""


Judge = Callable[[Scores], Scores]
"""From cosines of images to one query to their relevance."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A logistic curve: one half at ``middle``, and odds that grow by e over ``width``."""

    middle: float
    width: float

    def __call__(self, values: Scores) -> Scores:
        odds = np.clip((values - self.middle) / self.width, -50, 50)
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Relevance is the product of two curves, both over cosines less the prior of the query's nearest pictures."""

    answered: Curve
    """From the mean of the nearest pictures to whether anything answers."""
    image: Curve
    """From one picture to whether it answers, if anything does."""

    @classmethod
    def of(cls, numbers: Iterable[Sequence[float]]) -> Calibration:
        """Return what `numbers` of another one gave."""
        answered, image = (Curve(middle, width) for middle, width in numbers)
        return cls(answered, image)

    def numbers(self) -> list[tuple[float, float]]:
        """Return what it can be written to a file as."""
        return [(curve.middle, curve.width) for curve in (self.answered, self.image)]

    def judge(self, similarity: Scores, prior: float, *, library: int) -> Judge:
        """Return what turns cosines to one text into relevance.

        ``similarity``: those of all candidates; ``prior``: of the nearest of them; ``library``: how many images there
        are to answer.
        """
        answered = self.answered(np.array([_best(similarity[None], library)[0] - prior], np.float32))
        return lambda cosines: np.asarray(answered * self.image(cosines - np.float32(prior)), dtype=np.float32)


def answers_among(library: int) -> int:
    """Return how many of the nearest pictures say whether anything answers."""
    return int(np.clip(round(library / 90), 1, ANSWERS))


def nearest_among(library: int) -> int:
    """Return how many of the nearest pictures a query's prior is the mean of."""
    return int(np.clip(round(library / 30), 3, NEAREST))


def priors(vectors: Matrix, labels: Matrix) -> Scores:
    """Return the mean cosine of each picture to its best labels."""
    cosines = products(vectors, labels)
    count = min(BEST_LABELS, cosines.shape[1])
    return np.asarray(np.partition(cosines, cosines.shape[1] - count, axis=1)[:, -count:].mean(axis=1), np.float32)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a calibration is fitted on, as parallel arrays: one text a place, each said of one picture."""

    best: Scores
    """Mean cosine of the nearest pictures, less the prior of those."""
    own: Scores
    """Cosine of the picture that it was said of, less the same."""
    shown: NDArray[np.bool_]
    """Whether that picture is among the first ten."""

    def __add__(self, other: Observed) -> Observed:
        return Observed(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__slots__))

    def take(self, places: NDArray[np.integer[Any] | np.bool_]) -> Observed:
        return Observed(*(getattr(self, name)[places] for name in self.__slots__))

    def kept(self, calibration: Calibration) -> float:
        """Return the share of the pictures among the first ten that a calibration says answer."""
        relevance = calibration.answered(self.best) * calibration.image(self.own)
        return float(np.mean(relevance[self.shown] >= HALF)) if self.shown.any() else 0.0


def observed(similarity: Matrix, own: NDArray[np.intp], prior: Scores) -> Observed:
    """Return what there is to see of texts in a library.

    ``similarity``: their cosines to its pictures, which they were not fitted on, shape (texts, pictures); ``own``: the
    picture that each text is of; ``prior``: of each picture, as `priors` returns it.
    """
    library = similarity.shape[1]
    count = min(nearest_among(library), library)
    nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    of_query = prior[nearest].mean(axis=1)
    right = similarity[np.arange(len(own)), own]
    shown = (similarity > right[:, None]).sum(axis=1) < SHOWN
    return Observed(_best(similarity, library) - of_query, right - of_query, shown)


def fitted(seen: Observed) -> Calibration:
    """Return the calibration that keeps `KEPT` of the true answers that are among the first ten."""
    best, own = seen.best[seen.shown], seen.own[seen.shown]
    # What both curves lose must not be more than what one may; at one width below the least value none is lost.
    ways = [(lost, 0.0) for lost in np.linspace(1 - KEPT, 0.0, 51)] + [
        (0.0, below) for below in np.linspace(0.1, 1, 10)
    ]
    for lost, below in ways:
        calibration = Calibration(_through(best, float(lost), below), _through(own, float(lost), below))
        if seen.kept(calibration) >= KEPT:
            break
    return calibration


def _through(values: Scores, lost: float, below: float) -> Curve:
    """Return the curve with one half where that share of the values is lost, or so many widths below."""
    middle = float(np.quantile(values, lost))
    odds = np.log(MEDIAN_RELEVANCE / (1 - MEDIAN_RELEVANCE))
    width = max(float(np.median(values)) - middle, 1e-3) / float(odds)
    return Curve(middle - below * width, width)


def _best(similarity: Matrix, library: int) -> Scores:
    count = min(answers_among(library), similarity.shape[1])
    return np.asarray(
        np.partition(similarity, similarity.shape[1] - count, axis=1)[:, -count:].mean(axis=1), np.float32
    )
