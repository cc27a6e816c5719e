"""An uploaded picture, or a file outside the library, turned into something to search by. Nothing of it is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO

from indexer.pool import DecodePool
from indexer.profiles import Profile, open_profile
from search.engine import Picture
from search.errors import ImageTooLarge


class PictureLookup:
    """Decodes in a process of its own, and loads the models at the first picture: many servers never see one."""

    def __init__(self, pool: DecodePool, profile_name: Callable[[], str], *, max_bytes: int) -> None:
        """``profile_name`` tells the library's profile of the moment."""
        self._pool = pool
        self._profile_name = profile_name
        self._max_bytes = max_bytes
        self._profile: Profile | None = None
        self._lock = threading.Lock()

    def picture(self, file: BinaryIO) -> Picture:
        """Return what to search by for a picture in an open file. Raises UnsupportedImage or ImageTooLarge."""
        data = file.read(self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise ImageTooLarge(f"a picture to search by may have {self._max_bytes:,} bytes")
        name = self._profile_name()
        with self._lock:
            profile = self._profile
            if profile is None or profile.name != name:
                profile = self._profile = open_profile(name)
        decoded = self._pool.result(self._pool.submit_bytes(data, profile.decode_side))
        with self._lock:
            annotation = profile.annotate([decoded.image()])[0]
        return Picture(annotation.vector, decoded.phash, annotation.all_tags)
