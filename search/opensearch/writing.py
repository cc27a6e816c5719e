"""Writing to a library in OpenSearch. There are no transactions: every write goes in an order in which it may be cut
off anywhere, and is then done again by whoever does the same once more.

- Each image is one document, so it is whole at any time: what is searched, what models said, people's decisions, its
  files and vectors change together. It is written under the condition that it is still as it was read.
- Files change hands in three steps, see `files`: marked as unfinished, then the images, then finished. A mark counts
  as a changed file, so the next run does it again; and it lists all images that may have the file, so that none keeps
  one that is not its own. That is also the order for files that go, and for those that move.
- An image that is taken out is remembered as such first: cut off there, it is still shown, and taking it out again
  ends it. The other way round the next run would let it in again. Its files are then read once more, and passed over.
- What people decided stands in the image's document. When its last file goes, that is kept in the state index first,
  and taken from there when the image returns.
- A space has a field in the index before it is said to have vectors, and vectors before it is searched.

Two writers that add and remove one and the same file at the same moment may leave an image without that file, or with
one too many; `checking` finds both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from search.catalog.rows import Batch, Edit, FileRow, Remains, StoredImage
from search.config import Config
from search.opensearch import files as file_documents
from search.opensearch import schema
from search.opensearch.client import Client
from search.opensearch.events import OpenSearchEvents
from search.opensearch.files import WITHOUT_IMAGE, FileKey, Files, file_key, file_row, images_of
from search.opensearch.images import Images, Turn
from search.opensearch.rewriting import Source
from search.opensearch.state import State
from search.opensearch.stored import files_of, now, said_by_models
from search.types import EmbeddingSpace, ImageId

FORGOTTEN = 500
"""Files that are forgotten together; their images are read whole."""


@dataclass(frozen=True, slots=True)
class Library:
    """The three indices of a library."""

    client: Client
    config: Config
    images: Images
    files: Files
    state: State


def make_room_for(library: Library, space: EmbeddingSpace) -> None:
    """See that vectors of a space can be written, and that those written count."""
    if space in library.state.meta().spaces:
        return
    mapping = schema.vector_mapping(space, library.config.opensearch_knn_engine)
    body = {"properties": {schema.vector_field(space): mapping}}
    library.client.call(lambda raw: raw.indices.put_mapping(index=library.images.index, body=body))
    library.state.note_space(space)


def settle(library: Library, files: Mapping[FileKey, Source | None], turns: dict[ImageId, Turn] | None = None) -> None:
    """Bring files to what they are to be (None: forgotten), and the images along that get or lose one of them.

    ``turns``: what else is to become of images.
    """
    turns = {} if turns is None else turns
    image_of = {key: next(iter(images_of(document)), None) for key, document in files.items()}
    held = library.files.mark(image_of)
    for key, document in files.items():
        image = image_of[key]
        if document is not None and image is not None:
            turns.setdefault(image, Turn()).gained[key] = file_row(document)
        for other in images_of(held[key].source):
            if other != image:
                turns.setdefault(other, Turn()).lost.add(key)
    library.images.change(turns)
    library.files.finish(files, held)


def write(library: Library, root: Path, batch: Batch) -> None:
    """Write images, their files and rejected files of one root."""
    make_room_for(library, batch.space)
    indexed_at = now()
    files: dict[FileKey, Source | None] = {}
    for file, id in batch.files:
        files[FileKey(root, file.path)] = file_documents.document_of(root, file, [id])
    for file, reason in batch.rejected:
        files[FileKey(root, file.path)] = file_documents.document_of(root, file, reason=reason)
    said = {image.id: said_by_models(image, [(batch.space, image.vector)], indexed_at) for image in batch.images}
    settle(library, files, {id: Turn(said=said[id]) for id in said})


def move(library: Library, root: Path, moved: Sequence[tuple[str, FileRow]]) -> None:
    """Note that files are at other paths now."""
    rows = {FileKey(root, path): file for path, file in moved}
    files: dict[FileKey, Source | None] = {}
    for key, held in library.files.read(rows).items():
        images, file = images_of(held.source), rows[key]
        # One that may be of several images is being changed by somebody, or was, and then the next run reads it again.
        if held.source is not None and len(images) < 2:
            files[key] = None
            before = file_row(held.source)
            file = replace(file, sidecars=before.sidecars, written=before.written)
            document = file_documents.document_of(root, file, images, held.source.get("reason"))
            files[FileKey(root, file.path)] = document
    settle(library, files)


def forget_files(library: Library, root: Path, paths: Sequence[str]) -> None:
    """Forget files; images that have none left go with them."""
    for start in range(0, len(paths), FORGOTTEN):
        settle(library, {FileKey(root, path): None for path in paths[start : start + FORGOTTEN]})


def take_out(library: Library, ids: Iterable[ImageId]) -> bool:
    """Take out those of the images that are there, and return whether there was one."""
    found = library.images.read(ids, ["record.files"])
    library.state.hide(found)
    _drop(library, found)
    return bool(found)


def drop_images(library: Library, ids: Iterable[ImageId]) -> None:
    """Take images away that may come back."""
    wanted = iter(ids)
    while some := list(islice(wanted, FORGOTTEN)):
        _drop(library, library.images.read(some, ["record.files"]))


def _drop(library: Library, found: Mapping[ImageId, Source]) -> None:
    files = [FileKey(root, file.path) for source in found.values() for root, file in files_of(source)]
    settle(library, dict.fromkeys(files), {id: Turn(anew=True) for id in found})


def store_images(library: Library, images: Mapping[ImageId, StoredImage]) -> None:
    """Take images over from another catalogue. An image here that has one of the ordinals goes."""
    ordinals = {stored.ordinal: id for id, stored in images.items()}
    owners = library.images.owners(list(ordinals))
    drop_images(library, (id for ordinal, id in owners.items() if id != ordinals[ordinal]))
    library.state.give_out(0, least=max(ordinals) + 1)
    library.state.note_roots(root for stored in images.values() for root, _ in stored.files)
    files: dict[FileKey, Source | None] = {
        FileKey(root, file.path): None  # unless the image has it there, too
        for source in library.images.read(images, ["record.files"]).values()
        for root, file in files_of(source)
    }
    turns: dict[ImageId, Turn] = {}
    for id, stored in images.items():
        vectors = [(stored.space, stored.image.vector), *stored.other_vectors]
        for space, _ in vectors:
            make_room_for(library, space)
        said = said_by_models(stored.image, vectors, stored.indexed_at)
        turns[id] = Turn(said=said, ordinal=stored.ordinal, anew=True)
        for root, file in stored.files:
            files[FileKey(root, file.path)] = file_documents.document_of(root, file, [id])
    settle(library, files, turns)


def store_remains(library: Library, remains: Remains) -> None:
    """Take over what another catalogue has besides images, in place of what is here."""
    state = library.state
    state.note_roots(remains.roots)
    OpenSearchEvents(library.client, state.index).restore(remains.events)
    if remains.space is not None:
        make_room_for(library, remains.space)
    state.change(
        lambda meta: replace(
            meta,
            profile=remains.profile,
            coming_profile=remains.coming_profile,
            space=remains.space,
            calibration=remains.calibration,
            saved=remains.saved,
        )
    )
    rejected: dict[FileKey, Source | None] = {
        file_key(source): None for source in library.files.matching(WITHOUT_IMAGE)
    }
    for root, file, reason in remains.rejected:
        rejected[FileKey(root, file.path)] = file_documents.document_of(root, file, reason=reason)
    settle(library, rejected)
    _store_edits(library, remains.edits)
    state.restore([id for id in state.all_hidden() if id not in remains.hidden])
    state.hide(remains.hidden)
    take_out(library, remains.hidden)


def _store_edits(library: Library, edits: Mapping[ImageId, Edit]) -> None:
    library.state.forget_edits([id for id, _ in library.state.all_edits() if id not in edits])
    library.state.keep_edits(edits)
    edited = {*edits, *(id for id, _ in library.images.edits())}
    library.images.change({id: _edited(edits.get(id)) for id in edited})


def _edited(edit: Edit | None) -> Turn:
    return Turn(edit=lambda _: edit)
