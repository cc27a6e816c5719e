"""Pictures that were sent, kept by their hash in the library's own folder, which nothing serves by path.

A file is written beside the others under a random name while it comes in, and gets its place when it is whole; so what
has a place is complete, and what a killed server left behind is known by its name and age.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from indexer.magic import HEAD, TAIL, suffix_of, why_refused, why_two_in_one
from search.errors import StorageFull
from search.mapped_files import flush_folder
from search.types import ImageId

FOLDER = "uploads"
INCOMING = ".incoming"
LEFT_BEHIND_S = 3_600
"""What is older and belongs to nobody was left by a process that was killed."""
LONGEST_NAME = 100
SPOKEN_NAME = 255
"""Characters of a sender's name for a file that are repeated to him."""
_KEPT = frozenset(" ._-()+,")


@dataclass(frozen=True, slots=True)
class Received:
    """A picture that came in whole, not yet in its place."""

    name: str
    """As it was sent."""
    id: ImageId
    path: str
    """Where it will be, below the folder."""
    incoming: Path


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not kept, and why."""

    name: str
    id: ImageId
    reason: str


class Uploads:
    """The folder of a library's uploads."""

    def __init__(self, data: Path, *, max_bytes: int, min_free_bytes: int = 0) -> None:
        self.folder = Path(os.path.abspath(data)) / FOLDER
        self._incoming = self.folder / INCOMING
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes

    def receive(self, name: str) -> Incoming:
        """Return where to write a file that comes in. Raises StorageFull."""
        with storing():
            self._incoming.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._incoming).free < self._min_free_bytes + self._max_bytes:
                raise StorageFull("the disk is nearly full: nothing was kept; make room and send it again")
        return Incoming(name, self._incoming / secrets.token_hex(16), self._max_bytes)

    def place(self, received: Received) -> tuple[str, bool]:
        """Put a picture in its place, for good, and return that, and whether it is new. Raises StorageFull.

        One that is there already, under whatever name, stays.
        """
        if there := self.path_of(received.id):
            received.incoming.unlink()
            return there, False
        path = self.folder / received.path
        with storing():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(received.incoming, path)
            flush_folder(path.parent)
        return received.path, True

    def forget(self, path: str) -> None:
        """Delete a picture and the folder that is its own."""
        (self.folder / path).unlink(missing_ok=True)
        try:
            (self.folder / path).parent.rmdir()
        except OSError:
            return  # it has another file, or is gone already

    def forget_image(self, id: ImageId) -> None:
        """Delete an image, if it was sent."""
        while path := self.path_of(id):
            self.forget(path)

    def path_of(self, id: ImageId) -> str | None:
        """Return where an image is below the folder; None if it was not sent, or is gone."""
        try:
            found = next((self.folder / id[:2] / id).iterdir(), None)
        except OSError:
            return None
        return None if found is None else found.relative_to(self.folder).as_posix()

    def sweep(self, wanted: Collection[str]) -> int:
        """Delete what killed processes left behind, and return how many files that were; ``wanted`` are to stay."""
        gone = 0
        for path in self.folder.glob("*/*/*"):
            if path.relative_to(self.folder).as_posix() not in wanted and _is_old(path):
                self.forget(path.relative_to(self.folder).as_posix())
                gone += 1
        for path in self._incoming.glob("*"):
            if _is_old(path):
                path.unlink(missing_ok=True)
                gone += 1
        return gone


class Incoming:
    """A file that comes in, in pieces: at no time is more than one of them in memory."""

    def __init__(self, name: str, path: Path, max_bytes: int) -> None:
        self._name = name
        self._path = path
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size = 0
        self._head = b""
        self._suffix: str | None = None
        self._reason: str | None = None
        self._file = _new(path)

    def write(self, data: bytes) -> None:
        """Take the next piece; what is no picture, or too large, is not written. Raises StorageFull."""
        self._hash.update(data)
        self._size += len(data)
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        if self._size > self._max_bytes:
            self._reason = f"the file has more than {self._max_bytes:,} bytes"
        if self._reason is None:
            with storing():
                self._file.write(data)

    def finish(self) -> Received | Refused:
        """Return what came in, safe on the disk; or why it was not kept. Raises StorageFull."""
        id = ImageId(self._hash.hexdigest()[:32])
        suffix = suffix_of(self._head)
        reason = self._reason or (None if suffix else why_refused(self._head)) or self._two_in_one()
        if reason or suffix is None:
            self.drop()
            return Refused(self._name[:SPOKEN_NAME], id, reason or "")
        with storing():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return Received(self._name[:SPOKEN_NAME], id, f"{id[:2]}/{id}/{safe_name(self._name, suffix)}", self._path)

    def _two_in_one(self) -> str | None:
        with storing():
            self._file.flush()
            with self._path.open("rb") as file:
                head = file.read(1024)
                file.seek(max(0, self._size - TAIL))
                return why_two_in_one(head, file.read())

    def drop(self) -> None:
        """Keep nothing of it."""
        try:
            self._file.close()
        except OSError:
            pass  # what it could not write any more, on a full disk
        finally:
            self._path.unlink(missing_ok=True)


def safe_name(name: str, suffix: str) -> str:
    """Return a name for a file whose sender called it ``name``: letters, digits and a few signs, no path, no dot first.

    >>> safe_name("../../etc/Grand-mère <3>.jpeg", "jpg")
    'Grand-mère _3_.jpg'
    """
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    stem = base.rpartition(".")[0] or base
    clean = "".join(c if c.isalnum() or c in _KEPT else "_" for c in stem).strip(" .")
    while len(clean.encode("utf-8", "ignore")) > LONGEST_NAME:
        clean = clean[:-1]
    return f"{clean.encode('utf-8', 'ignore').decode() or 'picture'}.{suffix}"


@contextmanager
def storing() -> Iterator[None]:
    """Turn what a full disk raises into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull("the disk is full: nothing was kept; make room and send it again") from error
        raise


def _new(path: Path) -> BinaryIO:
    with storing():
        return path.open("xb")


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - LEFT_BEHIND_S
    except OSError:
        return False
