"""How files of SQLite are opened and written to: all of a transaction, or nothing of it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

MAPPED_BYTES = 2**31 - 2**16
"""So much of a file is read where the system has it in memory, not copied from there page by page: half the time of a
page of hits. SQLite takes no more."""

FULL_BYTES = 2**17
"""With less room than this, a file of SQLite's cannot be begun."""


def tuned(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection whose readers do not wait for writers, and which survives a crash of the process."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Be the one who writes, from the first statement on. Raises sqlite3.Error as the statements do."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back by itself when the disk is full
            connection.execute("ROLLBACK")
        raise


def copied(source: Path, target: Path) -> None:
    """Copy a file of SQLite as it is at one moment into one that is new. Raises sqlite3.Error.

    In one step: between steps a writer would make it begin anew. And as one file, not three: its journal is in it.
    """
    with closing(sqlite3.connect(source, timeout=30)) as before, closing(sqlite3.connect(target)) as copy:
        before.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def is_full(error: sqlite3.Error, folder: Path) -> bool:
    """Tell whether an error of SQLite means that the disk of a folder is full.

    Of the files beside the main one, what is shared between processes and the journal, it says no more than "disk I/O
    error"; then the disk itself is asked.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code & 0xFF == sqlite3.SQLITE_FULL:
        return code is not None
    return (
        code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and shutil.disk_usage(folder).free < FULL_BYTES
    )
