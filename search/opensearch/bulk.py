"""Writes in bulk that wait: for a cluster that is away, overloaded or out of disk, and go on when that has passed.

What was written is not sent again, but what timed out is: so every action has to be one that may be repeated. One with
a condition may then find that it does not hold any more, because of itself.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from opensearchpy.exceptions import TransportError
from opensearchpy.helpers import expand_action
from opensearchpy.serializer import JSONSerializer

from search.errors import SnapseekError, Unavailable
from search.opensearch.faults import is_passing, passes, reason, reason_of

log = logging.getLogger(__name__)

CHUNK_ACTIONS = 500
CHUNK_BYTES = 5 * 2**20
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

Item = dict[str, Any]


class Send(Protocol):
    """Send the body of a bulk request, with so many seconds left to wait for its items."""

    def __call__(self, body: str, left_s: float) -> list[Item]: ...


class WriteRefused(SnapseekError):
    """OpenSearch does not take some documents: their content or their mapping is wrong, waiting would not help."""


def chunks(actions: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Yield the actions as lines of a bulk request, so many at a time as make a fair request."""
    serializer = JSONSerializer()
    chunk: list[str] = []
    size = 0
    for action in actions:
        head, body = expand_action(dict(action))
        lines = "".join(f"{serializer.dumps(line)}\n" for line in (head, body) if line is not None)
        length = len(lines.encode())
        if chunk and (len(chunk) == CHUNK_ACTIONS or size + length > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(lines)
        size += length
    if chunk:
        yield chunk


def write(chunk: Sequence[str], send: Send, *, wait_s: float) -> list[Item]:
    """Write one chunk and return an item for each of its actions, in their order.

    Raises WriteRefused, naming the ids, or Unavailable when ``wait_s`` is over, or what ``send`` raises otherwise.
    """
    done: dict[int, Item] = {}
    left = list(range(len(chunk)))
    most = len(chunk)
    pauses = 0
    deadline = time.monotonic() + wait_s
    while left:
        some = left[:most]
        try:
            items = send("".join(chunk[place] for place in some), max(deadline - time.monotonic(), 1.0))
        except TransportError as error:
            if error.status_code == 413 and len(some) > 1:
                most = len(some) // 2  # a proxy takes no more at once
                continue
            if not passes(error):
                raise
            why = reason(error)
        else:
            _check(items)
            done.update((place, item) for place, item in zip(some, items, strict=True) if not _waits(item))
            left = [place for place in left if place not in done]
            why = next((reason_of(item["error"]) for item in items if _waits(item)), "")
        if why:
            _pause(pauses, deadline, wait_s, f"{len(left)} of {len(chunk)} documents: {why}")
            pauses += 1
    if pauses:
        log.info("writes to OpenSearch go on")
    return [done[place] for place in range(len(chunk))]


def _pause(pauses: int, deadline: float, wait_s: float, why: str) -> None:
    """Sleep for a random time, the more tries the longer: so writers that were turned away do not return together."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unavailable(f"OpenSearch took no writes for {wait_s:g} s: {why}")
    if pauses == 0:
        log.warning("writes to OpenSearch wait, for %g s at most: %s", wait_s, why)
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(pauses, 30))
    time.sleep(min(left, random.uniform(0, longest)))  # noqa: S311 (no secret)


def _waits(item: Item) -> bool:
    return "error" in item and is_passing(item["status"], item["error"]["type"])


def _check(items: Sequence[Item]) -> None:
    """Raise WriteRefused if documents were refused for good; a condition that did not hold is the caller's business."""
    refused = [item for item in items if "error" in item and not _waits(item) and not _is_conflict(item)]
    if refused:
        some = ", ".join(str(item.get("_id")) for item in refused[:5]) + (" …" if len(refused) > 5 else "")
        raise WriteRefused(
            f"OpenSearch refused {len(refused)} documents ({some}) of {refused[0]['_index']}:"
            f" {reason_of(refused[0]['error'])}"
        )


def _is_conflict(item: Item) -> bool:
    return bool(item["status"] == 409 or item["error"]["type"] == "document_missing_exception")
