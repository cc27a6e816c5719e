"""How good a ranking is, and how sure that is: metrics of one question, bootstrap intervals, paired tests. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", bound=Hashable)
Numbers = Sequence[float] | NDArray[np.float64]
Groups = Sequence[Hashable]

LEVEL = 0.95
RESAMPLES = 2_000
SEED = 0


# One question


def recall_at(ranked: Sequence[Item], relevant: Collection[Item], k: int) -> float:
    """Return the share of the relevant items that are among the first ``k``. Raises ValueError if there are none."""
    return len(_right(ranked, relevant, k)) / len(relevant)


def precision_at(ranked: Sequence[Item], relevant: Collection[Item], k: int) -> float:
    """Return the share of the first ``k`` places that hold a relevant item; places left empty count as wrong."""
    return len(_right(ranked, relevant, k)) / k


def reciprocal_rank(ranked: Sequence[Item], relevant: Collection[Item]) -> float:
    """Return 1 / rank of the first relevant item, 0 where there is none in the list."""
    wanted = _wanted(relevant)
    return next((1 / rank for rank, item in enumerate(ranked, 1) if item in wanted), 0.0)


def ndcg_at(ranked: Sequence[Item], gains: Mapping[Item, float], k: int) -> float:
    """Return the gain of the first ``k``, each divided by log2(1 + rank), as a share of that of the best order.

    Järvelin and Kekäläinen, ACM TOIS 2002, with linear gains.

    >>> round(ndcg_at(["b", "a"], {"a": 1.0}, 10), 3)
    0.631
    """
    best = sorted(gains.values(), reverse=True)[:k]
    ideal = sum(gain / math.log2(1 + rank) for rank, gain in enumerate(best, 1))
    if not ideal > 0:
        raise ValueError("a question without a relevant item has no nDCG")
    seen = dict.fromkeys(ranked[:k])
    return sum(gains.get(item, 0.0) / math.log2(1 + rank) for rank, item in enumerate(seen, 1)) / ideal


def _right(ranked: Sequence[Item], relevant: Collection[Item], k: int) -> frozenset[Item]:
    return _wanted(relevant).intersection(ranked[:k])


def _wanted(relevant: Collection[Item]) -> frozenset[Item]:
    if not relevant:
        raise ValueError("a question without a relevant item has no such figure")
    return frozenset(relevant)


# Many questions


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over many questions, with the ends of its 95 % interval. ``count``: how much it is the mean of."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one system is ahead of another on the same questions. ``p``: how often chance alone makes as much."""

    value: float
    low: float
    high: float
    p: float


def mean(values: Numbers, groups: Groups | None = None) -> Estimate:
    """Return the mean with its bootstrap interval. Raises ValueError for no values.

    ``groups`` names, for each value, what it is about: five captions of one photo are no five independent questions,
    so whole groups are drawn (cluster bootstrap).
    """
    return ratio(values, np.ones(len(values)), groups)


def ratio(parts: Numbers, wholes: Numbers, groups: Groups | None = None) -> Estimate:
    """Return sum(parts) / sum(wholes), as for a precision over many pictures, with its bootstrap interval.

    Percentile bootstrap (Efron and Tibshirani 1993), seeded: the same values give the same interval. Where every group
    has all, or none, of its wholes, drawing again shows no doubt, and the bound is the exact binomial one over groups.
    Raises ValueError where there are no wholes.
    """
    upper, lower = np.asarray(parts, float), np.asarray(wholes, float)
    total = lower.sum()
    if not total > 0:
        raise ValueError("there is nothing to measure")
    value = float(upper.sum() / total)
    ours, theirs = _by_group(upper, groups), _by_group(lower, groups)
    ours, theirs = ours[theirs > 0], theirs[theirs > 0]
    if value in (0.0, 1.0) and upper.min() >= 0:
        doubt = 1 - ((1 - LEVEL) / 2) ** (1 / len(theirs))
        low, high = (0.0, doubt) if value == 0 else (1 - doubt, 1.0)
        return Estimate(value, low, high, round(total))
    drawn = _draws(len(theirs))
    sums = drawn @ theirs
    low, high = _ends((drawn @ ours)[sums > 0] / sums[sums > 0])
    return Estimate(value, low, high, round(total))


def paired(ours: Numbers, theirs: Numbers, groups: Groups | None = None) -> Difference:
    """Return how far the mean of ``ours`` is ahead of that of ``theirs``, question by question.

    The interval is a bootstrap; p is two-sided, of a randomisation test in which each group's differences change their
    sign together or not (Smucker, Allan and Carterette, CIKM 2007). Raises ValueError for no values.
    """
    apart = np.asarray(ours, float) - np.asarray(theirs, float)
    if not len(apart):
        raise ValueError("there is nothing to measure")
    sums, counts = _by_group(apart, groups), _by_group(np.ones(len(apart)), groups)
    drawn = _draws(len(sums))
    low, high = _ends((drawn @ sums) / (drawn @ counts))
    signs = np.random.default_rng(SEED).integers(0, 2, (RESAMPLES, len(sums))) * 2 - 1
    by_chance = np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9
    p = (1 + int(by_chance.sum())) / (1 + RESAMPLES)
    return Difference(float(apart.mean()), low, high, p)


def percentile(values: Numbers, share: float) -> Estimate:
    """Return the value that ``share`` (0–1) of the values do not exceed, with its bootstrap interval."""
    given = np.asarray(values, float)
    if not len(given):
        raise ValueError("there is nothing to measure")
    picked = np.random.default_rng(SEED).integers(0, len(given), (RESAMPLES, len(given)))
    low, high = _ends(np.quantile(given[picked], share, axis=1))
    return Estimate(float(np.quantile(given, share)), low, high, len(given))


def _by_group(values: NDArray[np.float64], groups: Groups | None) -> NDArray[np.float64]:
    if groups is None:
        return values
    if len(groups) != len(values):
        raise ValueError(f"each value needs a group, got {len(groups)} for {len(values)}")
    place = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    places = [place[group] for group in groups]
    return np.bincount(places, weights=values, minlength=len(place)).astype(np.float64)


def _draws(count: int) -> NDArray[np.float64]:
    """Return how often each of ``count`` groups is drawn in each resample."""
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return drawn.astype(np.float64)


def _ends(resampled: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
