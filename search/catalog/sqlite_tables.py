"""What tables of the catalogue's file have in common that are no part of the library itself: jobs, and events."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from search.transactions import transaction


class SqliteTables:
    """Reads and writes in the calling thread's connection."""

    def __init__(self, connection: Callable[[], sqlite3.Connection], translated: Callable[[], Any]) -> None:
        """``connection`` gives that of the calling thread, ``translated`` turns SQLite's errors into ours."""
        self._connection = connection
        self._translated = translated

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        with self._translated(), transaction(connection):
            yield connection

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._translated():
            return self._connection().execute(sql, values).fetchall()
