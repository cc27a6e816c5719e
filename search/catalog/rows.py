"""What goes into the catalogue and comes out of it, as values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pyroaring import BitMap

from search import written as writing
from search.calibration import Calibration
from search.errors import Conflict
from search.recommend.events import Kept
from search.saved import SavedSearch
from search.types import (
    DEFAULT_CONFIDENCE,
    PERSON,
    Box,
    Decision,
    EmbeddingSpace,
    ImageId,
    ImageRecord,
    Location,
    Shot,
    Tag,
    TagKind,
    Vector,
    Verdict,
)
from search.written import Written

WHOLE = PurePosixPath(".")
"""All of a root."""
_KINDS = {kind.value: kind for kind in TagKind}
"""A page of hits has some hundred tags: to look a kind up here takes a fifth of the time of asking the enumeration."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that was indexed; paths of files are relative to it."""

    id: int
    path: Path


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file by its path below a root, with what tells whether it changed."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    sidecars: str = ""
    """Tells whether its sidecars changed, as `indexer.sidecars` makes it; `search.written.UNREAD` if nobody looked."""
    written: Written | None = None
    """What people wrote in it and in its sidecars."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalogue remembers of a file: the image in it, or the reason why there is none."""

    size: int
    mtime_ns: int
    inode: int
    ordinal: int | None
    reason: str | None
    models: str | None
    sidecars: str = ""


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image as it comes from the models; one that is known by its id is annotated anew and keeps its ordinal."""

    id: ImageId
    width: int
    height: int
    mime_type: str
    bytes: int
    phash: int
    models: str
    vector: Vector
    tags: Mapping[str, tuple[Tag, ...]]
    """What each task said."""
    done: Mapping[str, str] = field(default_factory=dict)
    """The fingerprint of the model that did each task."""
    caption: str | None = None
    caption_source: str | None = None
    taken_at: datetime | None = None
    camera: str | None = None
    shot: Shot | None = None
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What models said of an image before, by task; people's changes are not in it."""

    done: Mapping[str, str] = field(default_factory=dict)
    vector: Vector | None = None
    tags: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    caption: str | None = None


@dataclass(slots=True)
class Batch:
    """What one transaction writes for one root; vectors are of ``space``."""

    space: EmbeddingSpace
    images: list[NewImage] = field(default_factory=list)
    files: list[tuple[FileRow, ImageId]] = field(default_factory=list)
    """Files and the image in each: one of ``images``, or one that the catalogue has."""
    rejected: list[tuple[FileRow, str | None]] = field(default_factory=list)
    """Files without an image, and why; None where a person took the image out."""
    profile: str | None = None
    """The profile that the images went through; what another one said is not written once the library has changed."""


def expect_profile(batch: Batch, current: str | None) -> None:
    """Raise Conflict for images that went through another profile than the library has, or is on its way to."""
    if batch.profile is not None and current is not None and batch.profile != current:
        raise Conflict(f"the library changed from profile {batch.profile} to {current} meanwhile")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """All that a catalogue knows of one image but people's decisions, to be taken over by another catalogue."""

    ordinal: int
    indexed_at: datetime
    image: NewImage
    space: EmbeddingSpace
    """The space of ``image.vector``."""
    files: tuple[tuple[Path, FileRow], ...]
    """The root, and the file below it."""
    other_vectors: tuple[tuple[EmbeddingSpace, Vector], ...] = ()
    """Those of other spaces, while the library is on its way to another profile."""


@dataclass(frozen=True, slots=True)
class Migrating:
    """How far a catalogue is in taking over another one: ``source`` is that one's version when it began."""

    source: str
    after: int
    """The highest ordinal that is done."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What a catalogue holds besides images."""

    profile: str | None
    coming_profile: str | None
    space: EmbeddingSpace | None
    calibration: Calibration | None
    roots: tuple[Path, ...]
    rejected: tuple[tuple[Path, FileRow, str | None], ...]
    """Root, file, and why there is no image; None where a person took the image out."""
    edits: Mapping[ImageId, Edit]
    hidden: frozenset[ImageId]
    saved: tuple[SavedSearch, ...] = ()
    events: Mapping[str, Kept] = field(default_factory=dict)
    """What each person liked, viewed and hid."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a projection that is complete up to some change has to do to be complete up to ``upto``."""

    upto: int
    upserted: Sequence[int]
    """In the order of their changes."""
    at: Sequence[int]
    """The change of each."""
    deleted: BitMap

    def parts(self, size: int) -> Iterator[tuple[Sequence[int], int]]:
        """Yield the upserted in parts, each with the change that is complete after it; deletions come before them."""
        for start in range(0, len(self.upserted), size):
            end = start + size
            rest = self.at[end : end + 1]
            yield self.upserted[start:end], min(self.at[start:end][-1], rest[0] - 1) if rest else self.upto


