"""The embedded tag store: SQLite keeps, FTS5 finds words, bitmaps and arrays in memory filter and count.

Each write raises a counter in the file. Each read looks at it (10 µs) and takes in what changed since, so that a
server sees what an indexer in another process writes.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyroaring import BitMap

from search.connections import Connections
from search.errors import Unavailable
from search.facets import FacetWish, check_ranges, facet_named
from search.moderation import DEFAULT_POLICY, Policy
from search.tags import counting, fulltext, schema, sharing, snapshot, terms
from search.tags.projection import Entry, Projection, Value
from search.tags.rows import Row, row_of
from search.transactions import transaction
from search.types import (
    Facet,
    Filter,
    ImageRecord,
    Keys,
    Order,
    Ordinals,
    Place,
    Range,
    Scores,
    TagKind,
)
from search.words import fold, writable

SNAPSHOT_BEHIND = 0.05
"""Share of the images that may be read from their rows when the store is opened, before a new snapshot is written."""

ALL_ROWS = "SELECT ordinal, width, height, taken, postings FROM image WHERE changed > ? ORDER BY ordinal"
CHANGED_ROWS = ALL_ROWS.replace("image", "image INDEXED BY image_changed")
"""The same of a few: SQLite would rather go over a million images in their order than sort a hundred."""

COMPLETED_FIELDS = tuple(kind.value for kind in TagKind if kind not in (TagKind.TEXT, TagKind.MODERATION))


class SqliteTagStore:
    """Filters, words and facet counts over the records, in one SQLite file that can be made again.

    Safe for threads, and for several processes on one file. Raises Unavailable where SQLite fails.
    """

    def __init__(self, path: Path, policy: Policy = DEFAULT_POLICY) -> None:
        """``policy``: which images are left out; another one than before makes the store anew."""
        self._path = path
        self._policy = policy
        self._lock = threading.RLock()
        self._connections = Connections(lambda: schema.connect(path))
        self._projection = Projection()
        self._made, self._seen = 0, -1
        self._since_snapshot = 0
        self._words = fulltext.WordScores()
        with _translated():
            schema.prepare(path, policy.key)
        with self._reading():
            pass  # loads the projection now rather than in the first query

    def close(self) -> None:
        """Close every thread's connection; the store cannot be used afterwards."""
        with self._lock:
            self._connections.close()

    @property
    def applied(self) -> int:
        """The change number of the catalogue up to which this projection is complete; 0 for a new one."""
        with _translated():
            return _number(self._connection(), "applied")

    def upsert(self, records: Iterable[ImageRecord], *, applied: int | None = None) -> None:
        """Add records, replacing those whose ordinal is there already. All or nothing; visible to the next call.

        ``applied`` is stored with them.
        """
        with self._writing(applied) as (connection, change):
            value_id = _numbering(connection)
            for record in records:
                if self._policy.hides(record):
                    _delete(connection, record.ordinal, change)
                else:
                    _write(connection, row_of(record, value_id), change)

    def delete(self, ordinals: BitMap, *, applied: int | None = None) -> int:
        """Remove records and return how many were there. ``applied`` is stored with it."""
        with self._writing(applied) as (connection, change):
            return sum(_delete(connection, ordinal, change) for ordinal in ordinals)

    def rebuild(self, records: Iterable[ImageRecord], *, applied: int) -> None:
        """Hold these records and no others. Until they are all in, queries are answered by those that were there."""
        with self._writing(applied) as (connection, change):
            schema.make_anew(connection, self._policy.key)
            value_id = _numbering(connection)
            for record in records:
                if self._policy.hides(record):
                    _delete(connection, record.ordinal, change)
                else:
                    _write(connection, row_of(record, value_id), change)

    def save(self) -> None:
        """Write what is in memory to the disk, if the next start would else read much from the rows."""
        with self._reading() as (projection, connection):
            images = len(projection.alive)
            if self._since_snapshot <= images * SNAPSHOT_BEHIND:
                return
        words, upto = self._common_words(connection, images)  # takes a while, and queries go on meanwhile
        with self._reading() as (projection, connection):
            changed = connection.execute("SELECT ordinal FROM image WHERE changed > ?", (upto,))
            name = uuid.uuid4().hex
            folder = snapshot_path(self._path)
            snapshot.write(folder, name, projection, words, BitMap(ordinal for (ordinal,) in changed))
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('snapshot', ?)", (f"{name} {self._seen}",))
            self._since_snapshot = 0

    def _common_words(self, connection: sqlite3.Connection, images: int) -> tuple[dict[str, fulltext.Kept], int]:
        """Return what the words that many images hold score, and the change at which they do."""
        with _translated():
            fulltext.prepare(connection)
            connection.execute("BEGIN")  # one state of the file for all of them
            try:
                upto = _number(connection, "changes")
                return dict(fulltext.common(connection, images)), upto
            finally:
                connection.execute("COMMIT")

    def size(self) -> int:
        """Return the bytes of the file and its log."""
        return bytes_of(self._path)

    @property
    def cheap_matches(self) -> int | None:
        return None

    def match(self, filter: Filter, *, limit: int | None = None) -> BitMap:
        """Return the ordinals that satisfy every term; an empty filter matches all. At most ``limit``, lowest first."""
        with self._reading() as (projection, connection):
            found = terms.match(filter, projection, connection)
        return found if limit is None else found[:limit]

    def count(self, filter: Filter) -> int:
        return len(self.match(filter))

    def among(self, filters: Sequence[Filter], ordinals: BitMap) -> BitMap:
        """Return which of the ordinals satisfy at least one of the filters."""
        with self._reading() as (projection, connection):
            return BitMap.union(BitMap(), *(terms.match(f, projection, connection) & ordinals for f in filters))

    def in_order(
        self, order: Order, filter: Filter, *, within: BitMap | None = None, after: Place | None = None, k: int
    ) -> tuple[Ordinals, Keys]:
        """Return the next k images ``after`` a place, and their keys, of those that match and lie ``within``.

        By date, those without one come last, last indexed first. The image at the place need not be there any more.
        """
        with self._reading() as (projection, connection):
            return projection.in_order(order, _scope(filter, within, projection, connection), after=after, k=k)

    def search_text(
        self, text: str, *, filter: Filter, within: BitMap | None = None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k best by BM25 over caption, labels, OCR text and path, best first; any text is safe to pass.

        Only images that match ``filter`` and lie ``within``. Words are stemmed and any of them may match; scores are
        positive. Ties: lower ordinal first.
        """
        with self._reading() as (projection, connection):
            allowed = _scope(filter, within, projection, connection) if filter or within is not None else None
        with _translated():
            return self._words.search(connection, text, allowed, k)

    def search_labels(
        self, labels: Mapping[tuple[TagKind, str], float], *, filter: Filter, within: BitMap | None = None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k images that share most of the labels, with the share (0–1) of their weight, best first.

        Only images that match ``filter`` and lie ``within``; those that share nothing are left out. Ties: lower
        ordinal first.
        """
        with self._reading() as (projection, connection):
            return sharing.search(labels, projection, _scope(filter, within, projection, connection), k)

    def facets(
        self,
        names: Collection[str],
        filter: Filter,
        *,
        within: BitMap | None,
        size: int,
        prefix: str = "",
        conjunctive: Collection[str] = (),
    ) -> list[Facet]:
        """Return each named facet's top ``size`` values over the images that match ``filter`` and lie ``within``.

        Disjunctive: a facet's own selection is left out of its own counts unless it is ``conjunctive``, all other terms
        apply. With a ``prefix``, only values with a word that starts so are listed. Selected values are always listed.
        By count, then value. Raises InvalidQuery for a name that is no facet.
        """
        specs = [facet_named(name) for name in dict.fromkeys(names)]
        wish = FacetWish(size, prefix, tuple(conjunctive))
        with self._reading() as (projection, connection):
            return counting.facets(specs, filter, projection, connection, within=within, wish=wish)

    def ranges(self, names: Collection[str], filter: Filter, *, within: BitMap | None) -> list[Range]:
        """Return the least and greatest number of each named field over the images that match and lie ``within``.

        A field's own selection is left out, as for facets; so is a field that none of the images has.
        """
        check_ranges(names)
        with self._reading() as (projection, connection):
            return counting.ranges(names, filter, projection, connection, within=within)

    def labels(self, prefix: str, *, k: int) -> list[tuple[str, str, int]]:
        """Return (kind, label, image count) of the k commonest labels with a word that starts with ``prefix``."""
        beginning = f" {fold(prefix)}"
        with self._reading() as (projection, _):
            counts = projection.count(COMPLETED_FIELDS, projection.alive)
        found = [
            (field, label, count)
            for field, by_label in counts.items()
            for label, count in by_label.items()
            if beginning in f" {fold(label)}"
        ]
        return sorted(found, key=lambda item: (-item[2], item[1], item[0]))[:k]

    def labels_named(self, names: Collection[str]) -> list[tuple[str, str, int]]:
        """Return (kind, label, image count) of the labels that are one of the names, whatever their case."""
        keys = [(field, name) for name in {fold(name) for name in names} for field in COMPLETED_FIELDS]
        with self._reading() as (projection, _):
            known = [projection.values[key] for key in keys if key in projection.values]
            found = [(value.field, value.label, len(projection.having([value]))) for value in known]
        return sorted((one for one in found if one[2]), key=lambda item: (-item[2], item[1], item[0]))

    def counts(self, filters: Sequence[Filter]) -> list[int]:
        """Return how many images match each filter."""
        with self._reading() as (projection, connection):
            return [len(terms.match(filter, projection, connection)) for filter in filters]

    def __len__(self) -> int:
        with self._reading() as (projection, _):
            return len(projection.alive)

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        return self._connections.get()

    @contextmanager
    def _reading(self) -> Iterator[tuple[Projection, sqlite3.Connection]]:
        """Lock the projection, brought up to date, for a read."""
        with self._lock, _translated():
            connection = self._connection()
            self._refresh(connection)
            yield self._projection, connection

    @contextmanager
    def _writing(self, applied: int | None) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Run a transaction and yield the connection and the number of this change."""
        with _translated():
            connection = self._connection()
            with transaction(connection):
                change = _number(connection, "changes") + 1
                yield connection, change
                _set_number(connection, "changes", change)
                if applied is not None:
                    _set_number(connection, "applied", applied)

    def _refresh(self, connection: sqlite3.Connection) -> None:
        """Take in what was written, here or by another process, since the last look."""
        if (_number(connection, "made"), _number(connection, "changes")) == (self._made, self._seen):
            return
        connection.execute("BEGIN")  # one state of the file for the three reads
        try:
            made, changes = _number(connection, "made"), _number(connection, "changes")
            if made != self._made:  # a new file, or one that was made anew
                self._words.forget()
                self._projection, self._seen = self._snapshot(connection)
                self._made, self._since_snapshot = made, 0
            known = "SELECT id, field, folded, label FROM value WHERE id > ? ORDER BY id"
            self._projection.add_values(
                [Value(*row) for row in connection.execute(known, (self._projection.last_value,))]
            )
            changed = ALL_ROWS if self._seen < 0 else CHANGED_ROWS
            entries = [Entry(*row) for row in connection.execute(changed, (self._seen,))]
            self._projection.apply(entries)
            self._words.note(BitMap(entry.ordinal for entry in entries))
            self._since_snapshot += len(entries)
            self._seen = changes
        finally:
            connection.execute("COMMIT")

    def _snapshot(self, connection: sqlite3.Connection) -> tuple[Projection, int]:
        """Return the projection as it was saved, and the change that it is complete up to."""
        row = connection.execute("SELECT value FROM meta WHERE key = 'snapshot'").fetchone()
        if row is not None:
            name, seen = row[0].split()
            kept = snapshot.read(snapshot_path(self._path), name)
            if kept is not None:
                projection, words = kept
                self._words.restore(words)
                return projection, int(seen)
        return Projection(), -1


def snapshot_path(path: Path) -> Path:
    """Return the folder of the snapshot of a store's file."""
    return path.with_suffix(".snapshot")


def _scope(filter: Filter, within: BitMap | None, projection: Projection, connection: sqlite3.Connection) -> BitMap:
    """Return the images that match and lie within."""
    found = terms.match(filter, projection, connection)
    return found if within is None else found & within


def bytes_of(path: Path) -> int:
    """Return the bytes of a store's file, its log and its snapshot; 0 where there is none."""
    parts = (*path.parent.glob(f"{path.name}*"), *snapshot_path(path).glob("*"))
    return sum(part.stat().st_size for part in parts)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"the tag store cannot be used: {error}") from error


