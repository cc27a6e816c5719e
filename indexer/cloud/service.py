"""What a cloud service is to us: asked for tasks of one picture, its answers kept as it gave them, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from search.errors import Unavailable
from search.types import Tag

Raw = Any
"""What JSON can say."""


class PictureRefused(Exception):
    """The service does not take this picture, or gave no usable answer to it: others may well go."""


class CloudUnavailable(Unavailable):
    """The service is away, refuses the key, or lets us ask no more: every picture would fare the same."""


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

    @property
    def fingerprint(self) -> str:
        """Changes whenever its answers may for reasons of ours: another model, prompt or endpoint."""
        ...

    def charged(self, tasks: Sequence[str]) -> Sequence[str]:
        """Return the tasks, of those asked together, that are paid for: others come with them."""
        ...

    def ask(self, jpeg: bytes, tasks: Sequence[str]) -> Asked:
        """Ask for tasks of a picture, retrying what passes. Raises PictureRefused, CloudUnavailable."""
        ...

    def tags(self, task: str, answer: Raw) -> list[Tag]:
        """Read the answer to a task, `captions` aside."""
        ...

    def caption(self, answer: Raw) -> str:
        """Read the answer to the task `captions`."""
        ...
