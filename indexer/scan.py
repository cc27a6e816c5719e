"""Walk folders for pictures. Only `stat` is called: an unchanged folder is scanned without opening a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from indexer import sidecars
from indexer.magic import HEAD, suffix_of
from search.types import Rejected

PICTURES = frozenset(
    "jpg jpeg jpe jfif mpo png apng webp gif tif tiff bmp dib avif avifs jp2 j2k j2c jpx jpf heic heif hif".split()  # noqa: SIM905
)
RAW = ("cr2", "cr3", "nef", "nrw", "arw", "srf", "sr2", "dng", "orf", "rw2", "raf", "pef", "srw", "x3f", "3fr", "iiq")
UNSUPPORTED = {
    **dict.fromkeys(("svg", "svgz"), "SVG is a vector format, which is not supported"),
    **dict.fromkeys(RAW, "camera RAW is not supported: export the photo as JPEG beside it"),
}
"""Names that claim to be a picture and that no reader of ours takes: rejected without being opened."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a picture. ``path`` is relative to the scanned root, with slashes."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    sidecars: str = ""
    """Which there are, as `indexer.sidecars.told` has it."""


def scan(root: Path, within: PurePosixPath, *, skip: frozenset[Path] = frozenset()) -> Iterator[Found | Rejected]:
    """Yield every picture below ``root / within``, sorted within a folder; unreadable folders as rejected.

    Hidden files and folders, and the folders in ``skip``, are passed over, as is what is no picture by its name.
    A file without an extension counts if its first bytes are a picture's. Links to files are followed, links to
    folders are not: they make loops.
    """
    start = root / within
    if start.is_file():
        found = _file(os.fspath(start), within.as_posix())
        if found:
            yield _with_sidecars(found, sidecars.beside(os.fspath(start)))
        return
    skipped = {os.fspath(path) for path in skip}
    folders = [within.as_posix()]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Rejected(folder, f"the folder cannot be read: {error.strerror}")
            continue
        # Names are joined as text: a `Path` for each of a hundred thousand files took most of the scan.
        below = "" if folder == "." else f"{folder}/"
        inner = []
        beside = sidecars.listed(listed)
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in skipped:
                    inner.append(below + entry.name)
            elif found := _file(entry.path, below + entry.name, entry):
                yield _with_sidecars(found, beside) if beside else found
        folders.extend(reversed(inner))


def _file(path: str, relative: str, entry: os.DirEntry[str] | None = None) -> Found | Rejected | None:
    suffix = os.path.splitext(path)[1][1:].lower()
    if suffix and suffix not in PICTURES and suffix not in UNSUPPORTED:
        return None
    try:
        status = entry.stat() if entry else os.stat(path)
        if not stat.S_ISREG(status.st_mode) or (not suffix and not _looks_like_a_picture(path)):
            return None
    except OSError as error:
        return Rejected(relative, f"the file cannot be read: {error.strerror}")
    if reason := UNSUPPORTED.get(suffix):
        return Rejected(relative, reason)
    return Found(relative, status.st_size, status.st_mtime_ns, status.st_ino)


def _with_sidecars(found: Found | Rejected, there: Mapping[str, tuple[str, sidecars.Status]]) -> Found | Rejected:
    if isinstance(found, Rejected) or not there:
        return found
    told = sidecars.told(os.path.basename(found.path), there)
    return replace(found, sidecars=told) if told else found


def _looks_like_a_picture(path: str) -> bool:
    with open(path, "rb") as file:
        return suffix_of(file.read(HEAD)) is not None


def scan_files(root: Path, paths: Iterable[str]) -> Iterator[Found | Rejected]:
    """Yield those of some files that are still there."""
    for path in sorted(paths):
        whole = os.path.join(root, path)
        if os.path.isfile(whole):
            found = _file(whole, path)
            if found:
                yield _with_sidecars(found, sidecars.beside(whole))
