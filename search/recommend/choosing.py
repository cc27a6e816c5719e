"""From candidates to a list: one score out of three parts, places for each interest, nothing twice. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.products import products
from search.types import Matrix, Scores

CONTENT, LABELS, OTHERS = 0.45, 0.1, 0.45
"""What a score is the sum of: how near an image is to something liked, how much of the favourite labels it shares, how
much others with the same likes like it. Chosen by tests/bench/recommendations.py (docs/recommendations.md)."""
NEWS = 0.1
"""Weight of what others bring that is like nothing a person likes, beside all that is: else it would come in last."""
VARIETY = 0.2
"""How much likeness to what was chosen already takes from a score (MMR's 1 − λ)."""


def scaled(values: Scores) -> Scores:
    """Return values mapped to 0–1, the least to 0: cosines of two embedding spaces cannot be compared, places in a
    list can."""
    if not len(values):
        return values
    least, most = float(values.min()), float(values.max())
    return np.asarray((values - least) / (most - least) if most > least else np.ones_like(values), np.float32)


def allotted(weights: Sequence[float], places: int) -> list[int]:
    """Return whose turn each place is, by the weights of who takes part: Sainte-Laguë's divisors, as for parliaments.

    >>> allotted([3.0, 1.0], 4)
    [0, 0, 1, 0]
    """
    taken = [0] * len(weights)
    turns = []
    for _ in range(places if weights else 0):
        turn = max(range(len(weights)), key=lambda one: weights[one] / (2 * taken[one] + 1))
        taken[turn] += 1
        turns.append(turn)
    return turns


def chosen(
    scores: Scores, vectors: Matrix, groups: NDArray[np.intp], weights: Sequence[float], k: int, *, variety: float
) -> list[int]:
    """Return the places of up to k candidates, in the order in which they are shown.

    Each place belongs to a group (an interest) by its weight. Its best candidate takes it: by score, less ``variety``
    times its likeness to the most alike of those before it (maximal marginal relevance: Carbonell and Goldstein 1998).
    What a group cannot fill goes to the others. ``groups``: of each candidate, which of ``weights`` it belongs to.
    """
    left = np.ones(len(scores), bool)
    likeness = np.zeros(len(scores), np.float32)
    found: list[int] = []
    for turn in allotted(weights, k):
        worth = np.where(left, (1 - variety) * scores - variety * likeness, -np.inf)
        own = np.where(groups == turn, worth, -np.inf)
        best = int(np.argmax(own if np.isfinite(own).any() else worth)) if left.any() else -1
        if best < 0:
            break
        found.append(best)
        left[best] = False
        likeness = np.maximum(likeness, products(vectors[best : best + 1], vectors)[0])
    return found
