"""What ingest costs by stage, and what it rejects: counted by each process, added up where /metrics is asked for."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.whole_files import write_whole

FOLDER = "metrics"
KEPT_S = 7 * 86_400.0
"""So long the counts of a process that ended are added to the others'."""
SECONDS, PICTURES, REJECTED = "seconds", "pictures", "rejected"


class Meter:
    """Counts of one process, which are in a file of their own below the library after each `keep`."""

    def __init__(self, library: Path) -> None:
        self._folder = library / FOLDER
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._counts = _none()

    def took(self, stage: str, seconds: float, pictures: int = 1) -> None:
        """Note how long a stage took with so many pictures."""
        self._counts[SECONDS][stage] += seconds  # type: ignore[assignment]  # a Counter's numbers may be any
        self._counts[PICTURES][stage] += pictures

    @contextmanager
    def timed(self, stage: str, pictures: int) -> Iterator[None]:
        """Note how long what is within takes, where there are any pictures."""
        began = time.perf_counter()
        yield
        if pictures:
            self.took(stage, time.perf_counter() - began, pictures)

    def rejected(self, error: Exception) -> None:
        """Note that a file was rejected, under the name of the error's class."""
        name = OSError.__name__ if isinstance(error, OSError) else type(error).__name__
        self._counts[REJECTED][name] += 1

    def keep(self) -> None:
        """Write the counts down. That they are lost, for a disk is full say, is no reason to stop."""
        with suppress(OSError):
            if not self._file.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                _forget_the_old(self._folder)
            write_whole(self._file, json.dumps(self._counts).encode(), mode=0o644)


def totals(library: Path) -> dict[str, Counter[str]]:
    """Return seconds and pictures by stage, and rejected files by reason, of all processes of the last days."""
    counts = _none()
    for file in (library / FOLDER).glob("*.json"):
        with suppress(OSError, ValueError):
            for what, numbers in json.loads(file.read_text(encoding="utf-8")).items():
                counts[what].update(numbers)
    return counts


def _none() -> dict[str, Counter[str]]:
    return {what: Counter() for what in (SECONDS, PICTURES, REJECTED)}


def _forget_the_old(folder: Path) -> None:
    for file in folder.iterdir():
        with suppress(OSError):  # another process may do the same
            if time.time() - file.stat().st_mtime > KEPT_S:
                file.unlink()
