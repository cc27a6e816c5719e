"""Index folders: scan → decode → annotate → write, in batches. Read `index_paths` from top to bottom.

Each batch is one transaction in the catalogue. A run that is stopped, or killed, loses at most the batch it was at;
the next run finds the rest by itself, because what was written is unchanged then.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
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
from indexer.profiles import Annotation, Profile, open_profile
from indexer.report import IndexReport
from indexer.scan import Found, scan, scan_files
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import WHOLE, Batch, FileRow, NewImage, Root, Said
from search.config import Config
from search.errors import ConfigError, SnapseekError
from search.profile_file import stored_name
from search.stores import open_stores
from search.types import ImageId, Rejected

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
        with DecodePool(config, workers=config.workers or os.cpu_count() or 1) as pool:
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
    catalog.move(place.root, [(old, _row(found)) for old, found in changes.moved])
    progress.found(len(changes.to_read))
    writer = _Writer(catalog, profile, place, Media(config.data, catalog, pool), report)
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


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read, and the picture in it or the reason why there is none."""

    found: Found
    result: Decoded | str


def _decoded(pool: DecodePool, root: Root, files: list[Found], side: int, size: int) -> Iterator[list[_Read]]:
    """Yield batches of files in order, decoding ahead in the pool."""
    waiting: deque[tuple[Found, ProcessFuture[Decoded]]] = deque()
    coming = iter(files)

    def submit(count: int) -> None:
        for found in islice(coming, count):
            waiting.append((found, pool.submit_file(str(root.path / found.path), side)))

    submit(READ_AHEAD * size)
    while waiting:
        batch: list[_Read] = []
        while waiting and len(batch) < size:
            found, future = waiting.popleft()
            batch.append(_Read(found, _outcome(pool, future)))
            submit(1)
        yield batch


def _outcome(pool: DecodePool, future: ProcessFuture[Decoded]) -> Decoded | str:
    try:
        return pool.result(future)
    except SnapseekError as error:
        return str(error)
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}"


class _Writer:
    """Turns a batch of decoded files into one transaction, and its thumbnails."""

    def __init__(self, catalog: Catalog, profile: Profile, place: Place, media: Media, report: IndexReport) -> None:
        self._catalog = catalog
        self._profile = profile
        self._place = place
        self._media = media
        self._report = report

    def write(self, read: Sequence[_Read]) -> None:
        """Annotate what is new among the files, and write all of them."""
        batch = Batch(self._profile.encoder.space)
        pictures: dict[ImageId, Decoded] = {}
        files: list[tuple[Found, ImageId]] = []
        for one in read:
            if isinstance(one.result, str):
                self._reject(batch, one.found, one.result)
            else:
                pictures.setdefault(one.result.id, one.result)
                files.append((one.found, one.result.id))
        fresh = self._fresh(pictures)
        failed = self._annotate(batch, fresh)
        hidden = self._hidden(pictures)
        new = {image.id for image in batch.images}
        for found, id in files:
            if id in hidden:
                batch.rejected.append((_row(found), None))
                self._report.hidden += 1
            elif id in failed:
                self._reject(batch, found, failed[id])
            else:
                batch.files.append((_row(found), id))
                self._report.duplicates += id not in new
                new.discard(id)  # its further files are copies
        self._catalog.write(self._place.root, batch)
        self._report.indexed += len(batch.images)
        for image in batch.images:
            self._media.store(image.id, fresh[image.id].thumbnail)

    def _fresh(self, pictures: Mapping[ImageId, Decoded]) -> dict[ImageId, Decoded]:
        """Return the pictures that these models have not seen; those that a person took out are left alone."""
        if self._place.extent is Extent.FILE:
            self._catalog.restore(pictures)
        known = self._catalog.models_of(pictures)
        hidden = self._hidden(pictures)
        return {
            id: picture
            for id, picture in pictures.items()
            if known.get(id) != self._profile.fingerprint and id not in hidden
        }

    def _hidden(self, pictures: Mapping[ImageId, Decoded]) -> set[ImageId]:
        return self._catalog.hidden(pictures)

    def _annotate(self, batch: Batch, fresh: Mapping[ImageId, Decoded]) -> dict[ImageId, str]:
        """Run the models, and return the images that they failed on, with the reason."""
        failed: dict[ImageId, str] = {}
        pictures = list(fresh.values())
        try:
            annotations: list[Annotation | None] = list(self._annotated(pictures))
        except SnapseekError:
            raise
        except Exception:
            log.exception("the models failed on a batch; trying its pictures one by one")
            annotations = [self._annotate_alone(picture, failed) for picture in pictures]
        for picture, annotation in zip(pictures, annotations, strict=True):
            if annotation is not None:
                batch.images.append(_new_image(picture, annotation, self._profile.fingerprint))
        return failed

    def _annotate_alone(self, picture: Decoded, failed: dict[ImageId, str]) -> Annotation | None:
        try:
            return self._annotated([picture])[0]
        except Exception as error:
            failed[picture.id] = f"the models failed on it: {error}"
            return None

    def _annotated(self, pictures: Sequence[Decoded]) -> list[Annotation]:
        said = self._catalog.said([picture.id for picture in pictures], self._profile.encoder.space)
        before = [said.get(picture.id, Said()) for picture in pictures]
        return self._profile.annotate([picture.image() for picture in pictures], before)

    def _reject(self, batch: Batch, found: Found, reason: str) -> None:
        batch.rejected.append((_row(found), reason))
        self._report.rejected.append(Rejected(found.path, reason))


def _row(found: Found) -> FileRow:
    return FileRow(found.path, found.size, found.mtime_ns, found.inode)


def _new_image(picture: Decoded, annotation: Annotation, models: str) -> NewImage:
    return NewImage(
        id=picture.id,
        width=picture.width,
        height=picture.height,
        mime_type=picture.mime_type,
        bytes=picture.size_bytes,
        phash=picture.phash,
        models=models,
        vector=annotation.vector,
        tags=annotation.tags,
        done=annotation.done,
        caption=annotation.caption,
        caption_source=annotation.caption_source,
        taken_at=picture.taken_at,
        camera=picture.camera,
        location=picture.location,
    )
