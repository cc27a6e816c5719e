"""Share the work of one query between the cores that are free."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


@functools.cache
def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="vectors")


def beside(function: Callable[[], object]) -> None:
    """Do something when there is time for it. Nobody waits for it, and nobody learns what it raised."""
    _helpers().submit(function)


def in_parts(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Return ``function`` of each part, in their order.

    The caller takes one part after the other, and helpers, one for each further core, those that it has not come to
    yet. So a single query has all cores, many at once have one each, and nobody waits for a helper that is busy.
    """
    waiting = [_helpers().submit(function, part) for part in parts[1:]]
    results = [function(part) for part in parts[:1]]
    for task, part in zip(waiting, parts[1:], strict=True):
        results.append(function(part) if task.cancel() else task.result())
    return results
