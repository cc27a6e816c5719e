"""What persons did with images, as it is kept: of each person one list, one entry for each image and kind. Pure.

A like and a hide are what a person said: they hold until they are taken back. A view is what a person did: it is
forgotten when it is old. All of it is bounded, and goes with one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from search.errors import InvalidQuery
from search.types import ImageId

MOST_KEPT = 1_000
"""Entries of one person. Beyond, the oldest views go first, then what was said longest ago."""
MOST_PERSONS = 5_000
"""Of one library. Beyond, who did nothing for the longest time is forgotten."""
LOCAL = "local"
"""Who gives users their names where no API key does."""
LONGEST_NAME = 100
"""Characters of what a person is called."""


class EventType(StrEnum):
    VIEW = "view"
    LIKE = "like"
    UNLIKE = "unlike"
    """Takes a like or a hide back."""
    HIDE = "hide"


SAID = (EventType.LIKE, EventType.HIDE)


@dataclass(frozen=True, slots=True)
class Event:
    """That a person viewed, likes or hides an image: since when, for a view the last time, and how often."""

    image: ImageId
    type: EventType
    at: datetime
    times: int = 1


Kept = tuple[Event, ...]
"""What is kept of one person, the latest first."""


class Events(Protocol):
    """The events of one library. Safe for threads and processes. `tests/contract/test_events.py` runs this contract."""

    def note(self, person: str, image: ImageId, type: EventType, at: datetime, *, kept_for: timedelta) -> None:
        """Keep what a person did; views that are older than ``kept_for`` go."""
        ...

    def of(self, person: str) -> Kept: ...

    def erase(self, person: str) -> int:
        """Forget a person for good and return how many entries that were."""
        ...

    def everyone(self) -> Iterator[tuple[str, Kept]]:
        """Yield all persons with what is kept of each, in no order."""
        ...

    def restore(self, everyone: Mapping[str, Kept]) -> None:
        """Hold what another catalogue held, and nothing else."""
        ...


def expect_name(user: str) -> str:
    """Return what a person is called. Raises InvalidQuery for what nobody can be called."""
    if len(user) > LONGEST_NAME or not user.isprintable():
        raise InvalidQuery(f"a user is named by at most {LONGEST_NAME} printable characters, got {user[:40]!r}")
    return user


def person_of(owner: str, user: str) -> str:
    """Return what a user of an owner is called; the empty name is the owner. Raises InvalidQuery."""
    return f"{owner}/{expect_name('' if user == owner else user)}"


def expect_type(type: str) -> EventType:
    """Return a type by its name. Raises InvalidQuery."""
    if type not in list(EventType):
        raise InvalidQuery(f"type must be one of {', '.join(EventType)}, got {type[:40]!r}")
    return EventType(type)


def after(kept: Kept, image: ImageId, type: EventType, at: datetime, *, kept_for: timedelta) -> Kept:
    """Return what is kept of a person once something more was done.

    A like takes a hide back and the other way round; a view that comes again is one that happened more often.
    """
    at = at.astimezone(UTC).replace(microsecond=0)
    before = [one for one in kept if one.image == image]
    rest = [one for one in kept if one.image != image]
    view = next((one for one in before if one.type is EventType.VIEW), None)
    said = next((one for one in before if one.type in SAID), None)
    if type is EventType.VIEW:
        view = Event(image, type, at) if view is None else replace(view, at=at, times=view.times + 1)
    elif type is EventType.UNLIKE:
        said = None
    elif said is None or said.type is not type:
        said = Event(image, type, at)
    now = [one for one in (view, said) if one is not None]
    return _bounded([*now, *rest], at - kept_for)


def _bounded(events: Iterable[Event], oldest_view: datetime) -> Kept:
    young = [one for one in events if one.type in SAID or one.at >= oldest_view]
    young.sort(key=lambda one: (one.type in SAID, one.at), reverse=True)  # what may go first stands last
    return tuple(sorted(young[:MOST_KEPT], key=lambda one: (one.at, one.image, one.type), reverse=True))


def stance(kept: Kept, image: ImageId) -> EventType | None:
    """Return what a person said of an image: that they like it, hide it, or nothing."""
    return next((one.type for one in kept if one.image == image and one.type in SAID), None)


def to_json(kept: Kept) -> list[list[Any]]:
    return [[one.image, one.type.value, int(one.at.timestamp()), one.times] for one in kept]


def of_json(entries: Sequence[Sequence[Any]]) -> Kept:
    return tuple(
        Event(ImageId(image), EventType(type), datetime.fromtimestamp(at, UTC), times)
        for image, type, at, times in entries
    )
