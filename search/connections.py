"""Connections to one SQLite file, one for each thread that asks: a server's threads come and go, theirs with them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from weakref import WeakSet


class Connections:
    """The connections of all threads to one file."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """``connect`` makes one that other threads may close."""
        self._connect = connect
        self._local = threading.local()
        self._guard = threading.Lock()
        self._all: WeakSet[_Held] = WeakSet()

    def get(self) -> sqlite3.Connection:
        """Return the connection of this thread. Raises sqlite3.Error as connecting does."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held(self._connect())
            with self._guard:
                self._all.add(held)
        return held.connection

    def __len__(self) -> int:
        with self._guard:
            return len(self._all)

    def close(self) -> None:
        with self._guard:
            for held in self._all:
                held.connection.close()
            self._all.clear()


class _Held:
    """A connection that is closed when its thread is gone: SQLite keeps a cache and three files open for each."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()
