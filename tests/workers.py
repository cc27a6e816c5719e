"""Workers in threads of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from indexer.worker import work
from search.config import Config


@contextmanager
def working(config: Config, count: int = 1) -> Iterator[None]:
    """Have workers of a library in threads of their own."""
    stopping = threading.Event()
    threads = [threading.Thread(target=work, args=(config, stopping)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
