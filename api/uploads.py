"""Pictures that someone searches by, remembered for some minutes as vectors; the pictures themselves are not kept."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from search.engine import Picture

LIFETIME_S = 15 * 60
MOST = 1_000


class RecentPictures:
    """Maps random tokens to what was uploaded; the oldest go first when there are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Picture]] = OrderedDict()

    def keep(self, picture: Picture) -> str:
        """Return a token that stands for the picture for a quarter of an hour."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[token] = self._clock() + LIFETIME_S, picture
            while len(self._kept) > MOST or next(iter(self._kept.values()))[0] < self._clock():
                self._kept.popitem(last=False)
        return token

    def get(self, token: str) -> Picture | None:
        with self._lock:
            until, picture = self._kept.get(token, (0.0, None))
        return picture if until >= self._clock() else None
