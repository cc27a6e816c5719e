"""The `next` of an answer: an opaque place in a ranking, good for the query that it came from only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import replace

from search.errors import InvalidQuery
from search.types import Query


def encode(query: Query, offset: int) -> str:
    """Return the cursor that continues ``query`` at ``offset``."""
    return base64.urlsafe_b64encode(json.dumps([offset, _digest(query)]).encode()).decode().rstrip("=")


def decode(query: Query) -> int:
    """Return the offset that ``query.cursor`` stands for, 0 without one. Raises InvalidQuery for any other text."""
    if query.cursor is None:
        return 0
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        offset, digest = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise InvalidQuery("the cursor is not one that an answer gave as `next`") from error
    if type(offset) is not int or offset < 0 or digest != _digest(query):
        raise InvalidQuery("the cursor belongs to another query: start again without it")
    return offset


def _digest(query: Query) -> str:
    """Identify what is ranked; the page size and the facets may change from page to page."""
    ranked = replace(query, cursor=None, k=1, facets=())
    return hashlib.sha256(repr(ranked).encode()).hexdigest()[:16]
