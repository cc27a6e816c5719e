"""Keep tag store and vector index in step with the catalogue, whoever wrote to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.catalog.sqlite_catalog import Catalog
from search.tags.sqlite_store import SqliteTagStore
from search.types import EmbeddingSpace
from search.vectors.faiss_index import FaissIndex

TAGS_FILE = "tags.sqlite"
VECTORS_FILE = "vectors.bin"
CHUNK = 1000


class Projections:
    """The tag store and the vector index of a library, each complete up to some change of the catalogue."""

    def __init__(self, catalog: Catalog, space: EmbeddingSpace, *, ann_from: int) -> None:
        self._catalog = catalog
        self._space = space
        self._lock = threading.Lock()
        self.tags = SqliteTagStore(catalog.data / TAGS_FILE)
        self.vectors = FaissIndex(space, ann_from=ann_from)
        self._vectors_applied = self.vectors.load(catalog.data / VECTORS_FILE)
        self.catch_up()

    def catch_up(self) -> None:
        """Apply what the catalogue has and the projections have not: nothing, mostly, and then it costs one look.

        This is also how a crash between the catalogue's commit and a projection's is mended.
        """
        change = self._catalog.change
        if self.tags.applied >= change and self._vectors_applied >= change:
            return
        with self._lock:
            self._tags_catch_up()
            self._vectors_catch_up()

    def _tags_catch_up(self) -> None:
        changed = self._catalog.changes_since(self.tags.applied)
        for ordinals in _chunks(changed.upserted):
            self.tags.upsert(self._catalog.records(ordinals))
        self.tags.delete(changed.deleted, applied=changed.upto)

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

    def save(self) -> None:
        """Write the vector index beside the catalogue, so that the next start need not read every vector there."""
        self.vectors.save(vectors_path(self._catalog.data), self._vectors_applied)

    def close(self) -> None:
        self.tags.close()


def _chunks(ordinals: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ordinals), CHUNK):
        yield ordinals[start : start + CHUNK]


def vectors_path(data: Path) -> Path:
    return data / VECTORS_FILE
