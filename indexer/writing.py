"""A batch of files that were read, turned into one transaction of the catalogue and their thumbnails."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pebble import ProcessFuture

from indexer.cloud.service import CloudUnavailable
from indexer.decode import Decoded
from indexer.media import Media
from indexer.metering import Meter
from indexer.pool import DecodePool
from indexer.profiles import Annotation, Profile
from indexer.report import IndexReport
from indexer.scan import Found
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow, NewImage, Root, Said
from search.errors import SnapseekError
from search.types import ImageId, Rejected
from search.written import Written

log = logging.getLogger(__name__)

TAKEN_OUT = "a person took the image out of the library"


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read, and the picture in it or the reason why there is none."""

    found: Found
    result: Decoded | str


def outcome(pool: DecodePool, future: ProcessFuture[Decoded], meter: Meter) -> Decoded | str:
    """Wait for a picture, and return it or the reason why there is none."""
    try:
        decoded = pool.result(future)
    except SnapseekError as error:
        meter.rejected(error)
        return str(error)
    except OSError as error:
        meter.rejected(error)
        return f"the file cannot be read: {error.strerror or error}"
    meter.took("decode", decoded.seconds)
    return decoded


class BatchWriter:
    """Annotates what is new among files of one root, and writes them all."""

    def __init__(
        self,
        catalog: Catalog,
        profile: Profile,
        root: Root,
        media: Media,
        report: IndexReport,
        meter: Meter,
        *,
        asked_for: bool = False,
        told_anew: Collection[str] = (),
    ) -> None:
        """``asked_for``: the files were named one by one, and come back even if they were taken out before.

        ``told_anew``: paths of files of which only the sidecars changed.
        """
        self._catalog = catalog
        self._profile = profile
        self._root = root
        self._media = media
        self._report = report
        self._meter = meter
        self._asked_for = asked_for
        self._told_anew = told_anew
        self._refused: dict[ImageId, Mapping[str, str]] = {}
        """Of the batch at hand: what cloud services said nothing of, and why."""

    def write(self, read: Sequence[Read]) -> dict[str, str]:
        """Annotate what is new among the files, write all of them, and return why some hold no image, by path.

        Raises CloudUnavailable when what was finished by then is written; it says how many pictures are not.
        """
        batch = Batch(self._profile.encoder.space, profile=self._profile.name)
        pictures: dict[ImageId, Decoded] = {}
        files: list[tuple[Found, ImageId]] = []
        said: dict[str, Written | None] = {}
        for one in read:
            if isinstance(one.result, str):
                self._reject(batch, one.found, one.result)
            else:
                folder = os.path.dirname(one.found.path)
                self._report.unread += [
                    Rejected(os.path.join(folder, bad.path), bad.reason) for bad in one.result.unread
                ]
                said[one.found.path] = one.result.written
                pictures.setdefault(one.result.id, one.result)
                files.append((one.found, one.result.id))
        fresh = self._fresh(pictures)
        with self._meter.timed("models", len(fresh)):
            failed, ended = self._annotate(batch, fresh)
        hidden = self._hidden(pictures)
        new = {image.id for image in batch.images}
        unfinished = fresh.keys() - new - failed.keys()
        for found, id in files:
            if id in unfinished:
                continue
            if id in hidden:
                batch.rejected.append((row(found), None))
                self._report.hidden += 1
            elif id in failed:
                self._reject(batch, found, failed[id])
            else:
                self._report.unread += [
                    Rejected(found.path, f"{task}: {reason}") for task, reason in self._refused.get(id, {}).items()
                ]
                batch.files.append((replace(row(found), written=said[found.path]), id))
                is_new, is_told_anew = id in new, found.path in self._told_anew
                self._report.told_anew += not is_new and is_told_anew
                self._report.duplicates += not is_new and not is_told_anew
                new.discard(id)  # its further files are copies
        with self._meter.timed("write", len(read)):
            self._catalog.write(self._root, batch)
            for image in batch.images:
                self._media.store(image.id, fresh[image.id].thumbnail)
        self._report.indexed += len(batch.images)
        self._meter.keep()
        if ended is not None:
            ended.left = len(unfinished)
            raise ended
        return {file.path: TAKEN_OUT if reason is None else reason for file, reason in batch.rejected}

    def _fresh(self, pictures: Mapping[ImageId, Decoded]) -> dict[ImageId, Decoded]:
        """Return the pictures that these models have not seen; those that a person took out are left alone."""
        if self._asked_for:
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

    def _annotate(
        self, batch: Batch, fresh: Mapping[ImageId, Decoded]
    ) -> tuple[dict[ImageId, str], CloudUnavailable | None]:
        """Run the models. Return the images that they failed on, with the reason, and what ended the work, if it did.

        Then the pictures that a service had finished by then are in the batch: what was paid for is to be found.
        """
        failed: dict[ImageId, str] = {}
        ended: CloudUnavailable | None = None
        pictures = list(fresh.values())
        annotations: list[Annotation | None] = []
        try:
            annotations += self._annotated(pictures)
        except CloudUnavailable as error:
            ended = error
            with self._profile.asking_nobody():
                annotations = [self._finished(picture) for picture in pictures]
        except SnapseekError:
            raise
        except Exception:
            log.exception("the models failed on a batch; trying its pictures one by one")
            annotations = [self._annotate_alone(picture, failed) for picture in pictures]
        self._refused = {}
        for picture, annotation in zip(pictures, annotations, strict=True):
            if annotation is not None:
                batch.images.append(_new_image(picture, annotation, self._profile.fingerprint))
                self._refused[picture.id] = annotation.refused
        return failed, ended

    def _finished(self, picture: Decoded) -> Annotation | None:
        try:
            return self._annotated([picture])[0]
        except CloudUnavailable:
            return None

    def _annotate_alone(self, picture: Decoded, failed: dict[ImageId, str]) -> Annotation | None:
        try:
            return self._annotated([picture])[0]
        except Exception as error:
            self._meter.rejected(error)
            failed[picture.id] = f"the models failed on it: {error}"
            return None

    def _annotated(self, pictures: Sequence[Decoded]) -> list[Annotation]:
        said = self._catalog.said([picture.id for picture in pictures], self._profile.encoder.space)
        before = [said.get(picture.id, Said()) for picture in pictures]
        return self._profile.annotate([picture.image() for picture in pictures], before)

    def _reject(self, batch: Batch, found: Found, reason: str) -> None:
        batch.rejected.append((row(found), reason))
        self._report.rejected.append(Rejected(found.path, reason))


def row(found: Found) -> FileRow:
    """Return what the catalogue keeps of a file."""
    return FileRow(found.path, found.size, found.mtime_ns, found.inode, found.sidecars)


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
        shot=picture.shot,
        location=picture.location,
    )
