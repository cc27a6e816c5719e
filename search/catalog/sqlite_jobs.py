"""Jobs in the catalogue's file. They are no change of the library, so projections do not look at them."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from search.catalog.sqlite_tables import SqliteTables
from search.errors import NotFound
from search.jobs import (
    CANCELLED,
    EXPIRED,
    KEPT_JOBS,
    OPEN,
    Claimed,
    Item,
    ItemKey,
    ItemState,
    Job,
    Outcome,
    expect_room,
    set_aside,
)
from search.types import ImageId

_OPEN = "state IN ('queued', 'running')"  # as the partial index says it
_ITEM = "name, id, path, state, reason, tries"


class SqliteJobs(SqliteTables):
    """Satisfies `search.jobs.Jobs`."""

    def add(self, job: Job, *, most_open: int) -> None:
        connection = self._connection()
        connection.execute("PRAGMA synchronous = FULL")  # what was promised outlives a cut of the power
        try:
            with self._transaction():
                self._add(connection, job, most_open)
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")

    def _add(self, connection: sqlite3.Connection, job: Job, most_open: int) -> None:
        ((waiting,),) = connection.execute(f"SELECT count(*) FROM item WHERE {_OPEN}")
        new = sum(item.state in OPEN for item in job.items)
        expect_room(waiting, new, most_open)
        finished = None if new else job.created_at.isoformat()
        connection.execute(
            "INSERT INTO job (id, created_at, sender, finished_at) VALUES (?, ?, ?, ?)",
            (job.id, job.created_at.isoformat(), job.sender, finished),
        )
        connection.executemany(
            f"INSERT INTO item (job, number, {_ITEM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (job.id, number, item.name, item.id, item.path, item.state.value, item.reason, item.tries)
                for number, item in enumerate(job.items)
            ],
        )
        connection.execute(
            "DELETE FROM job WHERE number IN (SELECT number FROM job WHERE finished_at IS NOT NULL"
            " ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (KEPT_JOBS,),
        )

    def get(self, id: str) -> Job:
        found = self._rows("SELECT id, created_at, sender, finished_at FROM job WHERE id = ?", id)
        if not found:
            raise NotFound(f"there is no job {id}")
        items = self._rows(f"SELECT {_ITEM} FROM item WHERE job = ? ORDER BY number", id)
        return _job(found[0], [_item(row) for row in items])

    def latest(self, limit: int, *, sender: str | None = None) -> list[Job]:
        where, values = ("", []) if sender is None else ("WHERE sender = ?", [sender])
        found = self._rows(
            f"SELECT id, created_at, sender, finished_at FROM job {where} ORDER BY number DESC LIMIT ?", *values, limit
        )
        return [self._without_items(row) for row in found]

    def _without_items(self, row: Sequence[Any]) -> Job:
        counts = dict(self._rows("SELECT state, count(*) FROM item WHERE job = ? GROUP BY state", row[0]))
        rejected = self._rows(f"SELECT {_ITEM} FROM item WHERE job = ? AND state = 'rejected' ORDER BY number", row[0])
        return _job(row, [_item(one) for one in rejected], {ItemState(state): n for state, n in counts.items()})

    def open_items(self) -> int:
        return sum(self.open_counts().values())

    def open_counts(self) -> dict[ItemState, int]:
        found = self._rows(f"SELECT state, count(*) FROM item WHERE {_OPEN} GROUP BY state")
        return dict.fromkeys(OPEN, 0) | {ItemState(state): count for state, count in found}

    def claim(self, worker: str, most: int, *, lease_s: float) -> list[Claimed]:
        if not self._rows("SELECT 1 FROM item WHERE state = 'queued' LIMIT 1"):
            return []  # most looks find nothing, and must not lock out who writes
        with self._transaction() as connection:
            found = connection.execute(
                f"SELECT job, item.number, {', '.join('item.' + name for name in _ITEM.split(', '))}"
                " FROM item JOIN job ON job.id = item.job"
                " WHERE state = 'queued' AND item.id NOT IN (SELECT id FROM item WHERE state = 'running')"
                " ORDER BY tries, job.number, item.number LIMIT ?",
                (most,),
            ).fetchall()
            taken = [Claimed(ItemKey(job, number), _item(row)) for job, number, *row in found]
            taken = [one for one in taken if one.item.tries == 0] or taken[:1]
            connection.executemany(
                "UPDATE item SET state = 'running', tries = tries + 1, worker = ?, lease = ?"
                " WHERE job = ? AND number = ?",
                [(worker, time.time() + lease_s, one.key.job, one.key.number) for one in taken],
            )
        return taken

    def renew(self, worker: str, *, lease_s: float) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE item SET lease = ? WHERE worker = ? AND state = 'running'", (time.time() + lease_s, worker)
            )

    def finish(self, worker: str, outcomes: Mapping[ItemKey, Outcome]) -> None:
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE item SET state = ?, reason = ?, worker = NULL, lease = NULL"
                " WHERE job = ? AND number = ? AND worker = ? AND state = 'running'",
                [
                    (outcome.state.value, outcome.reason, key.job, key.number, worker)
                    for key, outcome in outcomes.items()
                ],
            )
            _close(connection, {key.job for key in outcomes})

    def give_back(self, worker: str, *, reason: str | None = None) -> int:
        return self._give_back("worker = ?", worker, reason)

    def give_back_expired(self) -> int:
        now = time.time()
        if not self._rows("SELECT 1 FROM item WHERE state = 'running' AND lease < ? LIMIT 1", now):
            return 0
        return self._give_back("lease < ?", now, EXPIRED)

    def _give_back(self, where: str, value: Any, reason: str | None) -> int:
        with self._transaction() as connection:
            found = connection.execute(
                f"SELECT job, number, tries FROM item WHERE state = 'running' AND {where}", (value,)
            ).fetchall()
            for job, number, tries in found:
                outcome = Outcome(ItemState.QUEUED) if reason is None else set_aside(tries, reason)
                connection.execute(
                    "UPDATE item SET state = ?, reason = ?, tries = tries - ?, worker = NULL, lease = NULL"
                    " WHERE job = ? AND number = ?",
                    (outcome.state.value, outcome.reason, reason is None, job, number),
                )
            _close(connection, {job for job, _, _ in found})
        return len(found)

    def holders(self) -> set[str]:
        return {worker for (worker,) in self._rows("SELECT DISTINCT worker FROM item WHERE state = 'running'")}

    def paths(self) -> set[str]:
        return {path for (path,) in self._rows(f"SELECT path FROM item WHERE {_OPEN}")}

    def cancel(self, id: ImageId) -> None:
        if not self._rows(f"SELECT 1 FROM item WHERE id = ? AND {_OPEN} LIMIT 1", id):
            return
        with self._transaction() as connection:
            jobs = {job for (job,) in connection.execute(f"SELECT job FROM item WHERE id = ? AND {_OPEN}", (id,))}
            connection.execute(
                f"UPDATE item SET state = 'rejected', reason = ?, worker = NULL, lease = NULL WHERE id = ? AND {_OPEN}",
                (CANCELLED, id),
            )
            _close(connection, jobs)


def _close(connection: sqlite3.Connection, jobs: set[str]) -> None:
    now = datetime.now(UTC).isoformat()
    connection.executemany(
        "UPDATE job SET finished_at = ? WHERE id = ? AND finished_at IS NULL"
        f" AND NOT EXISTS (SELECT 1 FROM item WHERE job = job.id AND {_OPEN})",
        [(now, job) for job in jobs],
    )


def _item(row: Sequence[Any]) -> Item:
    name, id, path, state, reason, tries = row
    return Item(name, ImageId(id), path, ItemState(state), reason, tries)


def _job(row: Sequence[Any], items: list[Item], counts: Mapping[ItemState, int] | None = None) -> Job:
    id, created_at, sender, finished_at = row
    return Job(
        id=id,
        created_at=datetime.fromisoformat(created_at),
        sender=sender,
        finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
        items=items,
        counts=Counter(item.state for item in items) if counts is None else counts,
    )
