"""The crowd is made in the background: requests wait for it a moment at most, and who was erased is in none."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from helpers import image_id

from search.errors import Unavailable
from search.recommend import keeper as keepers
from search.recommend.events import Event, EventType, Kept
from search.recommend.keeper import CrowdKeeper


class Told:
    """Satisfies `Events` as far as a keeper reads it; waits for a gate before it answers."""

    def __init__(self) -> None:
        self.persons: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        self.is_away = False

    def everyone(self) -> Iterator[tuple[str, Kept]]:
        now = list(self.persons)
        self.asked.set()
        self.gate.wait()
        if self.is_away:
            raise Unavailable("away")
        yield from ((person, (Event(image_id(1), EventType.LIKE, datetime.now(UTC)),)) for person in now)


@pytest.fixture(autouse=True)
def without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "REST", 0)
    monkeypatch.setattr(keepers, "WAIT_S", 5.0)


def busy(monkeypatch: pytest.MonkeyPatch) -> tuple[Told, CrowdKeeper]:
    """Return the events of one person that are not told yet, and a keeper that hardly waits for them."""
    monkeypatch.setattr(keepers, "WAIT_S", 0.05)
    events = Told()
    events.persons.append("ann")
    events.gate.clear()
    return events, CrowdKeeper(events)  # type: ignore[arg-type]


def test_what_came_in_counts_with_the_next_request_and_nothing_is_made_twice() -> None:
    events = Told()
    keeper = CrowdKeeper(events)  # type: ignore[arg-type]
    first = keeper.current()
    assert first.persons == 0
    assert keeper.current() is first
    events.persons.append("ann")
    assert keeper.current() is first, "nobody has told"
    keeper.note()
    assert keeper.current().persons == 1


def test_a_request_does_not_wait_for_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    events, keeper = busy(monkeypatch)
    started = time.monotonic()
    assert keeper.current().persons == 0
    assert time.monotonic() - started < 5
    events.gate.set()
    keeper.close()
    assert keeper.current().persons == 1


def test_who_is_erased_while_it_is_made_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    events, keeper = busy(monkeypatch)
    keeper.current()
    assert events.asked.wait(10)
    events.persons.clear()
    keeper.forget()
    events.gate.set()
    keeper.close()
    monkeypatch.setattr(keepers, "WAIT_S", 5.0)
    assert keeper.current().persons == 0


def test_a_server_that_is_away_leaves_what_was_there() -> None:
    events = Told()
    events.persons.append("ann")
    keeper = CrowdKeeper(events)  # type: ignore[arg-type]
    assert keeper.current().persons == 1
    events.is_away = True
    keeper.note()
    assert keeper.current().persons == 1
    keeper.close()
    events.is_away = False
    events.persons.append("bob")
    keeper.note()
    assert keeper.current().persons == 2
