"""Whether a worker lives: it holds a lock on a file as long as it does, and renews the leases of what it has taken.

On one machine the lock tells at once, however the process ended. For workers of other machines the leases do.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from search.config import Config
from search.errors import SnapseekError
from search.jobs import Jobs

log = logging.getLogger(__name__)

FOLDER = "workers"
BEAT_S = 1.0
RENEW_S = 10.0
LEASE_S = 60.0
DIED = "its worker died"


class Life:
    """The life of this worker. A context manager."""

    lease_s = LEASE_S

    def __init__(self, config: Config, jobs: Jobs, stopping: threading.Event) -> None:
        """``stopping`` is set when whoever started this process is gone."""
        self.name = f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = config.data / FOLDER
        self._jobs = jobs
        self._stopping = stopping
        self._patience_s = config.worker_timeout_s
        self._parent = os.getppid()
        self._ended = threading.Event()
        self._busy_until: float | None = None
        self._thread = threading.Thread(target=self._beat, name="liveness", daemon=True)

    def __enter__(self) -> Life:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = (self._folder / self.name).open("w", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._jobs.give_back(self.name)
        except SnapseekError:
            log.exception("what this worker had is taken over when its lease ends")
        (self._folder / self.name).unlink(missing_ok=True)
        self._file.close()

    @contextmanager
    def busy(self, pictures: int) -> Iterator[None]:
        """Be at some pictures; where that takes far too long, this process is ended, as nothing else ends a model."""
        self._busy_until = time.monotonic() + self._patience_s * pictures
        try:
            yield
        finally:
            self._busy_until = None

    def _beat(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(BEAT_S):
            if os.getppid() != self._parent:
                self._stopping.set()
            until = self._busy_until
            if until is not None and time.monotonic() > until:
                self._give_up()
            if until is not None and time.monotonic() > renewed + RENEW_S:
                renewed = time.monotonic()
                try:
                    self._jobs.renew(self.name, lease_s=self.lease_s)
                except SnapseekError as error:
                    log.warning("cannot renew what this worker has taken: %s", error)

    def _give_up(self) -> None:
        log.error("the models take longer than %g s for a picture; this worker ends", self._patience_s)
        try:
            self._jobs.give_back(self.name, reason=f"the models took longer than {self._patience_s:g} s")
        finally:
            os._exit(1)


def give_back_of_the_dead(data: Path, jobs: Jobs) -> None:
    """Let others have what dead workers had taken."""
    jobs.give_back_expired()
    for name in jobs.holders():
        if name.startswith(f"{_machine()}-") and is_dead(data, name):
            count = jobs.give_back(name, reason=DIED)
            log.warning("worker %s died at %d pictures; they are tried again", name, count)
    _forget_the_dead(data)


def _forget_the_dead(data: Path) -> None:
    for path in (data / FOLDER).glob(f"{_machine()}-*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - LEASE_S and is_dead(data, path.name):
                path.unlink(missing_ok=True)


def living(data: Path) -> int:
    """Return how many workers of this library live on this machine."""
    return sum(not is_dead(data, path.name) for path in (data / FOLDER).glob(f"{_machine()}-*"))


def is_dead(data: Path, name: str) -> bool:
    """Return whether nobody holds a worker's lock any more."""
    try:
        with (data / FOLDER / name).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _machine() -> str:
    return socket.gethostname().replace("/", "_")
