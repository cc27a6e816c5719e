"""Folders that are watched: what changes there is indexed once it is at rest.

File events only say where to look; what changed is found by a scan, as in every other run. So an event too many does
no harm, and one that was lost is made good by the whole scan that comes every `watch_rescan_s`, and after a flood.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import Change, watch

from indexer.pipeline import Indexing, Progress
from indexer.report import IndexReport
from indexer.scan import PICTURES, UNSUPPORTED
from indexer.sidecars import is_sidecar
from search.config import Config
from search.errors import ConfigError, Conflict, Unavailable

log = logging.getLogger(__name__)

REST_S = 2.0
"""A file that has neither grown nor been touched for so long is whole; the folder's other files do not wait for it."""
LOOK_MS = 500
POLL_MS = 5_000
"""So often folders are gone over that give no events: those of other machines."""
FLOOD = 5_000
"""Changes at a time after which some may have been lost: the system keeps 16,384 of them."""
PAUSE_S = 5.0
"""Before the next attempt, where another run has the library or a server is away."""
REMOTE = frozenset("nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre vboxsf virtiofs drvfs fuse.sshfs".split())  # noqa: SIM905
"""File systems whose other writers are on other machines, of whom no event tells."""

Events = Iterable[set[tuple[Change, str]]]


@dataclass(slots=True)
class Waiting:
    """What has changed and is not indexed yet."""

    folders: set[Path] = field(default_factory=set)
    """To be scanned."""
    unsettled: dict[Path, tuple[tuple[int, int] | None, float]] = field(default_factory=dict)
    """Files that may still be written: their size and time, and since when these are so."""
    everything: bool = False

    def note(self, changes: Collection[tuple[Change, Path]], now: float) -> None:
        """Take in events. A folder is looked at from above, so that one that was renamed is seen under both names."""
        self.everything |= len(changes) > FLOOD
        for change, path in changes:
            self.folders.add(path.parent)
            if change is not Change.deleted and path.is_file() and _is_fresh(path):
                self.unsettled[path] = _state(path), now

    def settle(self, now: float) -> list[Path]:
        """Return the files that are not at rest yet."""
        for path, (before, since) in list(self.unsettled.items()):
            state = _state(path)
            if state != before:
                self.unsettled[path] = state, now
            elif now - since >= REST_S:
                del self.unsettled[path]
        return list(self.unsettled)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_fresh(path: Path) -> bool:
    """Return whether somebody may still be writing: what was only renamed keeps its time."""
    try:
        return time.time() - path.stat().st_mtime < REST_S
    except OSError:
        return False


def _concerns(change: Change, path: Path) -> bool:
    suffix = path.suffix[1:].lower()
    if not suffix or suffix in PICTURES or suffix in UNSUPPORTED or is_sidecar(path.name) or change is Change.deleted:
        return True
    return path.is_dir()


class Watch:
    """Index runs over some folders whenever something changed in them."""

    def __init__(
        self,
        config: Config,
        folders: Sequence[Path],
        *,
        progress: Progress,
        stopping: threading.Event,
        seen: Callable[[IndexReport], None],
    ) -> None:
        """``seen`` is told of each run in which something changed. Raises ConfigError for what is no folder."""
        self._config = config
        self._folders = [Path(os.path.abspath(folder)) for folder in folders]
        for folder in self._folders:
            if not folder.is_dir():
                raise ConfigError(f"--watch watches folders, and {folder} is none")
        self._progress = progress
        self._stopping = stopping
        self._seen = seen
        self._skip = Path(os.path.abspath(config.data))

    def run(self) -> None:
        """Index everything, then what changes, until told to stop."""
        with Indexing(self._config, self._progress, self._stopping) as indexing:
            waiting = Waiting(everything=True)
            scanned = time.monotonic()
            for changes in self._events():
                now = time.monotonic()
                waiting.note(self._of_pictures(changes), now)
                leave = waiting.settle(now)
                if waiting.everything or now - scanned > self._config.watch_rescan_s:
                    folders = [folder for folder in self._folders if folder.is_dir()]
                    waiting.everything, scanned = False, now
                else:
                    folders = self._to_scan(waiting.folders)
                if not folders or self._stopping.is_set():
                    continue
                waiting.folders = {path.parent for path in leave}
                if not self._index(indexing, folders, leave):
                    waiting.folders |= set(folders)
                    self._stopping.wait(PAUSE_S)

    def _of_pictures(self, changes: Collection[tuple[Change, str]]) -> list[tuple[Change, Path]]:
        """Return those that may be of pictures: not of the library itself, nor of what a scan passes over."""
        found = []
        for change, name in changes:
            path = Path(name)
            root = next((folder for folder in self._folders if folder in path.parents), None)
            if root is None or path.is_relative_to(self._skip):
                continue
            if not any(part.startswith(".") for part in path.relative_to(root).parts) and _concerns(change, path):
                found.append((change, path))
        return found

    def _to_scan(self, changed: Collection[Path]) -> list[Path]:
        """Return one folder below each that is watched: what was moved is known again where one scan sees both ends."""
        found = []
        for root in self._folders:
            inside = [folder for folder in changed if folder.is_relative_to(root)]
            if inside:
                common = Path(os.path.commonpath(inside))
                while not common.is_dir() and common != root:
                    common = common.parent
                if common.is_dir():
                    found.append(common)
        return found

    def _index(self, indexing: Indexing, folders: list[Path], leave: list[Path]) -> bool:
        """Return whether it could be done now."""
        try:
            report = indexing.run(folders, leave=leave)
        except (Conflict, Unavailable) as error:
            log.info("%s; trying again", error)
            return False
        except ConfigError as error:  # a disk that was taken out looks like an empty folder
            log.warning("%s", error)
            return True
        if report.indexed or report.moved or report.removed or report.duplicates or report.told_anew:
            self._seen(report)
        return True

    def _events(self) -> Iterator[set[tuple[Change, str]]]:
        """Yield changes, or none every half second; go over the folders where the system tells of none."""
        polling = any(map(is_remote, self._folders))
        while not self._stopping.is_set():
            there = [folder for folder in self._folders if folder.is_dir()]
            began = {folder: _identity(folder) for folder in there}
            if not there:
                self._stopping.wait(PAUSE_S)
                continue
            try:
                for changes in self._changes(there, polling=polling):
                    yield changes
                    if {folder: _identity(folder) for folder in self._folders if folder.is_dir()} != began:
                        yield {(Change.added, str(folder / "again")) for folder in self._folders}  # all of it
                        break  # a folder went or came back: what was watched is another one now
            except OSError as error:
                if polling:
                    raise
                log.warning("the system tells of no changes here (%s): going over the folders instead", error)
                polling = True

    def _changes(self, folders: Sequence[Path], *, polling: bool) -> Events:
        return watch(
            *folders,
            watch_filter=None,
            step=LOOK_MS // 2,
            debounce=4 * LOOK_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._stopping,
            raise_interrupt=False,
            force_polling=polling or None,  # None: as WATCHFILES_FORCE_POLLING says
            poll_delay_ms=POLL_MS,
            ignore_permission_denied=True,
        )


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def is_remote(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Return whether a folder's files are on another machine, as far as the system's list of mounts tells."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    kind, longest = "", -1
    for line in lines:
        _, point, name, *_ = line.split(" ")
        mounted = Path(point.replace("\\040", " "))
        if (mounted == folder or mounted in folder.parents) and len(mounted.parts) >= longest:
            kind, longest = name, len(mounted.parts)
    return kind in REMOTE