def _number(connection: sqlite3.Connection, key: str) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


def _set_number(connection: sqlite3.Connection, key: str, number: int) -> None:
    connection.execute("UPDATE meta SET value = ? WHERE key = ?", (str(number), key))


def _numbering(connection: sqlite3.Connection) -> Callable[[str, str], int]:
    """Return a function that numbers (field, label), with new numbers for new ones, within one transaction."""
    known: dict[tuple[str, str], int] = {}

    def value_id(field: str, label: str) -> int:
        key = field, fold(label)
        if key not in known:
            new = "INSERT INTO value (field, folded, label) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            connection.execute(new, (*key, writable(label)))
            row = connection.execute("SELECT id FROM value WHERE field = ? AND folded = ?", key).fetchone()
            known[key] = int(row[0])
        return known[key]

    return value_id


def _write(connection: sqlite3.Connection, row: Row, change: int) -> None:
    _delete(connection, row.ordinal, change)
    connection.execute(
        "INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.ordinal, change, row.width, row.height, row.taken, row.postings, row.texts),
    )
    connection.executemany("INSERT INTO path VALUES (?, ?)", [(path, row.ordinal) for path in row.paths])
    connection.execute(
        "INSERT INTO words (rowid, caption, alt_text, labels, unsure, ocr, path) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.ordinal, *row.document),
    )


def _delete(connection: sqlite3.Connection, ordinal: int, change: int) -> int:
    """Return 1 if the image was there; its row stays as a mark for other processes that it is gone."""
    gone = "UPDATE image SET postings = NULL, texts = NULL, changed = ? WHERE ordinal = ? AND postings IS NOT NULL"
    if not connection.execute(gone, (change, ordinal)).rowcount:
        return 0
    connection.execute("DELETE FROM path WHERE ordinal = ?", (ordinal,))
    connection.execute("DELETE FROM words WHERE rowid = ?", (ordinal,))
    return 1
