"""The files of a library: one document for each path below a root, and how they and the images keep in step.

A file's image stands in its document, and the file in that of the image; no transaction holds the two together. So
what is to become of files goes in three steps (`mark`, the images, `finish`): files that change hands are *marked*
as unfinished, with every image that has them or may get them; then images get and lose them; then the files' own
documents say so. Whoever is killed in between leaves marks, and a marked file counts as changed: the next run reads
it again, or takes it from all the images in its mark if it is gone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from search import written
from search.catalog.rows import WHOLE, FileRow
from search.opensearch import rewriting
from search.opensearch.client import Client
from search.opensearch.rewriting import Held, Source, pages, rewrite
from search.opensearch.stored import path_to_text, text_to_path
from search.types import ImageId
from search.words import writable
from search.written import UNREAD

UNFINISHED = -1
"""The size of a marked file; no file has it, so it differs from what is found."""

LONGEST_REASON = 2_000
PAGE = 5_000

IMAGES = {"bool": {"filter": [{"exists": {"field": "image"}}, {"range": {"size": {"gt": UNFINISHED}}}]}}
"""Files that hold an image."""
WITHOUT_IMAGE: Mapping[str, Any] = {"bool": {"must_not": [{"exists": {"field": "image"}}]}}
REJECTED = {"bool": {"filter": [{"exists": {"field": "reason"}}], "must_not": [{"exists": {"field": "image"}}]}}


@dataclass(frozen=True, slots=True)
class FileKey:
    """A path below a root."""

    root: Path
    path: str

    @property
    def id(self) -> str:
        """The id of its document."""
        return hashlib.sha256(os.fsencode(self.root) + b"\0" + os.fsencode(self.path)).hexdigest()


def file_key(source: Source) -> FileKey:
    return FileKey(Path(text_to_path(source["root"])), text_to_path(source["path"]))


def file_row(source: Source) -> FileRow:
    return FileRow(
        text_to_path(source["path"]),
        source["size"],
        source["mtime_ns"],
        source["inode"],
        source.get("sidecars", UNREAD),
        written.of_text(source.get("written")),
    )


def images_of(source: Source | None) -> list[ImageId]:
    """Return the image of a file, or all those of a marked one."""
    return list(source.get("image", ())) if source else []


def is_finished(source: Source) -> bool:
    return int(source["size"]) != UNFINISHED


def document_of(root: Path, file: FileRow, images: Iterable[ImageId] = (), reason: str | None = None) -> Source:
    """Return the document of a file with its image, or with the reason why there is none."""
    source: Source = {
        "root": path_to_text(str(root)),
        "path": path_to_text(file.path),
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "inode": file.inode,
        "sidecars": file.sidecars,
    }
    if file.written:
        source["written"] = written.to_text(file.written)
    if listed := sorted(images):
        source["image"] = listed
    if reason is not None:
        source["reason"] = writable(reason)[:LONGEST_REASON]
    return source


class Files:
    """The index of a library's files."""

    def __init__(self, client: Client, index: str) -> None:
        self.index = index
        self._client = client

    def read(self, keys: Iterable[FileKey]) -> dict[FileKey, Held]:
        by_id = {key.id: key for key in keys}
        return {by_id[id]: held for id, held in rewriting.read(self._client, self.index, by_id).items()}

    def mark(self, wanted: Mapping[FileKey, ImageId | None]) -> dict[FileKey, Held]:
        """Mark the files that are to have another image than now, or none; return what is there then, for `finish`."""
        by_id = {key.id: key for key in wanted}

        def marked(old: Mapping[str, Source | None]) -> Mapping[str, Source | None]:
            return {id: _marked(source, by_id[id], wanted[by_id[id]]) for id, source in old.items()}

        held = rewrite(self._client, self.index, by_id, marked)
        return {key: held[id] for id, key in by_id.items()}

    def finish(self, documents: Mapping[FileKey, Source | None], held: Mapping[FileKey, Held]) -> None:
        """Write files (None: forget them) as they are now. Visible to the next search.

        A file that another writer has marked meanwhile is left to that one, who knows of this one's image. Those that
        are forgotten come last: where a file was moved, a repeat starts from its old place.
        """
        changed = [key for key, source in documents.items() if source != held[key].source]
        changed.sort(key=lambda key: documents[key] is None)
        written = {key.id: (documents[key], held[key].version) for key in changed}
        rewriting.write(self._client, self.index, written, refresh=True)

    def below(self, root: Path, within: PurePosixPath = WHOLE) -> Iterator[Source]:
        """Yield the documents of the files at or below ``root / within``."""
        conditions: list[dict[str, Any]] = [{"term": {"root": path_to_text(str(root))}}]
        if within != WHOLE:
            here = path_to_text(str(within))
            either = [{"term": {"path": here}}, {"prefix": {"path": f"{here}/"}}]
            conditions.append({"bool": {"should": either, "minimum_should_match": 1}})
        return self.matching({"bool": {"filter": conditions}})

    def matching(self, query: Mapping[str, Any]) -> Iterator[Source]:
        """Yield the documents of the files that match, the marks of those who were killed included."""
        self._client.call(lambda raw: raw.indices.refresh(index=self.index))
        for page in pages(self._client, self.index, query, by=["root", "path"], size=PAGE):
            for hit in page:
                yield hit["_source"]

    def count(self, query: Mapping[str, Any]) -> int:
        return rewriting.count(self._client, self.index, query)


def _marked(source: Source | None, key: FileKey, image: ImageId | None) -> Source | None:
    before = images_of(source)
    either = sorted({*before, *([] if image is None else [image])})
    if not either or (source is not None and either == before and (image is not None or not is_finished(source))):
        return source
    row = FileRow(key.path, UNFINISHED, 0, 0) if source is None else file_row(source)
    return document_of(key.root, FileRow(key.path, UNFINISHED, row.mtime_ns, row.inode), either)
