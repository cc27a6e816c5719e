"""Choose how a query is answered. One place, so that the answer's `plan` and what was done are the same."""

from __future__ import annotations

from enum import StrEnum


class Route(StrEnum):
    """The names that a response's plan carries."""

    SCAN = "prefilter-scan"
    """Filter first, then the exact cosine of every allowed image: complete, so totals and counts are exact."""
    ANN = "ann"
    """The approximate index over the allowed images, rescored exactly: the best candidates only."""
    KEYWORD = "keyword-only"
    """Words or filters alone; no vector is compared."""


ANN_CANDIDATES = 1000
"""How many candidates the ANN route takes: what a person may page through, and what its facets count."""


def choose(*, allowed: int, has_vector: bool, exact_limit: int) -> Route:
    """Return the route for a query whose filter lets ``allowed`` images through.

    A scan costs about a microsecond for three images and never loses any, so it is taken up to ``exact_limit``.
    """
    if not has_vector:
        return Route.KEYWORD
    return Route.SCAN if allowed <= exact_limit else Route.ANN