@dataclass(frozen=True, slots=True)
class Problem:
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What people decided of an image."""

    caption: str | None = None
    alt_text: str | None = None
    added: tuple[tuple[TagKind, str], ...] = ()
    removed: tuple[tuple[TagKind, str], ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        return self.decisions[-1].verdict if self.decisions else None

    def decided(self, decision: Decision) -> Edit:
        """Return this edit with one more decision of a moderator; the earlier ones stay, as a log."""
        return replace(self, decisions=(*self.decisions, decision))

    def applied(self, record_tags: Iterable[Tag]) -> tuple[Tag, ...]:
        """Return the models' tags less what people took away, and what people added.

        What a model found for certain itself is not said twice: the number of its instances would be wrong.
        """
        if not self.added and not self.removed:
            return tuple(record_tags)
        gone = _keys(self.removed)
        kept = tuple(tag for tag in record_tags if _key((tag.kind, tag.label)) not in gone)
        certain = {_key((tag.kind, tag.label)) for tag in kept if tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]}
        added = (pair for pair in self.added if _key(pair) not in certain)
        return kept + tuple(Tag(kind, label, 1.0, PERSON) for kind, label in added)

    def changed(self, add: Labels, remove: Labels, caption: str | None, alt_text: str | None) -> Edit:
        """Return this edit with a further one on top: what is added is no longer removed, and the other way round."""
        adding, removing = _keys(add), _keys(remove)
        added = [pair for pair in self.added if _key(pair) not in removing | adding] + list(add)
        removed = [pair for pair in self.removed if _key(pair) not in removing | adding] + list(remove)
        return Edit(
            self.caption if caption is None else caption,
            self.alt_text if alt_text is None else alt_text,
            tuple(dict.fromkeys(added)),
            tuple(dict.fromkeys(removed)),
            self.decisions,
        )


Labels = Sequence[tuple[TagKind, str]]


def _key(pair: tuple[TagKind, str]) -> tuple[TagKind, str]:
    return pair[0], pair[1].casefold()


def _keys(pairs: Labels) -> set[tuple[TagKind, str]]:
    return {_key(pair) for pair in pairs}


def labels_to_json(labels: Labels) -> str:
    return json.dumps([[kind.value, label] for kind, label in labels], ensure_ascii=False)


def labels_from_json(text: str) -> tuple[tuple[TagKind, str], ...]:
    return tuple((TagKind(kind), label) for kind, label in json.loads(text))


def decisions_to_json(decisions: Sequence[Decision]) -> list[list[str]]:
    return [[one.verdict.value, one.by, one.at.isoformat(), one.note] for one in decisions]


def decisions_from_json(values: Iterable[Sequence[str]]) -> tuple[Decision, ...]:
    return tuple(Decision(Verdict(verdict), by, datetime.fromisoformat(at), note) for verdict, by, at, note in values)


def tag_from_row(row: Sequence[Any]) -> Tag:
    kind, label, confidence, source, x, y, width, height = row
    box = None if x is None else Box(x, y, width, height)
    return Tag(_KINDS[kind], label, confidence, source, box)


def shot_to_text(shot: Shot | None) -> str | None:
    """Return how a camera was set as JSON, its fields in their order."""
    return None if shot is None else json.dumps(astuple(shot), ensure_ascii=False)


def shot_from_text(text: str | None) -> Shot | None:
    return None if text is None else Shot(*json.loads(text))


def stored_from_row(
    row: Sequence[Any],
    done: Mapping[str, str],
    tags: Mapping[str, tuple[Tag, ...]],
    vectors: Sequence[tuple[EmbeddingSpace, Vector]],
    files: tuple[tuple[Path, FileRow], ...],
) -> StoredImage:
    """Join an image's row, its hash and models at the end of it, with all that models said of it."""
    (ordinal, id, width, height, mime_type, size, indexed_at, taken_at, camera, lat, lon, caption, source, shot) = row[
        :-2
    ]
    phash, models = row[-2:]
    (space, vector), *others = vectors
    image = NewImage(
        id=ImageId(id),
        width=width,
        height=height,
        mime_type=mime_type,
        bytes=size,
        phash=phash % (1 << 64),  # SQLite's integers are signed
        models=models,
        vector=vector,
        tags=tags,
        done=done,
        caption=caption,
        caption_source=source,
        taken_at=datetime.fromisoformat(taken_at) if taken_at else None,
        camera=camera,
        shot=shot_from_text(shot),
        location=None if lat is None else Location(lat, lon),
    )
    return StoredImage(ordinal, datetime.fromisoformat(indexed_at), image, space, files, tuple(others))


def record_from_row(
    row: Sequence[Any], files: Sequence[str], tags: Iterable[Tag], edit: Edit, written: Sequence[Written] = ()
) -> ImageRecord:
    """Join an image's row with its files, its tags, what people wrote about them, and, over all of it, what people
    decided here."""
    (ordinal, id, width, height, mime_type, size, indexed_at, taken_at, camera, lat, lon, caption, source, shot) = row
    people = writing.together(written) if written else Written()
    if people.caption:
        caption, source = people.caption.text, people.caption.source
    overruled = edit.caption is not None
    alt_text = edit.alt_text if edit.alt_text is not None or people.alt_text is None else people.alt_text.text
    return ImageRecord(
        id=ImageId(id),
        ordinal=ordinal,
        files=tuple(files),
        width=width,
        height=height,
        mime_type=mime_type,
        bytes=size,
        indexed_at=datetime.fromisoformat(indexed_at),
        taken_at=datetime.fromisoformat(taken_at) if taken_at else None,
        camera=camera,
        shot=shot_from_text(shot),
        location=None if lat is None else Location(lat, lon),
        caption=(edit.caption or None) if overruled else caption,
        caption_source=PERSON if overruled else source,
        alt_text=alt_text or None,
        tags=edit.applied((*tags, *writing.tags(people)) if people else tags),
        decisions=edit.decisions,
    )
