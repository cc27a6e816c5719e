"""The files behind an image: the original on disk, and its thumbnails, a cache that is filled as needed."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from PIL import Image

from indexer.decode import encode_thumbnail
from indexer.pool import DecodePool
from search.catalog.protocol import Catalog
from search.errors import NotFound
from search.looks import THUMBNAIL_SIDE, thumbnail_path
from search.types import ImageId

SIZES = (256, THUMBNAIL_SIDE, 1024)


class Media:
    """Finds originals and makes thumbnails of one library."""

    def __init__(self, data: Path, catalog: Catalog, pool: DecodePool) -> None:
        self._folder = data / "thumbnails"
        self._catalog = catalog
        self._pool = pool

    def original(self, id: ImageId) -> tuple[Path, str]:
        """Return a file that holds the image, and its MIME type. Raises NotFound when every copy is gone or changed."""
        record = self._catalog.record(id)
        for path in self._catalog.locate(id):
            try:
                if path.stat().st_size == record.bytes:
                    return path, record.mime_type
            except OSError:
                continue
        raise NotFound(f"no file of image {id} is there any more, or it was changed: run `snapseek index` again")

    def thumbnail(self, id: ImageId, size: int) -> Path:
        """Return the WebP of one of `SIZES`, made now if it is not there yet."""
        path = self.path(id, size)
        if path.exists():
            return path
        if size < THUMBNAIL_SIDE:
            self._reduce(self.thumbnail(id, THUMBNAIL_SIDE), path, size)
        else:
            self._make(id, path, size)
        return path

    def store(self, id: ImageId, thumbnail: bytes) -> None:
        """Keep the thumbnail that decoding made."""
        _write(self.path(id, THUMBNAIL_SIDE), thumbnail)

    def forget(self, id: ImageId) -> None:
        for size in SIZES:
            self.path(id, size).unlink(missing_ok=True)

    def path(self, id: ImageId, size: int) -> Path:
        return thumbnail_path(self._folder, id, size)

    def _make(self, id: ImageId, path: Path, size: int) -> None:
        decoded = self._pool.result(self._pool.submit_file(str(self.original(id)[0]), size))
        _write(path, decoded.thumbnail if size == THUMBNAIL_SIDE else encode_thumbnail(decoded.image(), size))

    @staticmethod
    def _reduce(source: Path, path: Path, size: int) -> None:
        with Image.open(io.BytesIO(source.read_bytes()), formats=["WEBP"]) as image:
            _write(path, encode_thumbnail(image.convert("RGB"), size))


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
