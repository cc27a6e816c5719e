"""Index folders: scan → decode → annotate → write, in batches. Read `Indexing.run` from top to bottom.

Each batch is one transaction in the catalogue. A run that is stopped, or killed, loses at most the batch it was at;
the next run finds the rest by itself, because what was written is unchanged then.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol

from pebble import ProcessFuture

from indexer import sidecars
from indexer.changes import Changes, compare
from indexer.cloud.service import CloudUnavailable
from indexer.decode import Decoded
from indexer.media import Media
from indexer.metering import Meter
from indexer.model_store import choose_profile
from indexer.pool import DecodePool
from indexer.profiles import Profile, open_profile
from indexer.report import IndexReport
from indexer.scan import Found, scan, scan_files
from indexer.writing import BatchWriter, Read, outcome, row
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import WHOLE, Root
from search.config import Config
from search.errors import ConfigError
from search.profile_file import stored_name
from search.stores import open_stores

log = logging.getLogger(__name__)

FIRST_BATCH = 4
READ_AHEAD = 3
"""Batches that may wait decoded: enough to keep the models busy, little enough to keep memory flat."""


class Progress(Protocol):
    """Whoever watches a run."""

    def found(self, more: int) -> None: ...
    def done(self, count: int) -> None: ...
    def say(self, message: str) -> None: ...


class Extent(Enum):
    """What to look at in a place."""

    FOLDER = auto()
    """Everything at or below it."""
    FILE = auto()
    """A file named by itself: it is let in even if it was taken out before."""
    KNOWN = auto()
    """The files that the library knows."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that was asked for: its root in the catalogue, and the part of it to scan."""

    root: Root
    within: PurePosixPath
    extent: Extent


def index_paths(config: Config, paths: Sequence[Path], *, progress: Progress) -> IndexReport:
    """Bring the library up to date with the folders and files named; create it at the first run.

    Without paths, those files are gone over that the library knows. Raises ConfigError for a path that is not there,
    Conflict when another process is indexing into this library.
    """
    with Indexing(config, progress) as indexing:
        return indexing.run(paths)


class Indexing:
    """Index runs one after another, with models and decoders that stay open between them. A context manager."""

    def __init__(self, config: Config, progress: Progress, stopping: threading.Event | None = None) -> None:
        """``stopping`` ends a run after the batch that it is at."""
        self._config = config
        self._progress = progress
        self._stopping = stopping or threading.Event()
        self._profile: Profile | None = None
        self._meter = Meter(config.data)
        self._pool = DecodePool(config, workers=config.decoders or os.cpu_count() or 1)

    def __enter__(self) -> Indexing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def run(self, paths: Sequence[Path], *, leave: Collection[Path] = ()) -> IndexReport:
        """Do what `index_paths` does; files to ``leave``, given absolute, count as unchanged whatever they are."""
        for path in paths:
            if not path.exists():
                raise ConfigError(f"there is no file or folder {path}")
        with open_catalog(self._config, create=True) as catalog, catalog.write_lock():
            profile = self._profile = _profile(self._config, catalog, self._progress, self._profile)
            report = IndexReport(profile.name, profile.encoder.space)
            places = [_place(catalog, path) for path in dict.fromkeys(paths)]
            try:
                for place in places or [Place(root, WHOLE, Extent.KNOWN) for root in catalog.roots()]:
                    changes = _scan(self._config, catalog, profile, place, leave)
                    self._take_in(catalog, profile, place, changes, report)
            except CloudUnavailable:
                _switch(self._config, catalog, profile, self._progress)  # what was finished can be found
                raise
            if not self._stopping.is_set():
                _switch(self._config, catalog, profile, self._progress)
            report.finish()
        return report

    def _take_in(self, catalog: Catalog, profile: Profile, place: Place, changes: Changes, report: IndexReport) -> None:
        report.unchanged += changes.unchanged
        report.hidden += changes.hidden
        report.rejected += changes.rejected
        report.moved += len(changes.moved)
        catalog.move(place.root, [(old, row(found)) for old, found in changes.moved])
        self._progress.found(len(changes.to_read))
        media = Media(self._config.data, catalog, self._pool)
        asked_for = place.extent is Extent.FILE
        writer = BatchWriter(
            catalog,
            profile,
            place.root,
            media,
            report,
            self._meter,
            asked_for=asked_for,
            told_anew=changes.told_anew,
        )
        if changes.to_read and profile.sent_to:
            self._progress.say(f"pictures leave this machine: they are sent to {', '.join(profile.sent_to)}")
        left = len(changes.to_read)
        for batch in self._decoded(place.root, changes.to_read, profile.decode_side):
            left -= len(batch)
            try:
                writer.write(batch)
            except CloudUnavailable as error:
                error.args = (f"{error}; {left + error.left} of {len(changes.to_read)} pictures are left",)
                raise
            self._progress.done(len(batch))
            if self._stopping.is_set():
                return
        # Last, so that an image whose file was moved to another disk has its new file before the old one goes.
        report.removed += len(changes.gone)
        catalog.remove_files(place.root, changes.gone)

    def _decoded(self, root: Root, files: list[Found], side: int) -> Iterator[list[Read]]:
        """Yield batches of files in order, decoding ahead in the pool.

        At first they are small, so that little is lost if a run ends soon, and something is to be seen.
        """
        size = self._config.batch_size
        waiting: deque[tuple[Found, ProcessFuture[Decoded]]] = deque()
        coming = iter(files)

        def submit(count: int) -> None:
            for found in islice(coming, count):
                beside = [one.name for one in sidecars.named(found.sidecars)]
                waiting.append((found, self._pool.submit_file(str(root.path / found.path), side, beside)))

        submit(READ_AHEAD * size)
        room = FIRST_BATCH
        while waiting:
            batch: list[Read] = []
            while waiting and len(batch) < min(room, size):
                found, future = waiting.popleft()
                batch.append(Read(found, outcome(self._pool, future, self._meter)))
                submit(1)
            room *= 2
            yield batch


