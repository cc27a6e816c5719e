"""What a query may ask for. Checked once, in the engine, so that every door has the same bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.errors import InvalidQuery
from search.facets import check_ranges, facet_named
from search.shuffle import MAX_SEED
from search.types import Query

MAX_K = 200
MAX_TEXT = 1_000
"""Characters of a text; models read the first 77 or 128 tokens of it."""
MAX_PARTS = 16
"""Texts, or pictures, in one query."""
MAX_WEIGHT = 100.0
FACET_VALUES = 30
"""Values listed for a facet if nothing else is said; selected ones are always listed."""
MAX_FACET_VALUES = 1_000
MAX_PREFIX = 100
"""Characters."""
KEYWORD_HITS = 1_000


def check(query: Query) -> None:
    """Raise InvalidQuery, with the value and what is allowed, for a query that is out of bounds."""
    if not 1 <= query.k <= MAX_K:
        raise InvalidQuery(f"k must be 1–{MAX_K}, got {query.k}")
    for texts in (query.texts, query.not_texts):
        check_parts("texts", len(texts))
        for text in texts:
            check_text(text)
    check_parts("images", len(query.images) + len(query.not_images) + len(query.not_vectors))
    for name in ("text", "image", "keyword"):
        weight = getattr(query.weights, name)
        if not (math.isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
            raise InvalidQuery(f"the weight of {name} must be 0–{MAX_WEIGHT:g}, got {weight}")
    for vector in (*query.not_vectors, *([] if query.vector is None else [query.vector])):
        check_vector(vector)
    for name in (*query.facets, *query.conjunctive):
        facet_named(name)
    check_ranges(query.ranges)
    check_listed(FACET_VALUES if query.facet_size is None else query.facet_size, query.facet_prefix)
    if query.seed is not None and not 0 <= query.seed <= MAX_SEED:
        raise InvalidQuery(f"the seed must be 0–{MAX_SEED:,}, got {query.seed}")
    if query.cutoff not in ("auto", "none") and not (
        isinstance(query.cutoff, int | float) and math.isfinite(query.cutoff) and 0 <= query.cutoff <= 1
    ):
        raise InvalidQuery(f"cutoff must be auto, none or a relevance of 0–1, got {query.cutoff!r}")


def check_vector(vector: Sequence[float]) -> None:
    if not (all(map(math.isfinite, vector)) and any(vector)):
        raise InvalidQuery("the vector must have finite numbers, not all of them zero")


def check_listed(facet_size: int, prefix: str) -> None:
    if not 1 <= facet_size <= MAX_FACET_VALUES:
        raise InvalidQuery(f"a facet lists 1–{MAX_FACET_VALUES:,} values, got {facet_size}")
    if len(prefix) > MAX_PREFIX:
        raise InvalidQuery(f"the beginning of a value may have {MAX_PREFIX} characters, got {len(prefix)}")


def check_parts(what: str, count: int) -> None:
    if count > MAX_PARTS:
        raise InvalidQuery(f"at most {MAX_PARTS} {what} in one query, got {count}")


def check_text(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise InvalidQuery(f"a text may have {MAX_TEXT:,} characters, got {len(text):,}")
    if not text.strip():
        raise InvalidQuery("a text must not be empty")
    for position, character in enumerate(text):
        if not character.isprintable() and character not in "\t\n\r":
            raise InvalidQuery(f"a text must not hold the control character {character!r}", position=position)
