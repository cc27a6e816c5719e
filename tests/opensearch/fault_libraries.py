"""Libraries for fault tests: images with random vectors, and pictures for the fastest of profiles."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pictures import a_picture, save

from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow, NewImage
from search.config import Config, load_config
from search.encoders.opening import open_encoder
from search.profile_file import read_profile
from search.stores import open_stores
from search.types import EmbeddingSpace, ImageId, Tag, TagKind

PROFILE = """
[embedding]
library = "lite"
"""


def a_config(store: str, urls: str, data: Path, **options: object) -> Config:
    """Return the options of a library of that folder's name, on a cluster of the test's own."""
    data.mkdir(parents=True)
    profile = data / "profile.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    return load_config(
        data=data,
        profile=str(profile),
        store=store,
        workers=1,
        batch_size=2,
        opensearch_url=urls,
        opensearch_prefix=data.name,
        opensearch_timeout_s=2,
        opensearch_write_wait_s=240,
        **options,
    )


def fill(config: Config, catalog: Catalog, count: int) -> None:
    """Fill a new library with so many images."""
    space = open_encoder(read_profile(config.profile)).space
    catalog.note_profile(config.profile)
    write(catalog, space, config.data / "files", count)
    catalog.activate(config.profile, space)
    catch_up(config, catalog, space)


def catch_up(config: Config, catalog: Catalog, space: EmbeddingSpace) -> None:
    stores = open_stores(config, catalog, space)
    stores.catch_up()
    stores.close()


def pictures(folder: Path, count: int) -> Path:
    """Fill a folder with small pictures, each distinct, and return it."""
    for number in range(count):
        save(folder / f"{number}.png", a_picture(number, (48, 32)))
    return folder


def write(catalog: Catalog, space: EmbeddingSpace, folder: Path, count: int) -> None:
    """Write so many images into a catalogue, which are in files of that folder."""
    root = catalog.root(folder)
    for batch in batches(space, folder, count):
        catalog.write(root, batch)


def batches(space: EmbeddingSpace, folder: Path, count: int, *, size: int = 500) -> Iterator[Batch]:
    """Yield images with random vectors and the label `boat`, each with a small file that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for start in range(0, count, size):
        batch = Batch(space)
        for number in range(start, min(start + size, count)):
            vector = rng.normal(size=space.dim).astype(np.float32)
            file = folder / f"{number}.jpg"
            file.write_bytes(b"x")
            id = ImageId(hashlib.sha256(str(file).encode()).hexdigest()[:32])
            batch.images.append(_an_image(id, vector / np.linalg.norm(vector)))
            batch.files.append((FileRow(file.name, 1, file.stat().st_mtime_ns, number), id))
        yield batch


def _an_image(id: ImageId, vector: np.ndarray) -> NewImage:
    boat = Tag(TagKind.OBJECT, "boat", 0.9, "detector")
    return NewImage(
        id=id,
        width=640,
        height=480,
        mime_type="image/jpeg",
        bytes=1,
        phash=int(id[:15], 16),
        models="made up",
        vector=vector,
        tags={"objects": (boat,)},
    )
