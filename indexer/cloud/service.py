"""What a cloud service is to us: asked for tasks of one picture, its answers kept as it gave them, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from search.errors import Unavailable
from search.types import Tag

Raw = Any
"""What JSON can say."""


class PictureRefused(Exception):
    """The service does not take this picture, or gave no usable answer to it: others may well go.

    ``charged``: whether the request may have been paid for, and then with how many ``tokens`` in and out.
    """

    def __init__(self, message: str, *, charged: bool = False, tokens: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.charged = charged
        self.tokens = tokens


class CloudUnavailable(Unavailable):
    """The service is away, refuses the key, or lets us ask no more: every picture would fare the same.

    ``passing``: the same request may go well soon, after ``wait_s`` where the service said so. ``charged``:
    whether this one may have been paid for. ``left``: pictures of a batch that were not finished.
    """

    left = 0

    def __init__(
        self, message: str, *, passing: bool = False, charged: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.passing = passing
        self.charged = charged
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Asked:
    """What a service answered."""

    answers: Mapping[str, Raw]
    """By task."""
    tokens: tuple[int, int] | None = None
    """Of a model that is paid by tokens: what went in and what came out."""


class Service(Protocol):
    """One service with one model. Safe for threads."""

    name: str
    """As a profile names it in `library`."""
    source: str
    """Of its tags."""
    side: int
    """Long side of the pictures that are sent, in pixels."""
    least: float
    """Least confidence that is kept where a task names none."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever its answers may for reasons of ours: another model, prompt or endpoint."""
        ...

    def requests(self, tasks: Sequence[str]) -> Sequence[Sequence[str]]:
        """Return the tasks by the request that brings them."""
        ...

    def charged(self, tasks: Sequence[str]) -> Sequence[str]:
        """Return the tasks, of one request, that are paid for: others come with them."""
        ...

    def ask(self, jpeg: bytes, tasks: Sequence[str]) -> Asked:
        """Make one request for tasks of a picture, once. Raises PictureRefused, CloudUnavailable."""
        ...

    def tags(self, task: str, answer: Raw, least: float) -> list[Tag]:
        """Read the answer to a task, `captions` aside; ``least`` is the least confidence to keep."""
        ...


@runtime_checkable
class Captions(Protocol):
    """What a service that does the task `captions` can do beside."""

    def caption(self, answer: Raw, least: float) -> str:
        """Read the answer to that task."""
        ...


def seconds(headers: Mapping[str, str] | None) -> float | None:
    """Return how long an answer asks us to wait, if its Retry-After says so in seconds."""
    told = {name.lower(): value for name, value in (headers or {}).items()}.get("retry-after", "")
    try:
        return max(0.0, float(told))
    except ValueError:
        return None
