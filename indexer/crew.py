"""Worker processes that are started together: one that dies is replaced, and what it died at is tried again."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from types import TracebackType

from indexer.stopping import told_to_stop
from search import logs
from search.config import Config

log = logging.getLogger(__name__)

WATCH_S = 0.2
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
GRACE_S = 30.0
"""So long a worker may take to finish what it is at when it is told to stop."""


class Crew:
    """Workers of one library. A context manager; they stop when it ends, or when this process is gone."""

    def __init__(self, config: Config, count: int) -> None:
        self._config = config
        self._count = count
        self._stopping = threading.Event()
        # Not fork: this process may run a server's threads, whose locks a forked child would inherit.
        self._context = multiprocessing.get_context("spawn")
        self._threads = [
            threading.Thread(target=self._keep_one, name=f"worker {number}", daemon=True) for number in range(count)
        ]

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _keep_one(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            process = self._context.Process(target=_be_a_worker, args=(self._config,), name="snapseek worker")
            process.start()
            began = time.monotonic()
            while process.is_alive() and not self._stopping.wait(WATCH_S):
                pass
            if self._stopping.is_set():
                _end(process)
                return
            pause = FIRST_PAUSE_S if time.monotonic() - began > 60 else min(2 * pause, LONGEST_PAUSE_S)
            log.warning("a worker ended (%s); another one starts in %.0f s", _how(process), pause)
            self._stopping.wait(pause)


def _end(process: BaseProcess) -> None:
    process.terminate()  # it finishes what it is at
    process.join(GRACE_S)
    if process.is_alive():
        process.kill()
        process.join()


def _how(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _be_a_worker(config: Config) -> None:
    from indexer.worker import work

    logs.set_up(config)
    with told_to_stop() as stopping:  # a terminal's Ctrl-C goes to all: each finishes what it is at
        work(config, stopping)
