"""Choose how a query is answered. One place, so that the answer's `plan` and what was done are the same."""

from __future__ import annotations

from enum import StrEnum


class Route(StrEnum):
    """The names that a response's plan carries."""

    SCAN = "prefilter-scan"
    """Filter first, then the exact cosine of every allowed image: complete, so totals and counts are exact."""
    ANN = "ann"
    """The approximate index over the allowed images, rescored exactly: the best candidates only."""
    POSTFILTER = "ann-postfilter"
    """The approximate index over all images, and the filter asked which of the nearest it lets through, wider and
    wider until there are enough: for a filter that lets through more images than its store can name at little cost."""
    KEYWORD = "keyword-only"
    """Words or filters alone; no vector is compared."""
    CLUSTER = "opensearch"
    """The cluster compares vectors, words and tags itself."""


ANN_CANDIDATES = 1000
"""How many candidates the approximate routes take: what a person may page through, and what their facets count."""


def choose(*, allowed: int, has_vector: bool, exact_limit: int, cheap_matches: int | None) -> Route:
    """Return the route for a query whose filter lets ``allowed`` images through.

    A scan costs about a microsecond for three images and never loses any, so it is taken up to ``exact_limit``, as
    far as the tag store can name the images: ``cheap_matches``.
    """
    if not has_vector:
        return Route.KEYWORD
    if cheap_matches is not None and allowed > cheap_matches:
        return Route.POSTFILTER
    return Route.SCAN if allowed <= exact_limit else Route.ANN
