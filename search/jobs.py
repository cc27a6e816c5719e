"""Pictures that wait to be indexed: what was sent together is a job, each picture of it an item.

Jobs are part of the catalogue, so they outlive every process. An item that a worker takes is its own until a lease
ends; a worker that lives renews it. What a dead worker had is taken by the next one, by itself and not beside others,
so that a picture that kills its worker is found out; after `MOST_TRIES` it is set aside with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from search.errors import QueueFull
from search.types import ImageId, Rejected

MOST_TRIES = 4
"""So often a picture may take its worker down with it, or be there when another one does."""
KEPT_JOBS = 1_000
"""Ended jobs that are remembered; older ones are forgotten."""


class ItemState(StrEnum):
    """Where a picture is: the first two are still to be done."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    KNOWN = "known"
    """It was in the library already."""
    REJECTED = "rejected"


OPEN = (ItemState.QUEUED, ItemState.RUNNING)


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Ended, and not one of its pictures is in the library."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a job. ``path`` is that of its file below the folder of uploads; none where it was refused."""

    name: str
    id: ImageId
    path: str = ""
    state: ItemState = ItemState.QUEUED
    reason: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ItemKey:
    """Which picture of which job."""

    job: str
    number: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that a worker has taken."""

    key: ItemKey
    item: Item


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item."""

    state: ItemState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What was sent together. ``sender`` is whoever sent it, as the server calls them; empty where nobody is asked."""

    id: str
    created_at: datetime
    sender: str = ""
    finished_at: datetime | None = None
    items: Sequence[Item] = field(default_factory=tuple)
    """Of a list of jobs, those alone that were rejected: see ``counts``."""
    counts: Mapping[ItemState, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """How many of its pictures are in the library."""
        return self.counts.get(ItemState.DONE, 0) + self.counts.get(ItemState.KNOWN, 0)

    @property
    def state(self) -> JobState:
        if not any(self.counts.get(state) for state in OPEN):
            return JobState.DONE if self.done else JobState.FAILED
        begun = self.counts.get(ItemState.RUNNING, 0) or self.counts.get(ItemState.DONE, 0)
        return JobState.RUNNING if begun else JobState.QUEUED

    @property
    def rejected(self) -> list[Rejected]:
        return [Rejected(item.name, item.reason or "") for item in self.items if item.state is ItemState.REJECTED]


class Jobs(Protocol):
    """The jobs of one library. Safe for threads and processes. `tests/contract/test_jobs.py` runs this contract."""

    def add(self, job: Job, *, most_open: int) -> None:
        """Keep a job, for good when this returns. Raises QueueFull where more pictures than allowed would wait."""
        ...

    def get(self, id: str) -> Job:
        """Return a job with all its items. Raises NotFound."""
        ...

    def latest(self, limit: int, *, sender: str | None = None) -> list[Job]:
        """Return jobs, the newest first; those of one sender or of all."""
        ...

    def open_items(self) -> int:
        """Return how many pictures are still to be done."""
        ...

    def open_counts(self) -> dict[ItemState, int]:
        """Return how many pictures wait, and how many workers are at."""
        ...

    def claim(self, worker: str, most: int, *, lease_s: float) -> list[Claimed]:
        """Take up to so many items, none of a picture that another worker is at; one alone that was tried before."""
        ...

    def renew(self, worker: str, *, lease_s: float) -> None:
        """Keep what a worker has for longer."""
        ...

    def finish(self, worker: str, outcomes: Mapping[ItemKey, Outcome]) -> None:
        """Note what became of items; passed over are those that the worker has lost meanwhile."""
        ...

    def give_back(self, worker: str, *, reason: str | None = None) -> int:
        """Let others have what a worker holds, and return how many items that were.

        With a ``reason`` the worker died at them, and what was tried too often is rejected with it; without one they
        were not tried at all.
        """
        ...

    def give_back_expired(self) -> int:
        """Do so for all whose lease has ended: nobody knows what became of their workers."""
        ...

    def holders(self) -> set[str]:
        """Return the workers that have taken something."""
        ...

    def paths(self) -> set[str]:
        """Return the files that items still to be done need."""
        ...

    def cancel(self, id: ImageId) -> None:
        """Take a picture out of all jobs: somebody deleted the image."""
        ...


def expect_room(waiting: int, new: int, most_open: int) -> None:
    """Raise QueueFull where so many new pictures must not wait beside those that do."""
    if new and waiting + new > most_open:
        raise QueueFull(f"{waiting} pictures wait to be indexed, and at most {most_open} may: send them later")


def set_aside(tries: int, reason: str) -> Outcome:
    """Return what becomes of an item whose worker died for the so-manieth time."""
    if tries < MOST_TRIES:
        return Outcome(ItemState.QUEUED)
    return Outcome(ItemState.REJECTED, f"set aside after {tries} tries: {reason}")


EXPIRED = "its worker was not heard of any more"
CANCELLED = "the image was taken out of the library meanwhile"
