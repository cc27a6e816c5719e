"""Engines over random libraries that tests write to while they search, with vectors drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from planted import PlantedEncoder

from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow, NewImage
from search.config import load_config
from search.engine import SearchEngine
from search.stores import Stores, open_stores
from search.types import EmbeddingSpace, ImageRecord, Vector

SPACE = EmbeddingSpace("planted", 8, "e" * 32)


class Library:
    """A library that can be written to, and its engine."""

    def __init__(self, catalog: Catalog, stores: Stores) -> None:
        self.catalog = catalog
        self._stores = stores
        self._root = catalog.root(Path("/p"))
        self.engine = SearchEngine(
            records=catalog, tags=stores.tags, finder=stores.finder, encoder=PlantedEncoder(SPACE), cutoff=0.5
        )

    def add(self, records: Sequence[ImageRecord]) -> None:
        images = [_as_new(record) for record in records]
        files = [(FileRow(f"{record.id}/{path}", 1, 1, 1), record.id) for record in records for path in record.files]
        self.catalog.write(self._root, Batch(SPACE, images, files))
        self._stores.catch_up()

    def remove(self, record: ImageRecord) -> None:
        self.catalog.delete(record.id)
        self._stores.catch_up()

    def records(self) -> list[ImageRecord]:
        return self.catalog.records(list(self.catalog.ordinals()))


@contextmanager
def a_library_in(folder: Path, **options: object) -> Iterator[Library]:
    """Open a new library, embedded or as the ``options`` of the configuration say."""
    config = load_config(data=folder, **options)
    with open_catalog(config, create=True) as catalog:
        catalog.activate("lite", SPACE)
        stores = open_stores(config, catalog, SPACE)
        try:
            stores.catch_up()
            yield Library(catalog, stores)
        finally:
            stores.close()


def _as_new(record: ImageRecord) -> NewImage:
    return NewImage(
        id=record.id,
        width=record.width,
        height=record.height,
        mime_type=record.mime_type,
        bytes=record.bytes,
        phash=record.ordinal,
        models="m",
        vector=vector_of(record),
        tags={"test": record.tags},
        caption=record.caption,
        caption_source=record.caption_source,
        taken_at=record.taken_at,
        location=record.location,
    )


def vector_of(record: ImageRecord) -> Vector:
    """Return a unit vector that the id decides."""
    drawn = np.random.default_rng(int(record.id[:8], 16)).normal(size=SPACE.dim)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def with_id_of(record: ImageRecord, number: int) -> ImageRecord:
    """Return the same as another image."""
    return replace(record, id=type(record.id)(f"{number * 2654435761 % 2**32:08x}{number:024x}"))
