"""What was spent and what was answered, in a file beside the profile: no crash spends twice, no two processes too much.

Money is set aside before a request and settled after it. What was set aside by a process that died stays spent: whether
its request was charged is not known.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexer.cloud.service import CloudUnavailable
from search.connections import Connections

MICRO = 1_000_000
"""Amounts are whole numbers of millionths: sums of them are exact."""


class BudgetReached(CloudUnavailable):
    """The next request might cost more than is left."""


class Ledger:
    """Safe for threads and processes."""

    def __init__(self, path: Path, *, budget: int, currency: str) -> None:
        """``budget`` in millionths of the currency, for all time that this file tells of."""
        self.path = path
        self._budget = budget
        self._currency = currency
        self._lock = threading.Lock()
        self._connections = Connections(self._connect)

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.Error as error:
            raise CloudUnavailable(f"{self.path}, where spending is noted, cannot be written: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        # Not a write-ahead log: turning one on does not wait for others that open the file at the same time.
        connection.executescript(
            "BEGIN IMMEDIATE;"
            "CREATE TABLE IF NOT EXISTS spent"
            " (id INTEGER PRIMARY KEY, at REAL NOT NULL, service TEXT NOT NULL, amount INTEGER NOT NULL);"
            "CREATE TABLE IF NOT EXISTS answer"
            " (picture TEXT, model TEXT, task TEXT, body TEXT NOT NULL, PRIMARY KEY (picture, model, task))"
            " WITHOUT ROWID;"
            "COMMIT"
        )
        return connection

    def set_aside(self, service: str, amount: int) -> int:
        """Take an amount out of what is left, and return its number. Raises BudgetReached, and then takes nothing."""
        connection = self._connections.get()
        with self._lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                ((spent,),) = connection.execute("SELECT coalesce(sum(amount), 0) FROM spent")
                if spent + amount > self._budget:
                    raise BudgetReached(
                        f"the budget of {self._said(self._budget)} might be passed: {self._said(spent)} are spent,"
                        f" and a request to {service} costs up to {self._said(amount)}; what was finished is kept, so"
                        " raise `budget` and run it again"
                    )
                cursor = connection.execute(
                    "INSERT INTO spent (at, service, amount) VALUES (?, ?, ?)", (time.time(), service, amount)
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        return int(cursor.lastrowid or 0)

    def settle(self, number: int, amount: int, picture: str, model: str, answers: Mapping[str, Any]) -> None:
        """Note what a request did cost, and what it brought."""
        connection = self._connections.get()
        with self._lock:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE spent SET amount = ? WHERE id = ?", (amount, number))
            connection.executemany(
                "INSERT OR REPLACE INTO answer (picture, model, task, body) VALUES (?, ?, ?, ?)",
                [(picture, model, task, json.dumps(body)) for task, body in answers.items()],
            )
            connection.execute("COMMIT")

    def give_back(self, number: int) -> None:
        """Undo a `set_aside` whose request was not charged."""
        with self._lock:
            self._connections.get().execute("DELETE FROM spent WHERE id = ?", (number,))

    def answers(self, picture: str, model: str) -> dict[str, Any]:
        """Return what a model answered of a picture, by task."""
        found = self._connections.get().execute(
            "SELECT task, body FROM answer WHERE picture = ? AND model = ?", (picture, model)
        )
        return {task: json.loads(body) for task, body in found}

    def spent(self) -> int:
        """Return what was spent in all, what is set aside included."""
        ((spent,),) = self._connections.get().execute("SELECT coalesce(sum(amount), 0) FROM spent")
        return int(spent)

    def close(self) -> None:
        self._connections.close()

    def _said(self, amount: int) -> str:
        return f"{amount / MICRO:.4f} {self._currency}"
