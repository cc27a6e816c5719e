"""An uploaded picture, or a file outside the library, turned into something to search by. Nothing of it is kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pebble import ProcessFuture

from indexer.decode import Decoded
from indexer.pool import DecodePool
from indexer.profiles import Profile, open_profile
from search.differences import Version
from search.engine import Picture
from search.errors import ImageTooLarge
from search.looks import look_of
from search.types import Box, ImageId

PARTS_REMEMBERED = 256


class PictureLookup:
    """Decodes in a process of its own, and loads the models at the first picture: many servers never see one."""

    def __init__(self, pool: DecodePool, profile_name: Callable[[], str], *, max_bytes: int) -> None:
        """``profile_name`` tells the library's profile of the moment."""
        self._pool = pool
        self._profile_name = profile_name
        self._max_bytes = max_bytes
        self._profile: Profile | None = None
        self._parts: OrderedDict[tuple[str, ImageId, Box], Picture] = OrderedDict()
        self._lock = threading.Lock()

    def picture(self, file: BinaryIO, box: Box | None = None) -> Picture:
        """Return what to search by for a picture in an open file, or for a part of it.

        Raises UnsupportedImage or ImageTooLarge; InvalidQuery where the part is too small.
        """
        data = file.read(self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise ImageTooLarge(f"a picture to search by may have {self._max_bytes:,} bytes")
        profile = self._opened_profile()
        if box is None:
            return self._annotated(profile, self._pool.submit_bytes(data, profile.decode_side))
        return self._annotated(profile, self._pool.submit_part(data, profile.decode_side, box))

    def part(self, id: ImageId, path: Path, box: Box) -> Picture:
        """Return what to search by for a part of an image of the library; ``path``: a file that holds it.

        Parts that were asked for lately are remembered: pages, filters and sort orders ask for the same one again.
        """
        profile = self._opened_profile()
        key = profile.name, id, box
        with self._lock:
            picture = self._parts.get(key)
        if picture is None:
            picture = self._annotated(profile, self._pool.submit_part_of_file(str(path), profile.decode_side, box))
        with self._lock:
            self._parts[key] = picture
            self._parts.move_to_end(key)
            while len(self._parts) > PARTS_REMEMBERED:
                self._parts.popitem(last=False)
        return picture

    def _opened_profile(self) -> Profile:
        name = self._profile_name()
        with self._lock:
            if self._profile is None or self._profile.name != name:
                # Who looks for something like a picture has not agreed to its being sent away, and does not pay.
                self._profile = open_profile(name, at_home=True)
            return self._profile

    def _annotated(self, profile: Profile, decoding: ProcessFuture[Decoded]) -> Picture:
        decoded = self._pool.result(decoding)
        image = decoded.image()
        with self._lock:
            annotation = profile.annotate([image])[0]
        version = Version(
            decoded.id, decoded.width, decoded.height, decoded.mime_type, decoded.size_bytes, look=look_of(image)
        )
        return Picture(annotation.vector, decoded.phash, annotation.all_tags, version)
