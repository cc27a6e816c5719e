"""Keep tag store and vector index in step with the catalogue, whoever wrote to it."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from search.candidates import IndexFinder
from search.catalog.rows import Problem
from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import Config
from search.errors import Unavailable
from search.moderation import policy_of
from search.patience import patiently
from search.protocols import TagProjection
from search.review import hidden_images
from search.tags.sqlite_store import SqliteTagStore, bytes_of
from search.types import EmbeddingSpace, Filter
from search.vectors.faiss_index import FaissIndex

TAGS_FILE = "tags.sqlite"
VECTORS_FOLDER = "vectors"
OLD_VECTORS_FILE = "vectors.bin"
"""What earlier versions kept; made again from the catalogue."""
LOCK = "tags.lock"
CHUNK = 1000
MOMENT_S = 1.0


class Projections:
    """Tags in SQLite or OpenSearch, vectors in FAISS, each complete up to some change of the catalogue.

    Satisfies `search.stores.Stores`.
    """

    def __init__(self, catalog: SqliteCatalog, config: Config, space: EmbeddingSpace) -> None:
        self._catalog = catalog
        self._space = space
        self._policy = policy_of(config)
        self._wait_s = config.opensearch_write_wait_s
        self._lock = threading.Lock()
        self.tags = _open_tags(config)
        folder = vectors_path(catalog.data)
        self.vectors = FaissIndex(space, folder=catalog.data)
        self.finder = IndexFinder(self.tags, self.vectors, exact_limit=config.exact_limit)
        # Asked for anew only when the catalogue has changed: the tag store may be a server, and this is every request.
        self._tags_applied = 0
        self._vectors_applied = self.vectors.load(folder)

    def catch_up(self) -> None:
        """Apply what the catalogue has and the projections have not: nothing, mostly, and then it costs one look.

        This is also how a crash between the catalogue's commit and a projection's is mended. Waits for a server that
        is away as long as the options allow.
        """
        change = self._catalog.change
        if self._tags_applied >= change and self._vectors_applied >= change:
            return
        with self._lock:
            self._vectors_catch_up()
            patiently(self._tags_catch_up, wait_s=self._wait_s)

    def _tags_catch_up(self) -> None:
        with self._alone():
            changed = self._catalog.changes_since(self.tags.applied)
            # Each call is several requests where the tags are on a server; the last part notes that all is applied.
            if changed.deleted or not changed.upserted:
                self.tags.delete(changed.deleted, applied=None if changed.upserted else changed.upto)
            for ordinals, upto in changed.parts(CHUNK):
                self.tags.upsert(self._catalog.records(ordinals), applied=upto)
        self._tags_applied = changed.upto

    def _vectors_catch_up(self) -> None:
        changed = self._catalog.changes_since(self._vectors_applied)
        if self._vectors_applied == 0:
            for ordinals, vectors in self._catalog.embeddings(self._space):
                self.vectors.add(ordinals, vectors)
        else:
            for part in _chunks(changed.upserted):
                for ordinals, vectors in self._catalog.embeddings(self._space, part):
                    self.vectors.add(ordinals, vectors)
        self.vectors.remove(changed.deleted)
        self._vectors_applied = changed.upto

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the one process that applies changes: of two side by side, the slower would write what is older.

        Raises Unavailable where another one is at it for longer than a moment: it may be waiting for a server.
        """
        with (self._catalog.data / LOCK).open("w", encoding="utf-8") as file:
            until = time.monotonic() + MOMENT_S
            while not _locked(file):
                if time.monotonic() > until:
                    raise Unavailable("another process is bringing the tags up to date")
                time.sleep(0.02)
            yield

    def rebuild(self) -> None:
        """Make both projections again from the catalogue alone; queries go on meanwhile."""
        with self._lock, self._alone():
            changed = self._catalog.changes_since(0)
            parts = _chunks(changed.upserted)
            self.tags.rebuild((r for part in parts for r in self._catalog.records(part)), applied=changed.upto)
            self.vectors.clear()
            self._tags_applied, self._vectors_applied = changed.upto, 0
            self._vectors_catch_up()

    def check(self) -> list[Problem]:
        """Return where a projection does not agree with the catalogue."""
        wanted = self._catalog.ordinals()
        problems = []
        differing = self.tags.match(Filter()) ^ (wanted - hidden_images(self._catalog, self._policy))
        if differing:
            problems.append(Problem(f"{len(differing)} images differ from the catalogue", "tags"))
        wrong = 0
        for ordinals, vectors in self._catalog.embeddings(self._space):
            wrong += self.vectors.differing(ordinals, vectors)
        if wrong or len(self.vectors) != len(wanted):
            problems.append(Problem(f"{wrong} vectors differ from the catalogue", VECTORS_FOLDER))
        return problems

    def save(self) -> None:
        """Write beside the catalogue what the next start would else read image by image."""
        self.tags.save()
        self.vectors.save(vectors_path(self._catalog.data), self._vectors_applied)
        (self._catalog.data / OLD_VECTORS_FILE).unlink(missing_ok=True)

    def close(self) -> None:
        self.tags.close()


def _open_tags(config: Config) -> TagProjection:
    if config.store == "opensearch":
        from search.opensearch.client import connect
        from search.opensearch.tag_store import OpenSearchTagStore

        return OpenSearchTagStore(config, connect(config))
    return SqliteTagStore(config.data / TAGS_FILE, policy_of(config))


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _chunks(ordinals: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ordinals), CHUNK):
        yield ordinals[start : start + CHUNK]


def vectors_path(data: Path) -> Path:
    return data / VECTORS_FOLDER


def sizes(config: Config) -> dict[str, int]:
    """Return the bytes that each projection takes, without reading one into memory."""
    kept = vectors_path(config.data)
    vectors = sum(path.stat().st_size for path in kept.iterdir() if path.is_file()) if kept.is_dir() else 0
    return {"tags": _tags_size(config), "vectors": vectors}


def _tags_size(config: Config) -> int:
    if config.store != "opensearch":
        return bytes_of(config.data / TAGS_FILE)
    with closing(_open_tags(config)) as tags:
        return tags.size()
