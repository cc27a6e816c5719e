"""The files behind an image: the original on disk, and its thumbnails, a cache that is filled as needed."""

from __future__ import annotations

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from indexer.decode import encode_thumbnail
from indexer.pool import DecodePool
from search.catalog.protocol import Catalog
from search.errors import NotFound
from search.looks import THUMBNAIL_SIDE, thumbnail_path
from search.types import ImageId
from search.whole_files import write_whole

log = logging.getLogger(__name__)

SIZES = (256, THUMBNAIL_SIDE, 1024)
AVIF = {"quality": 55, "speed": 8, "max_threads": 1}
"""Two thirds of the bytes of our WebP at the same look, 40 photos; 30 to 60 ms each, so never while someone waits."""
MOST_WAITING = 512
"""Thumbnails that wait to be written as AVIF; what is more is asked for again."""


class Media:
    """Finds originals and makes thumbnails of one library."""

    def __init__(self, data: Path, catalog: Catalog, pool: DecodePool) -> None:
        self._folder = data / "thumbnails"
        self._catalog = catalog
        self._pool = pool
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="avif")
        self._waiting: set[Path] = set()

    def close(self) -> None:
        self._writing.shutdown(wait=True, cancel_futures=True)

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

    def avif(self, id: ImageId, size: int) -> Path | None:
        """Return the AVIF of a thumbnail, if it is there; if not, it will be, and the WebP serves meanwhile."""
        source = self.thumbnail(id, size)
        path = source.with_suffix(".avif")
        if path.exists():
            return path
        if path not in self._waiting and len(self._waiting) < MOST_WAITING:
            self._waiting.add(path)
            self._writing.submit(self._write_avif, source, path)
        return None

    def _write_avif(self, source: Path, path: Path) -> None:
        try:
            with Image.open(io.BytesIO(source.read_bytes()), formats=["WEBP"]) as image:
                buffer = io.BytesIO()
                image.convert("RGB").save(buffer, "AVIF", **AVIF)
            _write(path, buffer.getvalue())
        except OSError as error:  # it was taken out meanwhile, or the disk is full
            log.warning("no AVIF of %s: %s", source.name, error)
        finally:
            self._waiting.discard(path)

    def store(self, id: ImageId, thumbnail: bytes) -> None:
        """Keep the thumbnail that decoding made."""
        _write(self.path(id, THUMBNAIL_SIDE), thumbnail)

    def forget(self, id: ImageId) -> None:
        for size in SIZES:
            for path in (self.path(id, size), self.path(id, size).with_suffix(".avif")):
                path.unlink(missing_ok=True)

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
    """Write a file, and the folder that it is in where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
