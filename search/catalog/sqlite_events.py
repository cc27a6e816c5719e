"""Events in the catalogue's file: all of a person in one row. They are no change of the library."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from search.catalog.sqlite_tables import SqliteTables
from search.recommend.events import MOST_PERSONS, EventType, Kept, after, of_json, to_json
from search.types import ImageId

CHUNK = 100
"""Persons that are read together."""


class SqliteEvents(SqliteTables):
    """Satisfies `search.recommend.events.Events`."""

    def note(self, person: str, image: ImageId, type: EventType, at: datetime, *, kept_for: timedelta) -> None:
        with self._transaction() as connection:
            kept = after(self.of(person), image, type, at, kept_for=kept_for)
            _write(connection, person, kept)

    def of(self, person: str) -> Kept:
        found = self._rows("SELECT events FROM person WHERE name = ?", person)
        return of_json(json.loads(found[0][0])) if found else ()

    def erase(self, person: str) -> int:
        with self._transaction() as connection:
            count = len(self.of(person))
            connection.execute("DELETE FROM person WHERE name = ?", (person,))
        return count

    def everyone(self) -> Iterator[tuple[str, Kept]]:
        last = ""
        sql = "SELECT name, events FROM person WHERE name > ? ORDER BY name LIMIT ?"
        while found := self._rows(sql, last, CHUNK):
            for name, events in found:
                yield name, of_json(json.loads(events))
            last = found[-1][0]

    def restore(self, everyone: Mapping[str, Kept]) -> None:
        with self._transaction() as connection:
            restore_events(connection, everyone)


def restore_events(connection: sqlite3.Connection, everyone: Mapping[str, Kept]) -> None:
    """Do what `Events.restore` does inside a transaction."""
    connection.execute("DELETE FROM person")
    for person, kept in everyone.items():
        _write(connection, person, kept)


def _write(connection: sqlite3.Connection, person: str, kept: Kept) -> None:
    """Write what is kept of a person; where they are one too many, who did nothing for the longest time goes."""
    if not kept:
        connection.execute("DELETE FROM person WHERE name = ?", (person,))
        return
    row = person, json.dumps(to_json(kept), separators=(",", ":")), kept[0].at.timestamp()
    connection.execute("INSERT OR REPLACE INTO person VALUES (?, ?, ?)", row)
    connection.execute(
        "DELETE FROM person WHERE name IN (SELECT name FROM person ORDER BY changed_at DESC, name LIMIT -1 OFFSET ?)",
        (MOST_PERSONS,),
    )
