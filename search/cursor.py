"""The `next` of an answer: an opaque text that says how far a query has come, good for that query only.

docs/adr/0010 says why it holds what it holds. It is no secret: whoever makes one up sees what any other query shows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from search import shuffle
from search.errors import InvalidQuery
from search.types import Ordinals, Place, Query

MAX_SEEN = 10_000
"""Images that a cursor may name; more than any of ours does."""
MAX_ORDINAL = 2**31 - 1
MAX_KEY = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Position:
    """How far the pages of a query have come."""

    seed: int = 0
    """Of the random order."""
    after: Place | None = None
    """The last image, in an order by what images are; None at the beginning."""
    seen: Ordinals = field(default_factory=lambda: np.empty(0, np.uint32))
    """In a ranking, the images that were shown last, ascending."""
    shown: int = 0
    """In a ranking, how many images were shown in all."""


def encode(query: Query, position: Position) -> str:
    """Return the cursor that continues ``query`` after ``position``."""
    after = None if position.after is None else [position.after.key, position.after.ordinal]
    head = json.dumps([_digest(query), position.seed, after, position.shown], separators=(",", ":"))
    raw = head.encode() + b"\n" + _packed(position.seen)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(query: Query) -> Position | None:
    """Return the position that ``query.cursor`` stands for, None without one. Raises InvalidQuery for other text."""
    if query.cursor is None:
        return None
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        head, _, packed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).partition(b"\n")
        digest, seed, after, shown = json.loads(head)
        position = Position(_whole(seed, shuffle.MAX_SEED), _place(after), _unpacked(packed), _whole(shown, MAX_KEY))
    except (ValueError, TypeError, zlib.error, RecursionError) as error:
        raise InvalidQuery("the cursor is not one that an answer gave as `next`") from error
    if digest != _digest(query):
        raise InvalidQuery("the cursor belongs to another query: start again without it")
    return position


def _digest(query: Query) -> str:
    """Identify what is ranked; the page size and what is counted may change from page to page."""
    ranked = replace(query, cursor=None, k=1, facets=(), facet_size=None, facet_prefix="", conjunctive=(), ranges=())
    return hashlib.sha256(repr(ranked).encode()).hexdigest()[:16]


def _place(after: Any) -> Place | None:
    if after is None:
        return None
    key, ordinal = after
    return Place(_whole(key, MAX_KEY, least=-MAX_KEY), _whole(ordinal, MAX_ORDINAL))


def _whole(number: Any, most: int, *, least: int = 0) -> int:
    if type(number) is not int or not least <= number <= most:
        raise ValueError(f"{number!r} is no whole number of {least}–{most}")
    return number


def _packed(ordinals: Ordinals) -> bytes:
    """Return ascending ordinals in about a byte each: the steps between them, all their low bytes first."""
    if not len(ordinals):
        return b""
    steps = np.diff(ordinals, prepend=np.uint32(0)).astype("<u4")
    return zlib.compress(steps.view(np.uint8).reshape(-1, 4).T.tobytes(), 9)


def _unpacked(packed: bytes) -> Ordinals:
    if not packed:
        return np.empty(0, np.uint32)
    unpacking = zlib.decompressobj()
    raw = unpacking.decompress(packed, 4 * MAX_SEEN)
    if len(raw) % 4 or not unpacking.eof:
        raise ValueError("images are cut off, or more than a cursor may name")
    steps = np.frombuffer(raw, np.uint8).reshape(4, -1).T.copy().view("<u4").ravel()
    ordinals = np.cumsum(steps, dtype=np.uint64)
    if not len(ordinals) or ordinals[-1] > MAX_ORDINAL:
        raise ValueError("no such images")
    return ordinals.astype(np.uint32)
