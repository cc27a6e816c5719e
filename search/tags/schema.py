"""The SQLite file of the tag store: its tables, and opening it. What is of another layout or broken is made anew."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from search.transactions import tuned
from search.types import DEFAULT_CONFIDENCE

logger = logging.getLogger(__name__)

# The defaults are part of the layout: which tags count without a `confidence:` is worked out when they are written.
LAYOUT = "2 " + " ".join(f"{kind}={least:g}" for kind, least in sorted(DEFAULT_CONFIDENCE.items()))

BUSY_TIMEOUT_S = 30.0

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Every value that an image can have in a field; `folded` is what is compared, `label` the first spelling.
CREATE TABLE value (id INTEGER PRIMARY KEY, field TEXT NOT NULL, folded TEXT NOT NULL, label TEXT NOT NULL,
                    UNIQUE (field, folded));
-- `postings` are packed (see rows.py); NULL is an image that was deleted, kept so that other processes hear of it.
CREATE TABLE image (ordinal INTEGER PRIMARY KEY, changed INTEGER NOT NULL, width INTEGER, height INTEGER,
                    taken INTEGER, postings BLOB, texts TEXT);
CREATE INDEX image_changed ON image (changed);
CREATE TABLE path (folded TEXT NOT NULL, ordinal INTEGER NOT NULL, PRIMARY KEY (folded, ordinal)) WITHOUT ROWID;
CREATE INDEX path_ordinal ON path (ordinal);
CREATE VIRTUAL TABLE words USING fts5 (caption, alt_text, labels, unsure, ocr, path, tokenize = 'porter unicode61');
INSERT INTO meta VALUES ('changes', '0'), ('applied', '0');
"""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself. `close` may be called from another thread."""
    return tuned(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False))


def prepare(path: Path, policy: str = "") -> None:
    """Make the file ready: create it, or empty it when it is of another layout, or replace it when it is broken.

    ``policy`` says which images are left out, and is part of the layout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _prepare(path, policy)
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # a lock or a full disk is no broken file
            raise
        logger.warning("%s is broken (%s) and is made anew", path, error)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        _prepare(path, policy)


def _prepare(path: Path, policy: str) -> None:
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        if _layout(connection) != _wanted(policy):
            make_anew(connection, policy)
        connection.execute("COMMIT")
    finally:
        connection.close()


def make_anew(connection: sqlite3.Connection, policy: str = "") -> None:
    """Make the tables, empty, in place of those there are; inside the caller's transaction."""
    _drop_all(connection)
    for statement in filter(None, map(str.strip, _TABLES.split(";\n"))):
        connection.execute(statement)
    made = ("made", str(time.time_ns())), ("layout", _wanted(policy))
    connection.executemany("INSERT INTO meta VALUES (?, ?)", made)


def _wanted(policy: str) -> str:
    return f"{LAYOUT} {policy}" if policy else LAYOUT


def _layout(connection: sqlite3.Connection) -> str | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return None
    row = connection.execute("SELECT value FROM meta WHERE key = 'layout'").fetchone()
    return str(row[0]) if row else None


def _drop_all(connection: sqlite3.Connection) -> None:
    for table in ("words", "path", "image", "value", "meta"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
