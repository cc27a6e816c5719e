"""The crowd of a library, kept beside it: made anew in the background when events have come in."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

from search.errors import SnapseekError
from search.recommend.crowd import Crowd
from search.recommend.events import Events
from search.recommend.taste import strengths

log = logging.getLogger(__name__)

WAIT_S = 0.2
"""So long a request waits for a crowd that is being made; one that takes longer is there for the next requests."""
OLD_S = 60.0
"""After so long it is made anew whatever happened here: other processes take events as well."""
REST = 20
"""So many times as long as it took it is left as it is."""


class CrowdKeeper:
    """Safe for threads; one crowd is made at a time."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._lock = threading.Lock()
        self._crowd: Crowd | None = None
        self._made_at = -OLD_S
        self._took_s = 0.0
        self._is_dirty = True
        self._erased = 0
        self._making: threading.Thread | None = None

    def note(self) -> None:
        """Note that events came in."""
        self._is_dirty = True

    def forget(self) -> None:
        """Note that a person was erased: nothing that was learnt from them is used any more."""
        with self._lock:
            self._crowd, self._is_dirty, self._took_s = None, True, 0.0
            self._erased += 1

    def close(self) -> None:
        """Wait for a crowd that is being made: what it reads is about to be closed."""
        if self._making is not None:
            self._making.join()

    def current(self) -> Crowd:
        """Return the latest crowd; an empty one while the first is being made and that takes long."""
        with self._lock:
            making = self._making
            if making is None or not making.is_alive():
                making = None
                age = time.monotonic() - self._made_at
                if self._crowd is None or (age >= REST * self._took_s and (self._is_dirty or age >= OLD_S)):
                    making = self._making = threading.Thread(target=self._make, name="crowd", daemon=True)
                    making.start()
            is_quick = self._took_s < WAIT_S
        if making is not None and is_quick:
            making.join(WAIT_S)
        with self._lock:
            return self._crowd or Crowd({})

    def _make(self) -> None:
        self._is_dirty, erased, started = False, self._erased, time.monotonic()
        try:
            crowd = crowd_of(self._events, datetime.now(UTC))
        except SnapseekError as error:
            log.warning("what others like cannot be read: %s", error)
            return
        with self._lock:
            self._took_s = time.monotonic() - started
            self._made_at = time.monotonic()
            if self._erased == erased:
                self._crowd = crowd


def crowd_of(events: Events, now: datetime) -> Crowd:
    """Return what all persons of a library like, as of now."""
    tastes = {person: strengths(kept, now) for person, kept in events.everyone()}
    return Crowd({person: taste for person, taste in tastes.items() if taste})
