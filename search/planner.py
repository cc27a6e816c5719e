"""Choose how a query is answered. One place, so that the answer's `plan` and what was done are the same."""

from __future__ import annotations

from dataclasses import dataclass
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

    A scan never loses any, so it is taken up to ``exact_limit``, as far as the tag store can name the images:
    ``cheap_matches``.
    """
    if not has_vector:
        return Route.KEYWORD
    if cheap_matches is not None and allowed > cheap_matches:
        return Route.POSTFILTER
    return Route.SCAN if allowed <= exact_limit else Route.ANN


class Lookup(StrEnum):
    """How the vector index finds the nearest of the rows that a filter lets through."""

    EXACT = "exact"
    """The cosine of each of them."""
    GATHER = "gather"
    """Their codes looked up one by one, the best compared exactly."""
    CELLS = "cells"
    """The codes of the nearest cells scanned where they lie, the best compared exactly."""


@dataclass(frozen=True, slots=True)
class Task:
    """What there is to look up, in numbers of rows."""

    allowed: int
    scanned: float
    """In the cells to look through, or in none yet."""
    all: bool
    """Whether every row is allowed, so no filter has to be told to the scan of the cells."""
    share: float = 1.0
    """Of all rows, how many are allowed."""

    @property
    def estimated(self) -> float:
        """How many codes are compared with the query in the cells: those of allowed rows."""
        return self.scanned if self.all else self.scanned * self.share


@dataclass(frozen=True, slots=True)
class Costs:
    """What the ways to look up vectors take of the processor, in microseconds: of a query, and of each row it touches.

    `make bench` measures them; docs/adr/0013 has the figures.
    """

    exact: float
    exact_row: float
    gather: float
    gather_row: float
    cells: float
    cells_row: float
    """Of each code that is compared in the cells."""
    mask_row: float
    """Of each allowed row, where a filter has to be told to the scan."""
    test_row: float
    """Of each row in the cells, where there is a filter that has to be asked."""

    def of(self, lookup: Lookup, task: Task) -> float:
        """Return what a lookup takes."""
        if lookup is Lookup.EXACT:
            return self.exact + self.exact_row * task.allowed
        if lookup is Lookup.GATHER:
            return self.gather + self.gather_row * task.allowed
        scan = self.cells + self.cells_row * task.estimated
        return scan if task.all else scan + self.mask_row * task.allowed + self.test_row * task.scanned


# Fitted by `make bench` (tests/bench/vectors_costs.py --write), on two cores:
COSTS = Costs(
    exact=99.9,
    exact_row=0.282,
    gather=726,
    gather_row=0.0443,
    cells=3.06e03,
    cells_row=0.0077,
    mask_row=6.26e-05,
    test_row=0.00648,
)


def cheapest(task: Task, costs: Costs = COSTS) -> Lookup:
    """Return the lookup that takes least, where there are codes; all of them find what there is."""
    return min(Lookup, key=lambda one: costs.of(one, task))
