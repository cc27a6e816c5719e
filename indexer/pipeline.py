"""Index folders: scan → decode → annotate → write, in batches. Read `index_paths` from top to bottom.

Each batch is one transaction in the catalogue. A run that is stopped, or killed, loses at most the batch it was at;
the next run finds the rest by itself, because what was written is unchanged then.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

from pebble import ProcessFuture

from indexer.changes import Changes, compare
from indexer.decode import Decoded
from indexer.media import Media
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
    for path in paths:
        if not path.exists():
            raise ConfigError(f"there is no file or folder {path}")
    with open_catalog(config, create=True) as catalog, catalog.write_lock():
        profile = _profile(config, catalog, progress)
        report = IndexReport(profile.name, profile.encoder.space)
        with DecodePool(config, workers=config.decoders or os.cpu_count() or 1) as pool:
            places = [_place(catalog, path) for path in dict.fromkeys(paths)]
            for place in places or [Place(root, WHOLE, Extent.KNOWN) for root in catalog.roots()]:
                _index_place(config, catalog, profile, place, pool, report, progress)
        _switch(config, catalog, profile, progress)
        report.finish()
    return report


def _profile(config: Config, catalog: Catalog, progress: Progress) -> Profile:
    """Return the profile to index with: what the config names, or what the library has or is on its way to.

    A profile is noted before the first image, and becomes the library's when every image has been through it.
    """
    present, coming = catalog.profile, catalog.coming_profile
    if config.profile == "auto":
        if coming or present:
            return open_profile(coming or present or "")
        name, why = choose_profile(config)
    else:
        name, why = stored_name(config.profile), ""
    profile = open_profile(name)
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


def _index_place(
    config: Config,
    catalog: Catalog,
    profile: Profile,
    place: Place,
    pool: DecodePool,
    report: IndexReport,
    progress: Progress,
) -> None:
    changes = _scan(config, catalog, profile, place)
    report.unchanged += changes.unchanged
    report.hidden += changes.hidden
    report.rejected += changes.rejected
    report.moved += len(changes.moved)
    catalog.move(place.root, [(old, row(found)) for old, found in changes.moved])
    progress.found(len(changes.to_read))
    media = Media(config.data, catalog, pool)
    asked_for = place.extent is Extent.FILE
    writer = BatchWriter(catalog, profile, place.root, media, report, asked_for=asked_for)
    for batch in _decoded(pool, place.root, changes.to_read, profile.decode_side, config.batch_size):
        writer.write(batch)
        progress.done(len(batch))
    # Last, so that an image whose file was moved to another disk has its new file before the old one goes.
    report.removed += len(changes.gone)
    catalog.remove_files(place.root, changes.gone)


def _scan(config: Config, catalog: Catalog, profile: Profile, place: Place) -> Changes:
    """Return what changed in a place. Other roots inside it, and the library itself, are left to themselves."""
    known = catalog.known_files(place.root, place.within)
    if place.extent is Extent.FILE:
        known = {path: file for path, file in known.items() if file.ordinal is not None or file.reason}
    others = {root.path for root in catalog.roots()} - {place.root.path}
    skip = frozenset(others | {Path(os.path.abspath(config.data))})
    if place.extent is Extent.KNOWN:
        found = scan_files(place.root.path, known)
    else:
        found = scan(place.root.path, place.within, skip=skip)
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


def _decoded(pool: DecodePool, root: Root, files: list[Found], side: int, size: int) -> Iterator[list[Read]]:
    """Yield batches of files in order, decoding ahead in the pool."""
    waiting: deque[tuple[Found, ProcessFuture[Decoded]]] = deque()
    coming = iter(files)

    def submit(count: int) -> None:
        for found in islice(coming, count):
            waiting.append((found, pool.submit_file(str(root.path / found.path), side)))

    submit(READ_AHEAD * size)
    while waiting:
        batch: list[Read] = []
        while waiting and len(batch) < size:
            found, future = waiting.popleft()
            batch.append(Read(found, outcome(pool, future)))
            submit(1)
        yield batch
