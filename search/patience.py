"""Wait for a server that is away, and go on when it is back."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from search.errors import Unavailable

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0

Answer = TypeVar("Answer")


def patiently(function: Callable[[], Answer], *, wait_s: float) -> Answer:
    """Return what a function returns, which is called again as long as it raises Unavailable: ``wait_s`` at most.

    The pauses grow, and are random in part, so that those who were turned away do not return together.
    """
    deadline = time.monotonic() + wait_s
    pause = FIRST_PAUSE_S
    while True:
        try:
            return function()
        except Unavailable as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            log.warning("waiting for OpenSearch: %s", error)
            time.sleep(min(left, random.uniform(pause / 2, pause)))  # noqa: S311 (no secret)
            pause = min(2 * pause, LONGEST_PAUSE_S)
