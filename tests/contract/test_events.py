"""What events promise: kept for good, of each person apart, bounded, forgotten in one call, in every catalogue."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from catalogs import an_id, write

from search.catalog import sqlite_events
from search.catalog.protocol import Catalog
from search.catalog.sqlite_catalog import SqliteCatalog
from search.opensearch import events as opensearch_events
from search.recommend.events import Event, Events, EventType

AT = datetime(2026, 5, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
LIKE, UNLIKE, VIEW, HIDE = EventType.LIKE, EventType.UNLIKE, EventType.VIEW, EventType.HIDE


def note(events: Events, person: str, number: int, type: EventType, *, hours: int = 0) -> None:
    events.note(person, an_id(number), type, AT + timedelta(hours=hours), kept_for=YEAR)


def test_what_a_person_did_is_given_back_and_erased_in_one_call(catalog: Catalog) -> None:
    events = catalog.events
    note(events, "k/Ann é/'", 1, VIEW)
    note(events, "k/Ann é/'", 1, VIEW, hours=1)
    note(events, "k/Ann é/'", 2, LIKE, hours=2)
    note(events, "k/Bob", 2, HIDE)
    assert events.of("k/Ann é/'") == (
        Event(an_id(2), LIKE, AT + timedelta(hours=2)),
        Event(an_id(1), VIEW, AT + timedelta(hours=1), 2),
    )
    assert dict(events.everyone()).keys() == {"k/Ann é/'", "k/Bob"}
    assert events.erase("k/Ann é/'") == 2
    assert (events.of("k/Ann é/'"), events.erase("k/Ann é/'")) == ((), 0)
    assert dict(events.everyone()) == {"k/Bob": (Event(an_id(2), HIDE, AT),)}


def test_who_takes_everything_back_is_nobody(catalog: Catalog) -> None:
    note(catalog.events, "Ann", 1, LIKE)
    note(catalog.events, "Ann", 1, UNLIKE)
    note(catalog.events, "Bob", 1, UNLIKE)
    assert dict(catalog.events.everyone()) == {}


def test_who_did_nothing_for_the_longest_time_is_forgotten_first(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sqlite_events, opensearch_events):
        monkeypatch.setattr(module, "MOST_PERSONS", 2)
    for hours, person in enumerate(("Ann", "Bob", "Ann", "Cy")):
        note(catalog.events, person, hours, LIKE, hours=hours)
    assert dict(catalog.events.everyone()).keys() == {"Ann", "Cy"}


def test_two_that_write_at_once_lose_nothing(catalog: Catalog) -> None:
    def like(first: int) -> None:
        for number in range(first, first + 4):
            note(catalog.events, "Ann", number, LIKE)

    threads = [threading.Thread(target=like, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(catalog.events.of("Ann")) == 12


def test_everything_is_replaced_by_what_another_catalogue_holds(catalog: Catalog) -> None:
    note(catalog.events, "Ann", 1, LIKE)
    theirs = {"Bob": (Event(an_id(2), HIDE, AT),), "Cy": (Event(an_id(3), VIEW, AT, 5),)}
    catalog.events.restore(theirs)
    assert dict(catalog.events.everyone()) == theirs


def test_events_are_no_change_of_the_library_and_outlive_its_images(catalog: Catalog) -> None:
    root = catalog.root(Path("/photos"))
    write(catalog, root, 1)
    before = catalog.version()
    note(catalog.events, "Ann", 1, LIKE)
    if isinstance(catalog, SqliteCatalog):
        assert catalog.version() == before
    catalog.remove_files(root, ["1.jpg"])
    write(catalog, root, 1, models="models-2")
    assert catalog.events.of("Ann") == (Event(an_id(1), LIKE, AT),)
    assert catalog.check() == []


def test_many_ordinals_are_found_at_once(catalog: Catalog) -> None:
    write(catalog, catalog.root(Path("/photos")), 1, 2, 3)
    wanted = [an_id(3), an_id(9), an_id(1)]
    assert catalog.find_all(wanted) == {id: catalog.find(id) for id in (an_id(1), an_id(3))}
    assert catalog.find_all([]) == {}
