"""The schema of the catalogue, step by step. A step is never changed once released; the next one is added below it."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from search.errors import ConfigError
from search.transactions import copied, transaction

APPLICATION_ID = 0x534E4150
"""“SNAP”: tells our file from any other SQLite database."""

V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE root (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
CREATE TABLE image (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    indexed_at TEXT NOT NULL,
    taken_at TEXT,
    camera TEXT,
    latitude REAL,
    longitude REAL,
    phash INTEGER NOT NULL,
    caption TEXT,
    caption_source TEXT,
    models TEXT NOT NULL,
    changed INTEGER NOT NULL
);
CREATE INDEX image_changed ON image (changed);
CREATE INDEX image_taken ON image (taken_at, ordinal);
CREATE TABLE file (
    root INTEGER NOT NULL REFERENCES root (id),
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    ordinal INTEGER REFERENCES image (ordinal) ON DELETE CASCADE,
    reason TEXT,
    PRIMARY KEY (root, path)
) WITHOUT ROWID;
CREATE INDEX file_ordinal ON file (ordinal);
CREATE TABLE tag (
    ordinal INTEGER NOT NULL REFERENCES image (ordinal) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    confidence REAL NOT NULL,
    source TEXT NOT NULL,
    x REAL, y REAL, width REAL, height REAL,
    PRIMARY KEY (ordinal, position)
) WITHOUT ROWID;
CREATE TABLE edit (
    id TEXT PRIMARY KEY,
    caption TEXT,
    alt_text TEXT,
    added TEXT NOT NULL DEFAULT '[]',
    removed TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE TABLE hidden (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE space (id INTEGER PRIMARY KEY, name TEXT NOT NULL, dim INTEGER NOT NULL, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE embedding (
    ordinal INTEGER NOT NULL REFERENCES image (ordinal) ON DELETE CASCADE,
    space INTEGER NOT NULL REFERENCES space (id),
    vector BLOB NOT NULL,
    PRIMARY KEY (ordinal, space)
) WITHOUT ROWID;
CREATE TABLE deleted (ordinal INTEGER PRIMARY KEY, changed INTEGER NOT NULL);
CREATE INDEX deleted_changed ON deleted (changed);
"""

V2 = """
ALTER TABLE tag ADD COLUMN task TEXT NOT NULL DEFAULT '';
CREATE TABLE done (
    ordinal INTEGER NOT NULL REFERENCES image (ordinal) ON DELETE CASCADE,
    task TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (ordinal, task)
) WITHOUT ROWID;
"""
"""Which model did each task of an image, so that a change of one does not run the others again."""

V3 = """
CREATE TABLE job (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    sender TEXT NOT NULL DEFAULT '',
    finished_at TEXT
);
CREATE INDEX job_finished ON job (number) WHERE finished_at IS NOT NULL;
CREATE TABLE item (
    job TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    tries INTEGER NOT NULL,
    worker TEXT,
    lease REAL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX item_open ON item (state, id) WHERE state IN ('queued', 'running');
"""
"""Pictures that were sent and wait to be indexed."""

V4 = """
ALTER TABLE edit ADD COLUMN decisions TEXT NOT NULL DEFAULT '[]';
ALTER TABLE edit ADD COLUMN verdict TEXT;
CREATE INDEX edit_verdict ON edit (verdict) WHERE verdict IS NOT NULL;
CREATE INDEX tag_moderation ON tag (label, confidence, ordinal) WHERE kind = 'moderation';
"""
"""What moderators decided: all decisions in the order in which they came, and the verdict of the last."""

V5 = "ALTER TABLE image ADD COLUMN shot TEXT;"
"""How the camera was set, in JSON; not known of images that were indexed before."""

V6 = """
ALTER TABLE file ADD COLUMN sidecars TEXT NOT NULL DEFAULT '?';
ALTER TABLE file ADD COLUMN written TEXT;
"""
"""What people wrote in a file and its sidecars, in JSON, and what tells whether these changed; the next run looks."""

V7 = """
CREATE TABLE person (name TEXT PRIMARY KEY, events TEXT NOT NULL, changed_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX person_changed ON person (changed_at);
"""
"""What persons liked, viewed and hid: all of one in a row, in JSON."""

STEPS = (V1, V2, V3, V4, V5, V6, V7)


def refuse_foreign(path: Path) -> None:
    """Raise ConfigError for a file that is no catalogue of ours, before anything is written to it."""
    # Asked of SQLite: who opens the file by himself and closes it drops every lock that this process has on it.
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (schema,) = connection.execute("PRAGMA schema_version").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.OperationalError:
        return  # locked, or to be recovered first: it is SQLite's, and whoever opens it to write will see
    except sqlite3.DatabaseError:
        schema, application = 1, 0
    if schema and application != APPLICATION_ID:
        raise ConfigError(f"{path} is no catalogue of Snapseek; it was left as it is")


def migrate(connection: sqlite3.Connection, where: str) -> None:
    """Bring a catalogue to the newest schema, in one transaction; as it was before, it is kept beside.

    Raises ConfigError for a newer one, and where it could not be kept as it was.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise ConfigError(
            f"{where} was made by a newer Snapseek (schema {version}, this one knows {len(STEPS)}): update"
        )
    if version == len(STEPS):
        return
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have been faster
        if 0 < version < len(STEPS):
            _keep(Path(where), version)
        for step in STEPS[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _keep(catalogue: Path, version: int) -> None:
    """Copy a catalogue as it is; under its name when it is whole."""
    kept = catalogue.with_name(f"{catalogue.name}.schema-{version}")
    making = kept.with_name(f"{kept.name}.{uuid.uuid4().hex[:8]}")
    try:
        copied(catalogue, making)
        os.replace(making, kept)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"{catalogue} is of an older form and would be changed, but cannot be kept as it is in {kept.name}: {error}"
        ) from error
    finally:
        making.unlink(missing_ok=True)
