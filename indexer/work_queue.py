"""What there is to do, passed between processes: by a file beside the catalogue, or by Redis between machines.

A message says what is to be done and is gone once it is taken, whoever then dies. So none is the only sign of work: an
upload's is the job in the catalogue.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huey.storage import BaseStorage, PriorityRedisStorage, SqliteStorage

from search.config import Config
from search.errors import ConfigError, Unavailable

FILE = "queue.sqlite"
UPLOADS = "uploads"
"""The kind of message that says: there are items to claim in the catalogue."""
FIRST = 10
"""The priority of what someone waits for."""
WAIT_S = 0.1
"""So often the file is looked at; Redis tells by itself."""

Message = dict[str, Any]


class WorkQueue:
    """The queue of one library. Safe for threads and processes."""

    def __init__(self, storage: BaseStorage, *, waits: bool) -> None:
        self._storage = storage
        self.waits = waits
        """Whether `take` waits a moment for a message by itself."""

    def put(self, message: Message, *, priority: int = 0) -> None:
        """Add a message. Raises Unavailable."""
        with _translated():
            self._storage.enqueue(json.dumps(message).encode(), priority=priority)

    def take(self) -> Message | None:
        """Return the most urgent message, which is this caller's alone, or None. Raises Unavailable."""
        with _translated():
            data = self._storage.dequeue()
        return None if data is None else json.loads(bytes(data))

    def size(self) -> int:
        with _translated():
            return int(self._storage.queue_size())

    def close(self) -> None:
        self._storage.close()


def open_queue(config: Config) -> WorkQueue:
    """Return the queue of a library. Raises ConfigError for an address that is none, Unavailable without its folder."""
    url = config.redis_url.get_secret_value()
    if url:
        try:
            storage = PriorityRedisStorage(name=queue_name(config), url=url, read_timeout=1)
        except Exception as error:
            raise ConfigError(f"the queue's server cannot be used: {error}") from error
        return WorkQueue(storage, waits=True)
    with _translated():
        path = Path(config.data) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        return WorkQueue(SqliteStorage(name="snapseek", filename=str(path), timeout=30), waits=False)


def queue_name(config: Config) -> str:
    """Return what tells the queues of libraries apart on one server: the same on every machine that has a library."""
    library = config.opensearch_prefix if config.is_in_cluster else str(Path(config.data).absolute())
    return f"snapseek{hashlib.sha256(library.encode()).hexdigest()[:16]}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"the queue cannot be used: {error}") from error
    except Exception as error:
        if type(error).__module__.startswith("redis"):
            raise Unavailable(f"the queue's server is away: {error}") from error
        raise
