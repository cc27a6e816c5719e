"""The catalogue: the source of truth of a library, in one SQLite file.

All else (tag store, vector index, thumbnails) can be made again from it without running a model. Every write takes the
next *change number*, so that a projection that is complete up to some number can ask for what came after it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search import saved, written
from search.calibration import Calibration
from search.catalog import rows, statements
from search.catalog.migrations import migrate, refuse_foreign
from search.catalog.rows import (
    WHOLE,
    Batch,
    Changed,
    Edit,
    FileRow,
    KnownFile,
    Labels,
    Migrating,
    Problem,
    Remains,
    Root,
    Said,
    StoredImage,
    expect_profile,
)
from search.catalog.sqlite_events import SqliteEvents, restore_events
from search.catalog.sqlite_jobs import SqliteJobs
from search.connections import Connections
from search.errors import ConfigError, Conflict, NotFound, StorageFull, Unavailable
from search.moderation import Policy
from search.phash import distances
from search.saved import SavedSearch
from search.transactions import is_full, transaction, tuned
from search.types import (
    Decision,
    EmbeddingSpace,
    ImageId,
    ImageRecord,
    Matrix,
    Ordinals,
    Rejected,
    Tag,
    Vector,
    Verdict,
)
from search.written import Written

FILE = "catalog.sqlite"
LOCK = "write.lock"
CHUNK = 500
"""Rows named in one statement; SQLite's own limit is far above."""

_MODERATION = '%["moderation",%'
"""Finds edits that touch a category, in JSON."""

IMAGE_COLUMNS = (
    "ordinal, id, width, height, mime_type, bytes, indexed_at, taken_at, camera, latitude, longitude, caption,"
    " caption_source, shot"
)


