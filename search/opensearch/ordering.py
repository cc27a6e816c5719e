"""Orders of images as OpenSearch sorts, and its sort values as keys of ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search import shuffle
from search.types import Order, Place, Sort

UNDATED = 2**63 - 1
"""The key of an image without a date: after every other, and what OpenSearch puts in its place by rising dates."""
UNDATED_FALLING = -(2**63)
"""The same by falling dates."""


def sort_of(order: Order) -> list[Mapping[str, Any]]:
    if order.sort is Sort.RANDOM:
        script = shuffle.painless("ordinal", order.seed)
        first: Mapping[str, Any] = {"_script": {"type": "number", "order": "asc", "script": script}}
    else:
        first = {"number.taken": {"order": "asc" if order.sort is Sort.OLDEST else "desc", "missing": "_last"}}
    return [first, {"ordinal": "desc"}]


def key_of(order: Order, value: float) -> int:
    """Return the key of a hit from its first sort value."""
    number = int(value)
    if order.sort is not Sort.NEWEST:
        return number
    return UNDATED if number == UNDATED_FALLING else -number


def values_of(order: Order, place: Place | None) -> Sequence[Any]:
    """Return the sort values of a place, none for the beginning."""
    if place is None:
        return ()
    key = place.key
    if order.sort is Sort.NEWEST:
        key = UNDATED_FALLING if key == UNDATED else -key
    return key, place.ordinal
