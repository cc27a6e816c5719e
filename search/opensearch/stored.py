"""An image's document: what it is searched by (`documents`), and, opaque, all that the catalogue knows of the image.

``record`` has what models said, by task, the files, and what people decided; what is searched is made of these anew
with every change, so the two are never apart. ``vector_*`` has a vector for each space.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from search import written as writing
from search.catalog.rows import (
    Edit,
    FileRow,
    NewImage,
    Said,
    StoredImage,
    decisions_from_json,
    decisions_to_json,
    record_from_row,
    shot_to_text,
    stored_from_row,
    tag_from_row,
)
from search.opensearch.documents import document_of
from search.opensearch.rewriting import Source
from search.opensearch.schema import vector_field
from search.types import EmbeddingSpace, ImageId, ImageRecord, Tag, TagKind, Vector
from search.words import writable
from search.written import UNREAD

VECTORS = "vector_*"
"""The fields of all spaces."""

File = tuple[Path, FileRow]
"""The root, and the file below it."""


def source_of(id: ImageId, ordinal: int, image: Mapping[str, Any], files: Sequence[File], edit: Edit | None) -> Source:
    """Return the document of an image from what models said (`said_by_models`, or an older document), files and edit.

    ``edit`` is None for an image that nobody ever touched.
    """
    known = {key: value for key, value in image["record"].items() if key not in ("files", "edit")}
    known["files"] = [_file_to_json(root, file) for root, file in files]
    if edit is not None:
        known["edit"] = edit_to_json(edit)
    kept = {key: value for key, value in image.items() if key in ("phash", "models") or key.startswith("vector_")}
    whole = {**kept, "id": id, "ordinal": ordinal, "record": known}
    return {**document_of(record_of(whole)), **whole}


def said_by_models(image: NewImage, vectors: Iterable[tuple[EmbeddingSpace, Vector]], indexed_at: datetime) -> Source:
    """Return the part of an image's document that models and the picture itself make."""
    place = image.location
    return {
        "phash": image.phash - (1 << 64) if image.phash >> 63 else image.phash,  # longs are signed
        "models": image.models,
        # A vector that is no number, which only damage can make, is none.
        **{vector_field(space): vector_to_json(vector) for space, vector in vectors if np.isfinite(vector).all()},
        "record": {
            "width": image.width,
            "height": image.height,
            "mime_type": image.mime_type,
            "bytes": image.bytes,
            "indexed_at": indexed_at.isoformat(timespec="seconds"),
            "taken_at": image.taken_at.isoformat() if image.taken_at else None,
            "camera": image.camera,
            "shot": shot_to_text(image.shot),
            "location": [place.latitude, place.longitude] if place else None,
            "caption": image.caption,
            "caption_source": image.caption_source,
            "tags": [[task, *_tag_to_json(tag)] for task, tags in image.tags.items() for tag in tags],
            "done": [[task, fingerprint] for task, fingerprint in image.done.items()],
        },
    }


def now() -> datetime:
    return datetime.now(UTC)


def record_of(source: Source) -> ImageRecord:
    """Return the record in a document, with what people decided."""
    known = source["record"]
    files = [file for _, file in files_of(source)]
    return record_from_row(
        _row(source),
        [writable(file.path) for file in files],
        [tag_from_row(tag) for _, *tag in known["tags"]],
        edit_of(source) or Edit(),
        [file.written for file in files if file.written],
    )


def said_of(source: Source, space: EmbeddingSpace) -> Said:
    """Return what models said in a document, with the vector of a space if it is among the fields read."""
    return Said(_done(source), vector_of(source, space), _tags_by_task(source), source["record"]["caption"])