class SqliteCatalog:
    """Satisfies `search.catalog.protocol.Catalog` in one file. Each thread has a connection of its own."""

    def __init__(self, data: Path, *, create: bool = False) -> None:
        """Open the catalogue in a data folder, or make one.

        Raises ConfigError, and changes nothing, where there is none, or one that this version cannot read.
        """
        self.data = data
        self._base = Path(os.path.abspath(data))
        self._path = data / FILE
        self._connections = Connections(self._connect)
        self._hashes: tuple[int, tuple[Ordinals, NDArray[np.uint64]]] | None = None
        if not self._path.exists():
            if not create:
                raise ConfigError(f"there is no library at {data}; run `snapseek index PATH` first")
            _make_folder(data)
        else:
            refuse_foreign(self._path)
        with self._translated():
            migrate(self._connection, str(self._path))
        self.jobs = SqliteJobs(lambda: self._connection, self._translated)
        self.events = SqliteEvents(lambda: self._connection, self._translated)

    def _translated(self) -> AbstractContextManager[None]:
        return _translated(self.data)

    @property
    def _connection(self) -> sqlite3.Connection:
        """This thread's."""
        with self._translated():
            return self._connections.get()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=30, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        tuned(connection).execute("PRAGMA foreign_keys = ON")
        return connection

    def __enter__(self) -> SqliteCatalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the library for one index run. Raises Conflict at once when another process has it.

        The system lets go of the lock when the process ends, however it ends.
        """
        with (self.data / LOCK).open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(f"another process is indexing into {self.data}; wait for it, or stop it") from error
            yield

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Give a connection inside a transaction, and the change number of it."""
        connection = self._connection
        with self._translated(), transaction(connection):
            change = self.change + 1
            yield connection, change
            statements.set_meta(connection, "change", str(change))

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    # What the library is

    @property
    def change(self) -> int:
        """The number of the last change; 0 for a new library."""
        return int(self._meta("change") or 0)

    @property
    def profile(self) -> str | None:
        """The profile that the library keeps; None until the first run."""
        return self._meta("profile")

    def _meta(self, key: str) -> str | None:
        found = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return found[0][0] if found else None

    @property
    def coming_profile(self) -> str | None:
        """The profile that the library is on its way to; None while it stays with its own."""
        return self._meta("coming_profile")

    def note_profile(self, name: str) -> None:
        """Note the profile that images go through from now on."""
        with self._transaction() as (connection, _):
            statements.set_meta(connection, "coming_profile", name)

    def active_space(self) -> EmbeddingSpace | None:
        """Return the space that the library is searched in, or None until the first run has ended."""
        found = self._rows(
            "SELECT name, dim, fingerprint FROM space WHERE fingerprint = (SELECT value FROM meta WHERE key = 'space')"
        )
        return EmbeddingSpace(*found[0]) if found else None

    def calibration(self) -> Calibration | None:
        """Return what cosines mean in the space that is searched, as fitted on this library; None where it was not."""
        noted = self._meta("calibration")
        return None if noted is None else Calibration.of(json.loads(noted))

    def note_calibration(self, calibration: Calibration | None) -> None:
        """Keep a calibration for the space that is searched now; it is gone with that space."""
        with self._transaction() as (connection, _):
            statements.set_calibration(connection, calibration)

    def activate(self, profile: str, space: EmbeddingSpace) -> None:
        """Search with this profile, in its space, from now on; vectors of other spaces are dropped."""
        with self._transaction() as (connection, _):
            number = statements.space_number(connection, space)
            if space != self.active_space():
                statements.set_calibration(connection, None)
            statements.set_meta(connection, "profile", profile)
            statements.set_meta(connection, "space", space.fingerprint)
            statements.set_meta(connection, "coming_profile", None)
            connection.execute("DELETE FROM embedding WHERE space != ?", (number,))
            connection.execute("DELETE FROM space WHERE id != ?", (number,))

    def missing_in(self, space: EmbeddingSpace) -> int:
        """Return how many images have no vector in a space."""
        return int(
            self._rows(
                "SELECT count(*) FROM image WHERE ordinal NOT IN (SELECT ordinal FROM embedding"
                " WHERE space = (SELECT id FROM space WHERE fingerprint = ?))",
                space.fingerprint,
            )[0][0]
        )

    def counts(self) -> dict[str, int]:
        """Return the numbers of images, of files that hold one, and of rejected files."""
        (row,) = self._rows(
            "SELECT (SELECT count(*) FROM image), (SELECT count(*) FROM file WHERE ordinal IS NOT NULL),"
            " (SELECT count(*) FROM file WHERE ordinal IS NULL AND reason IS NOT NULL)"
        )
        return dict(zip(("images", "files", "rejected"), row, strict=True))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the file, what is not yet merged into it included."""
        return {"catalog": sum(path.stat().st_size for path in self.data.glob(f"{FILE}*"))}

    # Folders and files

    def roots(self) -> list[Root]:
        return [Root(id, self._there(path)) for id, path in self._rows("SELECT id, path FROM root ORDER BY id")]

    def _there(self, root: bytes) -> Path:
        """Return where a root is. What the library holds itself is known by its place in there, so it may be moved."""
        return self._base / os.fsdecode(root)

    def _stored(self, root: Path) -> Path:
        return root.relative_to(self._base) if self._base in root.parents else root

    def root(self, path: Path) -> Root:
        """Return the root of an absolute path, made if it is new."""
        with self._transaction() as (connection, _):
            return Root(statements.root_number(connection, self._stored(path)), path)

    def known_files(self, root: Root, within: PurePosixPath = WHOLE) -> dict[str, KnownFile]:
        """Return what is known of the files at or below ``root / within``, by path below the root."""
        sql = (
            "SELECT file.path, size, mtime_ns, inode, file.ordinal, reason, models, sidecars"
            " FROM file LEFT JOIN image USING (ordinal) WHERE root = ?"
        )
        values: list[Any] = [root.id]
        if within != PurePosixPath("."):
            here = os.fsencode(within)
            sql += " AND (file.path = ? OR (file.path >= ? AND file.path < ?))"
            values += [here, here + b"/", here + b"0"]  # "0" follows "/"
        return {os.fsdecode(path): KnownFile(*rest) for path, *rest in self._rows(sql, *values)}

    def rejected(self) -> list[Rejected]:
        """Return the files that could not be indexed, with the reason, by path."""
        found = self._rows(
            "SELECT root.path, file.path, reason FROM file JOIN root ON root.id = file.root"
            " WHERE ordinal IS NULL AND reason IS NOT NULL ORDER BY 1, 2"
        )
        return [Rejected(os.path.join(self._there(root), os.fsdecode(path)), why) for root, path, why in found]

    def locate(self, id: ImageId) -> list[Path]:
        """Return the absolute paths of an image's files."""
        found = self._rows(
            "SELECT root.path, file.path FROM file JOIN root ON root.id = file.root JOIN image USING (ordinal)"
            " WHERE image.id = ? ORDER BY 1, 2",
            id,
        )
        return [self._there(root) / os.fsdecode(path) for root, path in found]

    def resolve(self, path_or_id: str) -> ImageId | None:
        """Return the image that an id, or the path of one of its files, names; None if there is none."""
        if self.find(ImageId(path_or_id)) is not None:
            return ImageId(path_or_id)
        absolute = Path(os.path.abspath(path_or_id))
        for root in self.roots():
            if root.path in absolute.parents:
                below = os.fsencode(absolute.relative_to(root.path))
                found = self._rows(
                    "SELECT id FROM file JOIN image USING (ordinal) WHERE root = ? AND file.path = ?", root.id, below
                )
                if found:
                    return ImageId(found[0][0])
        return None

    def expect(self, path_or_id: str) -> ImageId:
        """Return what `resolve` finds. Raises NotFound."""
        id = self.resolve(path_or_id)
        if id is None:
            raise NotFound(f"there is no image {path_or_id} in this library")
        return id

    # Writing

    def write(self, root: Root, batch: Batch) -> None:
        """Write images, their files and rejected files of one root, all or nothing."""
        with self._transaction() as (connection, change):
            expect_profile(batch, self.coming_profile or self.profile)
            space = statements.space_number(connection, batch.space)
            for image in batch.images:
                statements.write_image(connection, image, space, change)
            keys = [(change, root.id, os.fsencode(file.path)) for file, _ in (*batch.files, *batch.rejected)]
            connection.executemany(statements.TOUCH_IMAGE_OF_FILE, keys)  # it may lose this file to another image
            for file, id in batch.files:
                statements.write_file(connection, root.id, file, id=id)
            for file, reason in batch.rejected:
                statements.write_file(connection, root.id, file, reason=reason)
            connection.executemany(statements.TOUCH_IMAGE_OF_FILE, keys)
            statements.drop_without_files(connection, change)

    def move(self, root: Root, moved: Sequence[tuple[str, FileRow]]) -> None:
        """Note that files are at other paths now."""
        if not moved:
            return
        with self._transaction() as (connection, change):
            for old, file in moved:
                new = os.fsencode(file.path)
                connection.execute(statements.TOUCH_IMAGE_OF_FILE, (change, root.id, new))  # it loses this file
                connection.execute(
                    "UPDATE OR REPLACE file SET path = ?, size = ?, mtime_ns = ?, inode = ?"
                    " WHERE root = ? AND path = ?",
                    (new, file.size, file.mtime_ns, file.inode, root.id, os.fsencode(old)),
                )
                connection.execute(statements.TOUCH_IMAGE_OF_FILE, (change, root.id, new))
            statements.drop_without_files(connection, change)

    def remove_files(self, root: Root, paths: Sequence[str]) -> None:
        """Forget files; images that have none left go with them."""
        if not paths:
            return
        with self._transaction() as (connection, change):
            keys = [(root.id, os.fsencode(path)) for path in paths]
            connection.executemany(statements.TOUCH_IMAGE_OF_FILE, [(change, *key) for key in keys])
            connection.executemany("DELETE FROM file WHERE root = ? AND path = ?", keys)
            statements.drop_without_files(connection, change)

    def edit(
        self,
        id: ImageId,
        *,
        add: Labels = (),
        remove: Labels = (),
        caption: str | None = None,
        alt_text: str | None = None,
    ) -> ImageRecord:
        """Overrule the models and return the record as it is now. An empty text takes a caption or alt text away.

        It is kept by the image's id, so it outlives a new run of the models and a return of the file.
        """
        return self._edited(id, lambda edit: edit.changed(add, remove, caption, alt_text))

    def decide(self, id: ImageId, decision: Decision) -> ImageRecord:
        """Note what a moderator decided and return the record as it is now. Raises NotFound. Kept as an edit is."""
        return self._edited(id, lambda edit: edit.decided(decision))

    def _edited(self, id: ImageId, change_of: Callable[[Edit], Edit]) -> ImageRecord:
        with self._transaction() as (connection, change):
            if not connection.execute("UPDATE image SET changed = ? WHERE id = ?", (change, id)).rowcount:
                raise NotFound(f"there is no image {id} in this library")
            statements.write_edit(connection, id, change_of(self._edits([id]).get(id, Edit())))
        return self.record(id)

    def saved_searches(self) -> tuple[SavedSearch, ...]:
        return saved.of_json(json.loads(self._meta("saved") or "[]"))

    def change_saved_searches(self, change: Callable[[Sequence[SavedSearch]], tuple[SavedSearch, ...]]) -> None:
        with self._transaction() as (connection, _):
            statements.set_meta(connection, "saved", json.dumps(saved.to_json(change(self.saved_searches()))))

    def decided(self, verdict: Verdict) -> BitMap:
        """Return the images of which a moderator decided so last."""
        return BitMap(
            ordinal
            for (ordinal,) in self._rows("SELECT ordinal FROM edit JOIN image USING (id) WHERE verdict = ?", verdict)
        )

    def flagged(self, policy: Policy) -> BitMap:
        """Return the images that reach the threshold of a category, whatever was decided of them."""
        found = BitMap()
        for (label,) in self._rows("SELECT DISTINCT label FROM tag WHERE kind = 'moderation'"):
            reaching = "SELECT ordinal FROM tag WHERE kind = 'moderation' AND label = ? AND confidence >= ?"
            found.update(ordinal for (ordinal,) in self._rows(reaching, label, policy.threshold(label)))
        edited = "SELECT ordinal FROM edit JOIN image USING (id) WHERE added LIKE ? OR removed LIKE ?"
        of_people = [ordinal for (ordinal,) in self._rows(edited, _MODERATION, _MODERATION)]
        raised = BitMap(record.ordinal for record in self.records(of_people) if policy.reasons(record))
        return (found - BitMap(of_people)) | raised

    def delete(self, id: ImageId) -> None:
        """Take an image out of the library and pass it over in later runs. Its files are not touched."""
        with self._transaction() as (connection, change):
            if not connection.execute("SELECT 1 FROM image WHERE id = ?", (id,)).fetchone():
                raise NotFound(f"there is no image {id} in this library")
            connection.execute("INSERT OR IGNORE INTO hidden VALUES (?)", (id,))
            statements.drop_images(connection, "id = ?", (id,), change)

    def hidden(self, ids: Iterable[ImageId]) -> set[ImageId]:
        """Return which of the images were taken out by a person."""
        return {ImageId(id) for (id,) in self._chunked("SELECT id FROM hidden WHERE id IN ({})", list(ids))}

    def restore(self, ids: Iterable[ImageId]) -> None:
        """Let images in again that were taken out."""
        with self._transaction() as (connection, _):
            connection.executemany("DELETE FROM hidden WHERE id = ?", [(id,) for id in ids])

    # Reading

    def find(self, id: ImageId) -> int | None:
        found = self._rows("SELECT ordinal FROM image WHERE id = ?", id)
        return int(found[0][0]) if found else None

    def find_all(self, ids: Sequence[ImageId]) -> dict[ImageId, int]:
        found = self._chunked("SELECT id, ordinal FROM image WHERE id IN ({})", ids)
        return {ImageId(id): int(ordinal) for id, ordinal in found}

    def models_of(self, ids: Iterable[ImageId]) -> dict[ImageId, str]:
        """Return, for the images that are there, the fingerprint of the models that annotated each."""
        found = self._chunked("SELECT id, models FROM image WHERE id IN ({})", list(ids))
        return {ImageId(id): models for id, models in found}

    def said(self, ids: Iterable[ImageId], space: EmbeddingSpace) -> dict[ImageId, Said]:
        """Return what models said of the images that are there, with their vectors in a space."""
        found = self._chunked("SELECT ordinal, id, caption FROM image WHERE id IN ({})", list(ids))
        ordinals = [ordinal for ordinal, *_ in found]
        done, tags = self._by_task(ordinals)
        vectors = {
            int(ordinal): vector
            for chunk, matrix in self.embeddings(space, ordinals)
            for ordinal, vector in zip(chunk, matrix, strict=True)
        }
        return {
            ImageId(id): Said(done.get(ordinal, {}), vectors.get(ordinal), tags.get(ordinal, {}), caption)
            for ordinal, id, caption in found
        }

    def _by_task(
        self, ordinals: Sequence[int]
    ) -> tuple[dict[int, dict[str, str]], dict[int, dict[str, tuple[Tag, ...]]]]:
        """Return, by ordinal and task, the fingerprint of the model that did it, and the tags that it gave."""
        done: dict[int, dict[str, str]] = {}
        for ordinal, task, fingerprint in self._chunked("SELECT * FROM done WHERE ordinal IN ({})", ordinals):
            done.setdefault(ordinal, {})[task] = fingerprint
        tags: dict[int, dict[str, tuple[Tag, ...]]] = {}
        for ordinal, task, *tag in self._chunked(
            "SELECT ordinal, task, kind, label, confidence, source, x, y, width, height FROM tag"
            " WHERE ordinal IN ({}) ORDER BY ordinal, position",
            ordinals,
        ):
            by_task = tags.setdefault(ordinal, {})
            by_task[task] = (*by_task.get(task, ()), rows.tag_from_row(tag))
        return done, tags

    def record(self, id: ImageId) -> ImageRecord:
        """Return an image's record. Raises NotFound."""
        ordinal = self.find(id)
        found = [] if ordinal is None else self.records([ordinal])
        if not found:
            raise NotFound(f"there is no image {id} in this library")
        return found[0]

    def records(self, ordinals: Sequence[int]) -> list[ImageRecord]:
        images = {
            row[0]: row for row in self._chunked(f"SELECT {IMAGE_COLUMNS} FROM image WHERE ordinal IN ({{}})", ordinals)
        }
        files: dict[int, list[str]] = {}
        said: dict[int, list[Written]] = {}
        for ordinal, path, text in self._chunked(
            "SELECT ordinal, path, written FROM file WHERE ordinal IN ({}) ORDER BY root, path", ordinals
        ):
            files.setdefault(ordinal, []).append(os.fsdecode(path).encode("utf-8", "replace").decode())
            if one := written.of_text(text):
                said.setdefault(ordinal, []).append(one)
        tags: dict[int, list[Tag]] = {}
        for ordinal, *tag in self._chunked(
            "SELECT ordinal, kind, label, confidence, source, x, y, width, height FROM tag WHERE ordinal IN ({})"
            " ORDER BY ordinal, position",
            ordinals,
        ):
            tags.setdefault(ordinal, []).append(rows.tag_from_row(tag))
        edits = self._edits([row[1] for row in images.values()])
        return [
            rows.record_from_row(
                images[ordinal],
                files.get(ordinal, []),
                tags.get(ordinal, []),
                edits.get(images[ordinal][1], Edit()),
                said.get(ordinal, ()),
            )
            for ordinal in ordinals
            if ordinal in images
        ]

    def _edits(self, ids: Sequence[str]) -> dict[ImageId, Edit]:
        found = self._chunked("SELECT id, caption, alt_text, added, removed, decisions FROM edit WHERE id IN ({})", ids)
        return {
            ImageId(id): Edit(
                caption,
                alt_text,
                rows.labels_from_json(added),
                rows.labels_from_json(removed),
                rows.decisions_from_json(json.loads(decisions)),
            )
            for id, caption, alt_text, added, removed, decisions in found
        }

    def ordinals(self) -> BitMap:
        return BitMap(ordinal for (ordinal,) in self._rows("SELECT ordinal FROM image"))

    def phashes(self, ordinals: Ordinals | None = None) -> tuple[Ordinals, NDArray[np.uint64]]:
        known, hashes = self._phashes()
        asked = slice(None) if ordinals is None else np.isin(known, ordinals)
        return known[asked], hashes[asked]

    def near_phashes(self, phash: int, most: int) -> tuple[Ordinals, NDArray[np.uint64]]:
        known, hashes = self._phashes()
        near = distances(hashes, phash) <= most
        return known[near], hashes[near]

    def _phashes(self) -> tuple[Ordinals, NDArray[np.uint64]]:
        change = self.change
        if self._hashes is None or self._hashes[0] != change:
            found = self._rows("SELECT ordinal, phash FROM image ORDER BY ordinal")
            ordinals = np.array([ordinal for ordinal, _ in found], np.uint32)
            self._hashes = change, (ordinals, np.array([phash for _, phash in found], np.int64).view(np.uint64))
        return self._hashes[1]

    def embedding(self, ordinal: int, space: EmbeddingSpace) -> Vector | None:
        for _, vectors in self.embeddings(space, [ordinal]):
            return np.asarray(vectors[0], dtype=np.float32)
        return None

    def embeddings(
        self, space: EmbeddingSpace, ordinals: Sequence[int] | None = None
    ) -> Iterator[tuple[Ordinals, Matrix]]:
        """Yield vectors of a space in chunks, with their ordinals: of the images named, or of all."""
        found = self._rows("SELECT id FROM space WHERE fingerprint = ?", space.fingerprint)
        if not found:
            return
        number = int(found[0][0])
        if ordinals is None:
            with self._translated():
                sql = "SELECT ordinal, vector FROM embedding WHERE space = ? ORDER BY ordinal"
                pending = self._connection.execute(sql, (number,))
                while chunk := pending.fetchmany(10_000):
                    yield statements.matrix(chunk, space.dim)
            return
        sql = f"SELECT ordinal, vector FROM embedding WHERE space = {number} AND ordinal IN ({{}}) ORDER BY ordinal"
        chunk = self._chunked(sql, ordinals)
        if chunk:
            yield statements.matrix(chunk, space.dim)

    def changes_since(self, change: int) -> Changed:
        """Return what was written and deleted after a change number."""
        with self._translated():
            self._connection.execute("BEGIN")  # one view of all three
            try:
                upto = self.change
                upserted = self._rows(
                    "SELECT ordinal, changed FROM image WHERE changed > ? ORDER BY changed, ordinal", change
                )
                deleted = self._rows("SELECT ordinal FROM deleted WHERE changed > ?", change)
            finally:
                self._connection.execute("COMMIT")
        return Changed(upto, [o for o, _ in upserted], [at for _, at in upserted], BitMap(o for (o,) in deleted))

    def check(self) -> list[Problem]:
        """Return what is wrong with the catalogue itself; nothing, if all is well."""
        problems = [Problem(str(row[0]), FILE) for row in self._rows("PRAGMA quick_check") if row[0] != "ok"]
        problems += [
            Problem("a row points nowhere", f"{FILE}: {row[0]}") for row in self._rows("PRAGMA foreign_key_check")
        ]
        problems += [
            Problem("an image without a file", id)
            for (id,) in self._rows(
                "SELECT id FROM image WHERE ordinal NOT IN (SELECT ordinal FROM file WHERE ordinal)"
            )
        ]
        space = self.active_space()
        if space is not None:
            problems += self._check_vectors(space)
        return problems

    def _check_vectors(self, space: EmbeddingSpace) -> Iterator[Problem]:
        seen = BitMap()
        for ordinals, vectors in self.embeddings(space):
            lengths = np.linalg.norm(vectors, axis=1)
            seen |= BitMap(ordinals)
            for ordinal in ordinals[~(np.abs(lengths - 1) < 0.01)]:  # NaN is not near either
                yield Problem("a vector that is not of unit length", f"image number {ordinal}")
        for ordinal, id in self._rows("SELECT ordinal, id FROM image"):
            if ordinal not in seen:
                yield Problem("an image without a vector", id)

    # Moving to another catalogue

    def version(self) -> str:
        return str(self.change)

    def migration(self) -> Migrating | None:
        noted = self._meta("migrating")
        return Migrating(**json.loads(noted)) if noted else None

    def note_migration(self, migrating: Migrating | None) -> None:
        with self._transaction() as (connection, _):
            noted = None if migrating is None else json.dumps(asdict(migrating))
            statements.set_meta(connection, "migrating", noted)

    def drop_images(self, ordinals: BitMap) -> None:
        with self._transaction() as (connection, change):
            for ordinal in ordinals:
                statements.drop_images(connection, "ordinal = ?", (ordinal,), change)

    def stored_images(self, after: int, limit: int) -> list[StoredImage]:
        """Return all that is known of the ``limit`` images with the lowest ordinals above ``after``."""
        found = self._rows(
            f"SELECT {IMAGE_COLUMNS}, phash, models FROM image WHERE ordinal > ? ORDER BY ordinal LIMIT ?", after, limit
        )
        ordinals = [row[0] for row in found]
        done, tags = self._by_task(ordinals)
        vectors = self._all_vectors(ordinals)
        files: dict[int, list[tuple[Path, FileRow]]] = {}
        for ordinal, root, path, size, mtime_ns, inode, sidecars, text in self._chunked(
            "SELECT ordinal, root.path, file.path, size, mtime_ns, inode, sidecars, written"
            " FROM file JOIN root ON root.id = file.root WHERE ordinal IN ({}) ORDER BY root, file.path",
            ordinals,
        ):
            file = FileRow(os.fsdecode(path), size, mtime_ns, inode, sidecars, written.of_text(text))
            files.setdefault(ordinal, []).append((self._there(root), file))
        return [
            rows.stored_from_row(
                row, done.get(row[0], {}), tags.get(row[0], {}), vectors[row[0]], tuple(files.get(row[0], ()))
            )
            for row in found
        ]

    def _all_vectors(self, ordinals: Sequence[int]) -> dict[int, list[tuple[EmbeddingSpace, Vector]]]:
        """Return the vectors of images in every space, those of the active one first.

        An image that has none there, which only damage can make, gets one that is no number, as a damaged vector is.
        """
        active = self.active_space()
        spaces = [EmbeddingSpace(*row) for row in self._rows("SELECT name, dim, fingerprint FROM space ORDER BY id")]
        found: dict[int, list[tuple[EmbeddingSpace, Vector]]] = {ordinal: [] for ordinal in ordinals}
        for space in sorted(spaces, key=lambda space: space != active):
            for chunk, matrix in self.embeddings(space, ordinals):
                for ordinal, vector in zip(chunk, matrix, strict=True):
                    found[int(ordinal)].append((space, vector))
        for vectors in found.values():
            if not vectors:
                space = active or spaces[0]
                vectors.append((space, np.full(space.dim, np.nan, np.float32)))
        return found

    def store_images(self, images: Sequence[StoredImage]) -> None:
        """Take images over from another catalogue, with their ordinals, replacing those that are here already.

        An image here that has one of the ordinals goes.
        """
        with self._transaction() as (connection, change):
            for stored in images:
                files = tuple((self._stored(root), file) for root, file in stored.files)
                statements.take_over(connection, replace(stored, files=files), change)
            statements.drop_without_files(connection, change)

    def remains(self) -> Remains:
        """Return what there is besides images: folders, rejected files, decisions of people, the profile."""
        rejected = self._rows(
            "SELECT root.path, file.path, size, mtime_ns, inode, sidecars, reason"
            " FROM file JOIN root ON root.id = file.root WHERE ordinal IS NULL ORDER BY root, file.path"
        )
        return Remains(
            profile=self.profile,
            coming_profile=self.coming_profile,
            space=self.active_space(),
            calibration=self.calibration(),
            roots=tuple(root.path for root in self.roots()),
            rejected=tuple(
                (self._there(root), FileRow(os.fsdecode(path), *details), reason)
                for root, path, *details, reason in rejected
            ),
            edits=self._edits([id for (id,) in self._rows("SELECT id FROM edit")]),
            hidden=frozenset(ImageId(id) for (id,) in self._rows("SELECT id FROM hidden")),
            saved=self.saved_searches(),
            events=dict(self.events.everyone()),
        )

    def store_remains(self, remains: Remains) -> None:
        """Take over what another catalogue has besides images, in place of what is here; called before the images are.

        Folders that only this one knows stay known.
        """
        with self._transaction() as (connection, change):
            statements.set_meta(connection, "profile", remains.profile)
            statements.set_meta(connection, "coming_profile", remains.coming_profile)
            if remains.space is not None:
                statements.space_number(connection, remains.space)
            statements.set_meta(connection, "space", remains.space.fingerprint if remains.space else None)
            statements.set_calibration(connection, remains.calibration)
            statements.set_meta(connection, "saved", json.dumps(saved.to_json(remains.saved)))
            restore_events(connection, remains.events)
            for path in remains.roots:
                statements.root_number(connection, self._stored(path))
            connection.execute("DELETE FROM file WHERE ordinal IS NULL")
            for path, file, reason in remains.rejected:
                root = statements.root_number(connection, self._stored(path))
                connection.execute(statements.TOUCH_IMAGE_OF_FILE, (change, root, os.fsencode(file.path)))
                statements.write_file(connection, root, file, reason=reason)
            connection.execute("UPDATE image SET changed = ? WHERE id IN (SELECT id FROM edit)", (change,))
            connection.execute("DELETE FROM edit")
            for id, edit in remains.edits.items():
                statements.write_edit(connection, id, edit)
                connection.execute("UPDATE image SET changed = ? WHERE id = ?", (change, id))
            connection.execute("DELETE FROM hidden")
            for id in remains.hidden:
                connection.execute("INSERT OR IGNORE INTO hidden VALUES (?)", (id,))
                statements.drop_images(connection, "id = ?", (id,), change)
            statements.drop_without_files(connection, change)

    def _chunked(self, sql: str, keys: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(keys), CHUNK):
            part = list(keys[start : start + CHUNK])
            found += self._rows(sql.format(",".join("?" * len(part))), *part)
        return found


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the library's folder {data} cannot be made: {error.strerror}") from error


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn what SQLite raises into errors of ours, at this border."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_full(error, folder):
            raise StorageFull("the disk is full: nothing was changed; make room and try again") from error
        if "locked" in str(error):
            raise Unavailable("the catalogue is busy with another process; try again") from error
        raise ConfigError(f"the catalogue cannot be opened or written: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"the catalogue is damaged, or no catalogue: {error}") from error
