"""What a scan found against what the catalogue knows: which files are new, unchanged, moved or gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from indexer.scan import Found
from search.catalog.rows import KnownFile
from search.types import Rejected


@dataclass(slots=True)
class Changes:
    """Files by what is to be done with them. Paths are relative to the root."""

    unchanged: int = 0
    hidden: int = 0
    """Files of images that a person took out of the library."""
    to_read: list[Found] = field(default_factory=list)
    moved: list[tuple[str, Found]] = field(default_factory=list)
    """The path that the catalogue knows, and the file that is now elsewhere."""
    gone: list[str] = field(default_factory=list)
    told_anew: set[str] = field(default_factory=set)
    """Paths of those to read of which only the sidecars changed."""
    rejected: list[Rejected] = field(default_factory=list)
    """Not to be read (again): no such reader, or known to be broken and not changed since."""


def compare(scanned: Iterable[Found | Rejected], known: Mapping[str, KnownFile], *, models: str) -> Changes:
    """Return the changes since the last run, without opening a file.

    A file whose size and time are what they were, and those of its sidecars, is unchanged, unless ``models`` (the
    fingerprint of the profile) are other ones than those that annotated it. A new path with the inode, size, time and
    sidecars of a vanished one was moved.
    """
    changes, new = Changes(), []
    missing = dict(known)
    unreadable = []
    for found in scanned:
        if isinstance(found, Rejected):
            changes.rejected.append(found)
            missing.pop(found.path, None)
            unreadable.append("" if found.path == "." else found.path + "/")
            continue
        before = missing.pop(found.path, None)
        if before is None:
            new.append(found)
        elif (before.size, before.mtime_ns) != (found.size, found.mtime_ns):
            changes.to_read.append(found)
        elif before.reason is not None:
            changes.rejected.append(Rejected(found.path, before.reason))
        elif before.ordinal is None:
            changes.hidden += 1
        elif before.models != models:
            changes.to_read.append(found)
        elif before.sidecars != found.sidecars:
            changes.to_read.append(found)
            changes.told_anew.add(found.path)
        else:
            changes.unchanged += 1
    vanished = {
        (file.inode, file.size, file.mtime_ns, file.sidecars): path
        for path, file in missing.items()
        if file.ordinal is not None and file.models == models
    }
    for found in new:
        old = vanished.pop((found.inode, found.size, found.mtime_ns, found.sidecars), None)
        if old is None:
            changes.to_read.append(found)
        else:
            missing.pop(old)
            changes.moved.append((old, found))
    # What lies below a folder that could not be read is out of sight, not gone.
    changes.gone = [path for path in missing if not path.startswith(tuple(unreadable))]
    return changes
