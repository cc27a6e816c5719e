"""API keys and sessions of a server, in a file of their own: SQLite, to be read by its owner only.

It lies beside the catalogue, not in it: a library is copied, migrated and handed to others without who may open it, and
one server of several libraries has one set of keys. Of keys and sessions only SHA-256 digests are kept.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.auth import Caller, Scope, digest
from search.config import KEYS_FILE
from search.errors import NotFound, Unavailable

PREFIX = "snk"
"""Begins every key, so that scanners for secrets know one."""
GRACE = timedelta(hours=24)
SESSION = timedelta(days=14)
USED = timedelta(minutes=1)
"""So exactly `last_used_at` is kept; each request would be a write otherwise."""
_NOTHING = digest("")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS key (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, scopes TEXT NOT NULL, libraries TEXT,
    rate TEXT NOT NULL, created_at TEXT NOT NULL, created_by TEXT NOT NULL, expires_at TEXT, last_used_at TEXT,
    revoked_at TEXT, old_digest TEXT, old_until TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS session (
    digest TEXT PRIMARY KEY, key_id TEXT NOT NULL, key_digest TEXT NOT NULL, until TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is known of a key; not the key."""

    id: str
    name: str
    scopes: frozenset[Scope]
    libraries: frozenset[str] | None
    """None: all that the server has, those of later days too."""
    rate: str
    """As `100/minute`; empty: the server's usual one."""
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    old_until: datetime | None
    """Until when the secret before the last rotation opens too."""

    @property
    def caller(self) -> Caller:
        return Caller(f"{self.name} ({self.id})", self.scopes, self.id, self.libraries, self.rate)


class KeyStore:
    """The keys of one server. Safe for threads and processes; there is no file until the first key is made."""

    def __init__(self, data: Path) -> None:
        self._path = data / KEYS_FILE
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        """Whether a key was ever made here. One that was revoked counts: with the last key, no door opens."""
        return self._connection is not None or self._path.exists()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def create(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        libraries: Collection[str] | None = None,
        rate: str = "",
        expires_at: datetime | None = None,
        by: str = "",
    ) -> tuple[str, StoredKey]:
        """Return a new key, which is told nowhere else, and what is kept of it."""
        id, now = secrets.token_hex(4), datetime.now(UTC)
        secret = _secret(id)
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO key (id, name, digest, scopes, libraries, rate, created_at, created_by, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id,
                    name,
                    digest(secret),
                    json.dumps(sorted(scopes)),
                    None if libraries is None else json.dumps(sorted(libraries)),
                    rate,
                    _text(now),
                    by,
                    _text(expires_at),
                ),
            )
        return secret, self.get(id)

    def get(self, id: str) -> StoredKey:
        """Return a key. Raises NotFound."""
        rows = self._rows("SELECT * FROM key WHERE id = ?", id)
        if not rows:
            raise NotFound(f"there is no API key {id}")
        return _key(rows[0])

    def all(self) -> list[StoredKey]:
        """Return every key, the newest first, those that are revoked too."""
        return [_key(row) for row in self._rows("SELECT * FROM key ORDER BY created_at DESC, rowid DESC")]

    def revoke(self, id: str) -> None:
        """Close what a key opened, sessions too, from now on. Raises NotFound for one that is none, or was revoked."""
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (_text(datetime.now(UTC)), id)
            ).rowcount
            connection.execute("DELETE FROM session WHERE key_id = ?", (id,))
        if not changed:
            raise NotFound(f"there is no API key {id}")

    def rotate(self, id: str, grace: timedelta = GRACE) -> tuple[str, StoredKey]:
        """Return a new secret of a key; the one before opens for the grace time, and none before that."""
        secret = _secret(id)
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE key SET old_digest = digest, old_until = ?, digest = ? WHERE id = ? AND revoked_at IS NULL",
                (_text(datetime.now(UTC) + grace), digest(secret), id),
            ).rowcount
        if not changed:
            raise NotFound(f"there is no API key {id}")
        return secret, self.get(id)

    def caller(self, secret: str) -> Caller | None:
        """Return whom a key lets in now, or None."""
        id = secret.split("_", 2)[1] if secret.startswith(f"{PREFIX}_") and secret.count("_") >= 2 else ""
        return self._caller(id, digest(secret))

    def _caller(self, id: str, given: str) -> Caller | None:
        rows = self._rows("SELECT * FROM key WHERE id = ?", id) if self.exists else []
        row: dict[str, Any] = rows[0] if rows else {"digest": _NOTHING, "old_digest": None, "old_until": None}
        now = datetime.now(UTC)
        is_new = hmac.compare_digest(row["digest"], given)
        is_old = hmac.compare_digest(row["old_digest"] or _NOTHING, given) and (_time(row["old_until"]) or now) > now
        if not rows or not (is_new or is_old):
            return None
        key = _key(row)
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            return None
        if key.last_used_at is None or now - key.last_used_at >= USED:
            self._note_use(id, now)
        return key.caller

    def _note_use(self, id: str, now: datetime) -> None:
        try:
            with self._writing() as connection:
                connection.execute("UPDATE key SET last_used_at = ? WHERE id = ?", (_text(now), id))
        except Unavailable:  # a disk that is full, or may only be read: the key opens all the same
            return

    def begin_session(self, caller: Caller, key: str) -> str:
        """Return the token of a new session of who has a key; it ends with the key, or in `SESSION`."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        with self._writing() as connection:
            connection.execute("DELETE FROM session WHERE until <= ?", (_text(now),))
            row = digest(token), caller.id, digest(key), _text(now + SESSION)
            connection.execute("INSERT INTO session VALUES (?, ?, ?, ?)", row)
        return token

    def session(self, token: str) -> tuple[str, Caller | None] | None:
        """Return the digest of the key that a session was begun with, and whom that lets in now; None for no session.

        Only keys that are kept here can be told by their digest; the option's are for who calls.
        """
        if not self.exists:
            return None
        rows = self._rows(
            "SELECT * FROM session WHERE digest = ? AND until > ?", digest(token), _text(datetime.now(UTC))
        )
        if not rows:
            return None
        given = str(rows[0]["key_digest"])
        return given, self._caller(rows[0]["key_id"], given)

    def end_session(self, token: str) -> None:
        if self.exists:
            with self._writing() as connection:
                connection.execute("DELETE FROM session WHERE digest = ?", (digest(token),))

    def _rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        if not self.exists:
            return []
        with self._lock, _translated():
            cursor = self._opened().execute(statement, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated(), self._opened() as connection:
            yield connection

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))
            os.chmod(self._path, 0o600)  # a copy from elsewhere may have been readable by others
            self._connection = sqlite3.connect(self._path, timeout=5, check_same_thread=False)
            self._connection.executescript(_SCHEMA)
        return self._connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"the API keys cannot be read or written: {error}") from error


def _secret(id: str) -> str:
    return f"{PREFIX}_{id}_{secrets.token_urlsafe(32)}"


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _key(row: dict[str, Any]) -> StoredKey:
    return StoredKey(
        id=row["id"],
        name=row["name"],
        scopes=frozenset(map(Scope, json.loads(row["scopes"]))),
        libraries=None if row["libraries"] is None else frozenset(json.loads(row["libraries"])),
        rate=row["rate"],
        created_at=datetime.fromisoformat(row["created_at"]),
        created_by=row["created_by"],
        expires_at=_time(row["expires_at"]),
        last_used_at=_time(row["last_used_at"]),
        revoked_at=_time(row["revoked_at"]),
        old_until=_time(row["old_until"]),
    )
