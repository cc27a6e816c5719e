"""The statements that write to the catalogue's tables, each inside a transaction of its caller."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from search import written
from search.calibration import Calibration
from search.catalog.rows import (
    Edit,
    FileRow,
    NewImage,
    StoredImage,
    decisions_to_json,
    labels_to_json,
    shot_to_text,
)
from search.types import EmbeddingSpace, ImageId, Matrix, Ordinals, Tag, Vector

TOUCH_IMAGE_OF_FILE = (
    "UPDATE image SET changed = ? WHERE ordinal = (SELECT ordinal FROM file WHERE root = ? AND path = ?)"
)


def write_image(
    connection: sqlite3.Connection,
    image: NewImage,
    space: int,
    change: int,
    *,
    ordinal: int | None = None,
    indexed_at: datetime | None = None,
) -> int:
    """Write an image, indexed now unless said otherwise, and return its ordinal.

    That is the one it has already, or else the one given, or else the next that was never given out.
    """
    place = image.location
    values = {
        "width": image.width,
        "height": image.height,
        "mime_type": image.mime_type,
        "bytes": image.bytes,
        "indexed_at": (indexed_at or datetime.now(UTC)).isoformat(timespec="seconds"),
        "taken_at": image.taken_at.isoformat() if image.taken_at else None,
        "camera": image.camera,
        "shot": shot_to_text(image.shot),
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "phash": image.phash - (1 << 64) if image.phash >> 63 else image.phash,  # SQLite's integers are signed
        "caption": image.caption,
        "caption_source": image.caption_source,
        "models": image.models,
        "changed": change,
    }
    names = list(values)
    ((ordinal,),) = connection.execute(
        f"INSERT INTO image (ordinal, id, {', '.join(names)}) VALUES (?, ?{', ?' * len(names)})"
        f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in names)} RETURNING ordinal",
        (ordinal, image.id, *values.values()),
    ).fetchall()
    connection.execute("DELETE FROM tag WHERE ordinal = ?", (ordinal,))
    connection.executemany(
        "INSERT INTO tag VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (ordinal, position, *_tag_values(tag), task)
            for position, (task, tag) in enumerate((task, tag) for task, tags in image.tags.items() for tag in tags)
        ],
    )
    connection.execute("DELETE FROM done WHERE ordinal = ?", (ordinal,))
    connection.executemany("INSERT INTO done VALUES (?, ?, ?)", [(ordinal, *one) for one in image.done.items()])
    write_vector(connection, ordinal, space, image.vector)
    return int(ordinal)


def write_vector(connection: sqlite3.Connection, ordinal: int, space: int, vector: Vector) -> None:
    blob = vector.astype(np.float16).tobytes()
    connection.execute("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)", (ordinal, space, blob))


def _tag_values(tag: Tag) -> tuple[Any, ...]:
    box = tag.box
    corners = (None,) * 4 if box is None else (box.x, box.y, box.width, box.height)
    return (tag.kind.value, tag.label, tag.confidence, tag.source, *corners)


def write_file(
    connection: sqlite3.Connection, root: int, file: FileRow, *, id: ImageId | None = None, reason: str | None = None
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO file (root, path, size, mtime_ns, inode, ordinal, reason, sidecars, written)"
        " VALUES (?, ?, ?, ?, ?, (SELECT ordinal FROM image WHERE id = ?), ?, ?, ?)",
        (
            root,
            os.fsencode(file.path),
            file.size,
            file.mtime_ns,
            file.inode,
            id,
            reason,
            file.sidecars,
            written.to_text(file.written),
        ),
    )


def write_edit(connection: sqlite3.Connection, id: ImageId, edit: Edit) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO edit (id, caption, alt_text, added, removed, decisions, verdict)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            id,
            edit.caption,
            edit.alt_text,
            labels_to_json(edit.added),
            labels_to_json(edit.removed),
            json.dumps(decisions_to_json(edit.decisions), ensure_ascii=False),
            edit.verdict,
        ),
    )


def drop_without_files(connection: sqlite3.Connection, change: int) -> None:
    """Delete images that have no file left; those that this transaction did not touch still have theirs."""
    drop_images(
        connection, "changed = ? AND NOT EXISTS (SELECT 1 FROM file WHERE ordinal = image.ordinal)", (change,), change
    )


def take_over(connection: sqlite3.Connection, stored: StoredImage, change: int) -> None:
    """Write an image of another catalogue with its ordinal, in place of the image and of the ordinal here."""
    id = stored.image.id
    drop_images(connection, "(id = ?) != (ordinal = ?)", (id, stored.ordinal), change)
    connection.execute("DELETE FROM deleted WHERE ordinal = ?", (stored.ordinal,))
    connection.execute("DELETE FROM file WHERE ordinal = ?", (stored.ordinal,))
    connection.execute("DELETE FROM embedding WHERE ordinal = ?", (stored.ordinal,))
    space = space_number(connection, stored.space)
    write_image(connection, stored.image, space, change, ordinal=stored.ordinal, indexed_at=stored.indexed_at)
    for other_space, vector in stored.other_vectors:
        write_vector(connection, stored.ordinal, space_number(connection, other_space), vector)
    for path, file in stored.files:
        root = root_number(connection, path)
        connection.execute(TOUCH_IMAGE_OF_FILE, (change, root, os.fsencode(file.path)))
        write_file(connection, root, file, id=id)


def drop_images(connection: sqlite3.Connection, where: str, values: tuple[Any, ...], change: int) -> None:
    connection.execute(f"INSERT OR REPLACE INTO deleted SELECT ordinal, {change} FROM image WHERE {where}", values)
    connection.execute(f"DELETE FROM image WHERE {where}", values)


def root_number(connection: sqlite3.Connection, path: Path) -> int:
    """Return the number of the root of an absolute path, given to it now if it is new."""
    connection.execute("INSERT OR IGNORE INTO root (path) VALUES (?)", (os.fsencode(path),))
    ((number,),) = connection.execute("SELECT id FROM root WHERE path = ?", (os.fsencode(path),))
    return int(number)


def space_number(connection: sqlite3.Connection, space: EmbeddingSpace) -> int:
    connection.execute(
        "INSERT OR IGNORE INTO space (name, dim, fingerprint) VALUES (?, ?, ?)",
        (space.name, space.dim, space.fingerprint),
    )
    (number,) = connection.execute("SELECT id FROM space WHERE fingerprint = ?", (space.fingerprint,)).fetchone()
    return int(number)


def set_meta(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    if value is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
        return
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def set_calibration(connection: sqlite3.Connection, calibration: Calibration | None) -> None:
    set_meta(connection, "calibration", None if calibration is None else json.dumps(calibration.numbers()))


def matrix(found: Sequence[tuple[int, bytes]], dim: int) -> tuple[Ordinals, Matrix]:
    """Join vectors to one matrix; a blob of another size, which only damage can make, becomes a row of NaN."""
    whole = [blob if len(blob) == 2 * dim else np.full(dim, np.nan, np.float16).tobytes() for _, blob in found]
    vectors = np.frombuffer(b"".join(whole), np.float16).reshape(-1, dim).astype(np.float32)
    return np.array([ordinal for ordinal, _ in found], np.uint32), vectors