def _profile(config: Config, catalog: Catalog, progress: Progress, before: Profile | None) -> Profile:
    """Return the profile to index with: what the config names, or what the library has or is on its way to.

    A profile is noted before the first image, and becomes the library's when every image has been through it. The one
    of the run ``before`` is not opened again.
    """

    def opened(name: str) -> Profile:
        return before if before is not None and before.name == name else open_profile(name)

    present, coming = catalog.profile, catalog.coming_profile
    if config.profile == "auto":
        if coming or present:
            return opened(coming or present or "")
        name, why = choose_profile(config)
    else:
        name, why = stored_name(config.profile), ""
    profile = opened(name)
    if name != (coming or present):
        what = "new library with profile" if present is None else f"changing from profile {present} to"
        progress.say(f"{what} {name}{f': {why}' if why else ''}")
        catalog.note_profile(name)
    return profile


def _place(catalog: Catalog, path: Path) -> Place:
    """Return where a path lies: below a root that is known already, or in a new one."""
    absolute = Path(os.path.abspath(path))
    for root in catalog.roots():
        if absolute == root.path or root.path in absolute.parents:
            return Place(root, PurePosixPath(absolute.relative_to(root.path).as_posix()), _extent(absolute))
    if absolute.is_dir():
        return Place(catalog.root(absolute), WHOLE, Extent.FOLDER)
    return Place(catalog.root(absolute.parent), PurePosixPath(absolute.name), Extent.FILE)


def _extent(path: Path) -> Extent:
    return Extent.FILE if path.is_file() else Extent.FOLDER


def _scan(config: Config, catalog: Catalog, profile: Profile, place: Place, leave: Collection[Path] = ()) -> Changes:
    """Return what changed in a place. Other roots inside it, and the library itself, are left to themselves."""
    known = dict(catalog.known_files(place.root, place.within))
    if place.extent is Extent.FILE:
        known = {path: file for path, file in known.items() if file.ordinal is not None or file.reason}
    others = {root.path for root in catalog.roots()} - {place.root.path}
    skip = frozenset(others | {Path(os.path.abspath(config.data))})
    if place.extent is Extent.KNOWN:
        found = scan_files(place.root.path, known)
    else:
        found = scan(place.root.path, place.within, skip=skip)
    if leave:
        left = {path.relative_to(place.root.path).as_posix() for path in leave if place.root.path in path.parents}
        found = (one for one in found if one.path not in left)
        known = {path: file for path, file in known.items() if path not in left}
    changes = compare(found, known, models=profile.fingerprint)
    if known and len(changes.gone) == len(known) and not (changes.to_read or changes.moved or changes.unchanged):
        raise ConfigError(
            f"{place.root.path / place.within} is empty, but the library knows {len(known)} files there: if a disk is"
            " not mounted, mount it; if they are gone for good, take them out with `snapseek rm`"
        )
    return changes


def _switch(config: Config, catalog: Catalog, profile: Profile, progress: Progress) -> None:
    """Search with this profile from now on, once every image has been through it; bring the projections along."""
    space = profile.encoder.space
    if catalog.coming_profile or catalog.active_space() != space or catalog.profile != profile.name:
        missing = catalog.missing_in(space)
        if missing:
            progress.say(
                f"{missing} images have not been through {profile.name} yet, and search goes on as before:"
                " run `snapseek index` without a path to finish"
            )
            return
        catalog.activate(profile.name, space)
    stores = open_stores(config, catalog, space)
    try:
        stores.catch_up()
        stores.save()
    finally:
        stores.close()