def stored_of(source: Source, spaces: Sequence[EmbeddingSpace]) -> StoredImage:
    """Return all there is in a document, with the vectors of the spaces named, the first that is there as its own.

    An image without any, which only damage can make, gets one that is no number.
    """
    vectors = [(space, vector) for space in spaces if (vector := vector_of(source, space)) is not None]
    row = (*_row(source), source["phash"], source["models"])
    nothing = [(space, np.full(space.dim, np.nan, np.float32)) for space in spaces[:1]]
    files = tuple(files_of(source))
    return stored_from_row(row, _done(source), _tags_by_task(source), vectors or nothing, files)


def files_of(source: Source) -> list[File]:
    """Return the files in a document."""
    return [
        (Path(text_to_path(root)), _file_from_json(path, *details))
        for root, path, *details in source["record"]["files"]
    ]


def edit_of(source: Source) -> Edit | None:
    """Return what people decided of the image in a document; None if nobody ever did."""
    edit = source["record"].get("edit")
    return None if edit is None else edit_from_json(edit)


def vector_of(source: Source, space: EmbeddingSpace) -> Vector | None:
    values = source.get(vector_field(space))
    return None if values is None else np.array(values, np.float32)


def vector_to_json(vector: Vector) -> list[float]:
    """Return the values as 16 bits hold them, which is what the other catalogue keeps: so both find the same."""
    return [float(value) for value in vector.astype(np.float16)]


def edit_to_json(edit: Edit) -> dict[str, Any]:
    return {
        "caption": edit.caption,
        "alt_text": edit.alt_text,
        "added": [[kind.value, label] for kind, label in edit.added],
        "removed": [[kind.value, label] for kind, label in edit.removed],
        "decisions": decisions_to_json(edit.decisions),
    }


def edit_from_json(values: Mapping[str, Any]) -> Edit:
    added, removed = (tuple((TagKind(kind), label) for kind, label in values[which]) for which in ("added", "removed"))
    return Edit(values["caption"], values["alt_text"], added, removed, decisions_from_json(values.get("decisions", ())))


def path_to_text(path: str) -> str:
    """Return a path as text of JSON: bytes that are no UTF-8 as NUL, which no path has, and two hexadecimal digits.

    What paths begin with, their texts begin with, too.
    """
    return re.sub("[\udc80-\udcff]", lambda byte: f"\0{ord(byte[0]) - 0xDC00:02x}", os.fspath(path))


def text_to_path(text: str) -> str:
    return re.sub("\0([0-9a-f]{2})", lambda byte: chr(0xDC00 + int(byte[1], 16)), text)


def _row(source: Source) -> tuple[Any, ...]:
    """Return the values in the order in which `rows` takes them."""
    known = source["record"]
    names = ("width", "height", "mime_type", "bytes", "indexed_at", "taken_at", "camera")
    place = known["location"] or (None, None)
    values = (known[name] for name in names)
    return (
        source["ordinal"],
        source["id"],
        *values,
        *place,
        known["caption"],
        known["caption_source"],
        known.get("shot"),
    )


def _done(source: Source) -> dict[str, str]:
    return dict(source["record"]["done"])


def _tags_by_task(source: Source) -> dict[str, tuple[Tag, ...]]:
    by_task: dict[str, tuple[Tag, ...]] = {}
    for task, *tag in source["record"]["tags"]:
        by_task[task] = (*by_task.get(task, ()), tag_from_row(tag))
    return by_task


def _tag_to_json(tag: Tag) -> list[Any]:
    box = tag.box
    corners = [None] * 4 if box is None else [box.x, box.y, box.width, box.height]
    return [tag.kind.value, tag.label, tag.confidence, tag.source, *corners]


def _file_to_json(root: Path, file: FileRow) -> list[Any]:
    written = writing.to_text(file.written)
    return [
        path_to_text(str(root)),
        path_to_text(file.path),
        file.size,
        file.mtime_ns,
        file.inode,
        file.sidecars,
        *([] if written is None else [written]),
    ]


def _file_from_json(
    path: str, size: int, mtime_ns: int, inode: int, sidecars: str = UNREAD, written: str | None = None
) -> FileRow:
    return FileRow(text_to_path(path), size, mtime_ns, inode, sidecars, writing.of_text(written))
