"""Builders of domain values, with sensible defaults for everything a test does not care about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from search.types import Box, ImageId, ImageRecord, Location, Tag, TagKind

Labelled = str | tuple[str, float] | tuple[str, float, Box]
"""A label at confidence 0.9, or with its own confidence, and perhaps where it is."""

INDEXED_AT = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)


def an_image(
    *,
    ordinal: int = 1,
    id: str | None = None,
    files: Sequence[str] | None = None,
    width: int = 1024,
    height: int = 768,
    mime_type: str = "image/jpeg",
    bytes: int = 100_000,
    indexed_at: datetime = INDEXED_AT,
    taken_at: datetime | str | None = None,
    camera: str | None = None,
    location: Location | tuple[float, float] | None = None,
    caption: str | None = None,
    caption_source: str | None = None,
    alt_text: str | None = None,
    objects: Iterable[Labelled] = (),
    classes: Iterable[Labelled] = (),
    scenes: Iterable[Labelled] = (),
    attributes: Iterable[Labelled] = (),
    styles: Iterable[Labelled] = (),
    colors: Iterable[Labelled] = (),
    moderation: Iterable[Labelled] = (),
    compounds: Iterable[Labelled] = (),
    texts: Iterable[Labelled] = (),
    user_tags: Iterable[Labelled] = (),
    tags: Iterable[Tag] = (),
    source: str = "a-model",
) -> ImageRecord:
    """Return a record. ``taken_at`` may be an ISO date; tags of a kind are given as labels, all by ``source``.

    >>> an_image(objects=["dog", ("cat", 0.4)]).tags[1].confidence
    0.4
    """
    by_kind = {
        TagKind.OBJECT: objects,
        TagKind.CLASS: classes,
        TagKind.SCENE: scenes,
        TagKind.ATTRIBUTE: attributes,
        TagKind.STYLE: styles,
        TagKind.COLOR: colors,
        TagKind.MODERATION: moderation,
        TagKind.COMPOUND: compounds,
        TagKind.TEXT: texts,
        TagKind.USER: user_tags,
    }
    made = [a_tag(kind, labelled, source) for kind, given in by_kind.items() for labelled in given]
    return ImageRecord(
        id=ImageId(id or image_id(ordinal)),
        ordinal=ordinal,
        files=tuple(files) if files is not None else (f"{ordinal}.jpg",),
        width=width,
        height=height,
        mime_type=mime_type,
        bytes=bytes,
        indexed_at=indexed_at,
        taken_at=datetime.fromisoformat(taken_at) if isinstance(taken_at, str) else taken_at,
        camera=camera,
        location=Location(*location) if isinstance(location, tuple) else location,
        caption=caption,
        caption_source=caption_source,
        alt_text=alt_text,
        tags=(*made, *tags),
    )


def a_tag(kind: TagKind, labelled: Labelled, source: str = "a-model") -> Tag:
    """Return a tag of a kind from a label with or without confidence and box."""
    label, confidence, box = (*((labelled, 0.9) if isinstance(labelled, str) else labelled), None, None)[:3]
    assert isinstance(label, str)
    assert isinstance(confidence, float)
    assert box is None or isinstance(box, Box)
    return Tag(kind, label, confidence, source, box)


def image_id(ordinal: int) -> ImageId:
    """Return the id of a made-up picture."""
    return ImageId(hashlib.sha256(str(ordinal).encode()).hexdigest()[:32])
