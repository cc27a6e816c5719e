"""The catalogue of a library inside OpenSearch: processes have no state of their own, and several may write at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.calibration import Calibration
from search.catalog.rows import (
    WHOLE,
    Batch,
    Edit,
    FileRow,
    KnownFile,
    Labels,
    Migrating,
    Problem,
    Remains,
    Root,
    Said,
    StoredImage,
    expect_profile,
)
from search.config import Config
from search.errors import ConfigError, NotFound, Unavailable
from search.moderation import Policy
from search.opensearch import queries, schema, writing
from search.opensearch.checking import problems
from search.opensearch.client import Client, connect
from search.opensearch.events import OpenSearchEvents
from search.opensearch.files import (
    IMAGES,
    REJECTED,
    UNFINISHED,
    WITHOUT_IMAGE,
    FileKey,
    Files,
    file_key,
    file_row,
    images_of,
    is_finished,
)
from search.opensearch.images import Images, Turn, is_id
from search.opensearch.jobs import OpenSearchJobs
from search.opensearch.rewriting import Source
from search.opensearch.state import Meta, State
from search.opensearch.stored import files_of, record_of, said_of, stored_of
from search.opensearch.writing import Library
from search.patience import patiently
from search.saved import SavedSearch
from search.types import (
    Decision,
    EmbeddingSpace,
    ImageId,
    ImageRecord,
    Matrix,
    Ordinals,
    Rejected,
    Vector,
    Verdict,
)

log = logging.getLogger(__name__)

SCANNED = 5_000
"""Files whose images are looked up together."""

Answer = TypeVar("Answer")


class OpenSearchCatalog:
    """Satisfies `search.catalog.protocol.Catalog` with three indices. Has no state, so threads share it.

    Writes, and what an index run reads, wait for a cluster that is away as long as the options allow, and go on.
    """

    def __init__(
        self,
        config: Config,
        *,
        create: bool = False,
        wait_for_server: bool = False,
        client: Client | None = None,
    ) -> None:
        """Open the catalogue of the library with the prefix that the options name, or make one.

        Raises ConfigError where there is none, or one that this version cannot read; Unavailable when the server is
        away, but not with ``wait_for_server``: then nothing is known yet, and each question raises it.
        ``client``: another way to the server than the options name.
        """
        prefix = schema.library(config)
        self._config = config
        self._client = client or connect(config)
        self._files = Files(self._client, schema.files(prefix))
        self._state = State(self._client, schema.state(prefix))
        self._images = Images(self._client, schema.images(prefix), self._state)
        self.jobs = OpenSearchJobs(self._client, schema.state(prefix))
        self.events = OpenSearchEvents(self._client, schema.state(prefix))
        self._library = Library(self._client, config, self._images, self._files, self._state)
        try:
            self._expect(create=create)
        except Unavailable:
            if not wait_for_server:
                raise

    def _expect(self, *, create: bool) -> None:
        prefix = schema.library(self._config)
        if not self._is_there():
            if not create:
                raise ConfigError(
                    f"there is no library with prefix {prefix} at {self._config.opensearch_url}; run"
                    " `snapseek index PATH` first"
                )
            self._make()
        schema.upgrade(self._client, self._config)

    def _is_there(self) -> bool:
        wanted = (self._state.index, self._files.index, self._images.index)
        return self._client.call(lambda raw: all(raw.indices.exists(index=name) for name in wanted))

    def _make(self) -> None:
        """Make the indices that are missing. Two processes may do so at once."""
        prefix = schema.library(self._config)
        if schema.current_index(self._client, prefix) and self._images.count():
            raise ConfigError(
                f"the library {prefix} has images, but lacks its index of files or of all else: restore that from a"
                " snapshot, or choose another opensearch_prefix"
            )
        for name in (self._state.index, self._files.index):
            schema.ensure_index(self._client, self._config, name)
        schema.ensure_images(self._client, self._config)

    def __enter__(self) -> OpenSearchCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def write_lock(self) -> AbstractContextManager[None]:
        """Hold nothing: every document is written by itself, on condition, so several may index at once."""
        return nullcontext()

    def _patiently(self, function: Callable[[], Answer]) -> Answer:
        """Return what a function returns, which may be called again while the cluster is away."""
        return patiently(function, wait_s=self._config.opensearch_write_wait_s)

    def _meta(self) -> Meta:
        return self._patiently(self._state.meta)

    # What the library is

    @property
    def profile(self) -> str | None:
        """The profile that the library keeps; None until the first run."""
        return self._meta().profile

    @property
    def coming_profile(self) -> str | None:
        """The profile that the library is on its way to; None while it stays with its own."""
        return self._meta().coming_profile

    def note_profile(self, name: str) -> None:
        """Note the profile that images go through from now on."""
        self._patiently(lambda: self._state.change(lambda meta: replace(meta, coming_profile=name)))

    def active_space(self) -> EmbeddingSpace | None:
        """Return the space that the library is searched in, or None until the first run has ended."""
        return self._meta().space

    def calibration(self) -> Calibration | None:
        """Return what cosines mean in the space that is searched, as fitted on this library; None where it was not."""
        return self._meta().calibration

    def note_calibration(self, calibration: Calibration | None) -> None:
        """Keep a calibration for the space that is searched now; it is gone with that space."""
        self._patiently(lambda: self._state.change(lambda meta: replace(meta, calibration=calibration)))

    def activate(self, profile: str, space: EmbeddingSpace) -> None:
        """Search with this profile, in its space, from now on; vectors of other spaces do not count any more.

        All by one document. The vectors stay in the images' documents, where they cost nothing but disk, until the
        library is moved to another index.
        """

        def activate() -> None:
            writing.make_room_for(self._library, space)
            self._state.change(
                lambda meta: replace(
                    meta,
                    profile=profile,
                    coming_profile=None,
                    space=space,
                    calibration=meta.calibration if meta.space == space else None,
                    spaces=(space,),
                )
            )

        self._patiently(activate)

    def missing_in(self, space: EmbeddingSpace) -> int:
        """Return how many images have no vector in a space."""
        if space not in self._meta().spaces:
            return self._patiently(self._images.count)
        return self._patiently(lambda: self._images.count_without_vector(space))

    def counts(self) -> dict[str, int]:
        """Return the numbers of images, of files that hold one, and of rejected files."""
        return {
            "images": self._images.count(),
            "files": self._files.count(IMAGES),
            "rejected": self._files.count(REJECTED),
        }

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each index, copies on other nodes not counted."""
        names = {"images": self._images.index, "files": self._files.index, "state": self._state.index}
        sizes: dict[str, int] = {}
        for name, index in names.items():
            answer = self._client.call(lambda raw, index=index: raw.indices.stats(index=index, metric="store"))  # type: ignore[misc]
            sizes[name] = int(answer["_all"]["primaries"]["store"]["size_in_bytes"])
        return sizes

    # Folders and files

    def roots(self) -> list[Root]:
        return [Root(place, path) for place, path in enumerate(self._meta().roots, start=1)]

    def root(self, path: Path) -> Root:
        """Return the root of an absolute path, made if it is new."""
        return Root(self._patiently(lambda: self._state.note_roots([path])).index(path) + 1, path)

    def known_files(self, root: Root, within: PurePosixPath = WHOLE) -> dict[str, KnownFile]:
        """Return what is known of the files at or below ``root / within``, by path below the root.

        One that was left unfinished, or whose image is not there, has a size that no file has.
        """
        return self._patiently(lambda: self._known_files(root, within))

    def _known_files(self, root: Root, within: PurePosixPath) -> dict[str, KnownFile]:
        known: dict[str, KnownFile] = {}
        below = self._files.below(root.path, within)
        while some := list(islice(below, SCANNED)):
            models = self._images.models({image for source in some for image in images_of(source)})
            known.update((file_row(source).path, _known(source, models)) for source in some)
        return known

    def rejected(self) -> list[Rejected]:
        """Return the files that could not be indexed, with the reason, by path."""
        found = [(file_key(source), source["reason"]) for source in self._files.matching(REJECTED)]
        found.sort(key=lambda one: (os.fsencode(one[0].root), os.fsencode(one[0].path)))
        return [Rejected(os.path.join(key.root, key.path), reason) for key, reason in found]

    def locate(self, id: ImageId) -> list[Path]:
        """Return the absolute paths of an image's files."""
        for source in self._images.read([id], ["record.files"]).values():
            files = sorted(files_of(source), key=lambda file: (os.fsencode(file[0]), os.fsencode(file[1].path)))
            return [root / file.path for root, file in files]
        return []

    def resolve(self, path_or_id: str) -> ImageId | None:
        """Return the image that an id, or the path of one of its files, names; None if there is none."""
        if self.find(ImageId(path_or_id)) is not None:
            return ImageId(path_or_id)
        absolute = Path(os.path.abspath(path_or_id))
        above = (root.path for root in self.roots() if root.path in absolute.parents)
        keys = [FileKey(root, str(absolute.relative_to(root))) for root in above]
        for key, held in self._files.read(keys).items():
            for id, source in self._images.read(images_of(held.source), ["record.files"]).items():
                if any(FileKey(root, file.path) == key for root, file in files_of(source)):
                    return id
        return None

    def expect(self, path_or_id: str) -> ImageId:
        """Return what `resolve` finds. Raises NotFound."""
        id = self.resolve(path_or_id)
        if id is None:
            raise NotFound(f"there is no image {path_or_id} in this library")
        return id

    # Writing

    def write(self, root: Root, batch: Batch) -> None:
        """Write images, their files and rejected files of one root. Cut off anywhere, it is done again by a repeat."""
        meta = self._meta()
        expect_profile(batch, meta.coming_profile or meta.profile)
        self._patiently(lambda: writing.write(self._library, root.path, batch))

    def move(self, root: Root, moved: Sequence[tuple[str, FileRow]]) -> None:
        """Note that files are at other paths now."""
        self._patiently(lambda: writing.move(self._library, root.path, moved))

    def remove_files(self, root: Root, paths: Sequence[str]) -> None:
        """Forget files; images that have none left go with them."""
        self._patiently(lambda: writing.forget_files(self._library, root.path, paths))

    def edit(
        self,
        id: ImageId,
        *,
        add: Labels = (),
        remove: Labels = (),
        caption: str | None = None,
        alt_text: str | None = None,
    ) -> ImageRecord:
        """Overrule the models and return the record as it is now. An empty text takes a caption or alt text away.

        It is kept by the image's id, so it outlives a new run of the models and a return of the file.
        """
        return self._edited(id, lambda edit: edit.changed(add, remove, caption, alt_text))

    def decide(self, id: ImageId, decision: Decision) -> ImageRecord:
        """Note what a moderator decided and return the record as it is now. Raises NotFound. Kept as an edit is."""
        return self._edited(id, lambda edit: edit.decided(decision))

    def _edited(self, id: ImageId, change_of: Callable[[Edit], Edit]) -> ImageRecord:
        if not is_id(id):
            raise NotFound(f"there is no image {id} in this library")
        source = self._images.change({id: Turn(edit=change_of)})[id].source
        if source is None:
            raise NotFound(f"there is no image {id} in this library")
        return record_of(source)

    def saved_searches(self) -> tuple[SavedSearch, ...]:
        return self._meta().saved

    def change_saved_searches(self, change: Callable[[Sequence[SavedSearch]], tuple[SavedSearch, ...]]) -> None:
        self._patiently(lambda: self._state.change(lambda meta: replace(meta, saved=change(meta.saved))))

    def decided(self, verdict: Verdict) -> BitMap:
        """Return the images of which a moderator decided so last."""
        return self._images.ordinals({"term": {"verdict": verdict.value}})

    def flagged(self, policy: Policy) -> BitMap:
        """Return the images that reach the threshold of a category, whatever was decided of them."""
        return self._images.ordinals(queries.flagged(policy))

    def delete(self, id: ImageId) -> None:
        """Take an image out of the library and pass it over in later runs. Its files are not touched."""
        if not writing.take_out(self._library, [id]):
            raise NotFound(f"there is no image {id} in this library")

    def hidden(self, ids: Iterable[ImageId]) -> set[ImageId]:
        """Return which of the images were taken out by a person."""
        wanted = list(ids)
        return self._patiently(lambda: self._state.hidden(wanted))

    def restore(self, ids: Iterable[ImageId]) -> None:
        """Let images in again that were taken out."""
        self._state.restore(ids)

    # Reading

    def find(self, id: ImageId) -> int | None:
        return next((int(source["ordinal"]) for source in self._images.read([id], ["ordinal"]).values()), None)

    def find_all(self, ids: Sequence[ImageId]) -> dict[ImageId, int]:
        return {id: int(source["ordinal"]) for id, source in self._images.read(list(ids), ["ordinal"]).items()}

    def ordinals(self) -> BitMap:
        """Return the ordinals of all images."""
        return self._images.ordinals()

    def models_of(self, ids: Iterable[ImageId]) -> dict[ImageId, str]:
        """Return, for the images that are there, the fingerprint of the models that annotated each."""
        wanted = list(ids)
        found = self._patiently(lambda: self._images.read(wanted, ["models"]))
        return {id: source["models"] for id, source in found.items()}

    def said(self, ids: Iterable[ImageId], space: EmbeddingSpace) -> dict[ImageId, Said]:
        """Return what models said of the images that are there, with their vectors in a space."""
        wanted = list(ids)
        vector = [schema.vector_field(space)] if space in self._meta().spaces else []
        found = self._patiently(lambda: self._images.read(wanted, ["record", *vector]))
        return {id: said_of(source, space) for id, source in found.items()}

    def record(self, id: ImageId) -> ImageRecord:
        """Return an image's record. Raises NotFound."""
        for source in self._images.read([id], _RECORD).values():
            return record_of(source)
        raise NotFound(f"there is no image {id} in this library")

    def records(self, ordinals: Sequence[int]) -> list[ImageRecord]:
        """Return records in the order asked; images that are gone meanwhile are left out."""
        found = {source["ordinal"]: record_of(source) for source in self._images.by_ordinal(ordinals, _RECORD)}
        return [found[ordinal] for ordinal in ordinals if ordinal in found]

    def phashes(self, ordinals: Ordinals | None = None) -> tuple[Ordinals, NDArray[np.uint64]]:
        """Return the perceptual hashes of those images that are there, or of all, by ordinal."""
        return self._images.all_phashes() if ordinals is None else self._images.phashes(ordinals.tolist())

    def near_phashes(self, phash: int, most: int) -> tuple[Ordinals, NDArray[np.uint64]]:
        """Return the images whose perceptual hash differs from one in at most so many bits, by ordinal."""
        return self._images.near_phashes(phash, most)

    def embedding(self, ordinal: int, space: EmbeddingSpace) -> Vector | None:
        for _, vectors in self.embeddings(space, [ordinal]):
            return np.asarray(vectors[0], dtype=np.float32)
        return None

    def embeddings(
        self, space: EmbeddingSpace, ordinals: Sequence[int] | None = None
    ) -> Iterator[tuple[Ordinals, Matrix]]:
        """Yield vectors of a space in chunks, with their ordinals: of the images named, or of all."""
        if space in self._meta().spaces:
            yield from self._images.embeddings(space, ordinals)

    def check(self) -> list[Problem]:
        """Return what is wrong with the catalogue itself; nothing, if all is well and nobody is writing."""
        return list(problems(self._images, self._files, self._state))

    # Moving to another catalogue

    def version(self) -> str:
        """Return what changes whenever anything here does: how many writes each part of each index has seen."""
        names = [self._images.index, self._files.index, self._state.index]
        answer = self._client.call(lambda raw: raw.indices.stats(index=",".join(names), level="shards"))
        seen = (
            f"{index['uuid']}/{number}:{copy['seq_no']['max_seq_no']}"
            for index in answer["indices"].values()
            for number, copies in index["shards"].items()
            for copy in copies
            if copy["routing"]["primary"]
        )
        return " ".join(sorted(seen))

    def migration(self) -> Migrating | None:
        """Return how far this catalogue is in taking over another one; None if it is not at that."""
        return self._state.migration()

    def note_migration(self, migrating: Migrating | None) -> None:
        self._state.note_migration(migrating)

    def drop_images(self, ordinals: BitMap) -> None:
        """Take images away that the other catalogue has not; they may come back."""
        self._patiently(lambda: writing.drop_images(self._library, self._images.owners(list(ordinals)).values()))

    def stored_images(self, after: int, limit: int) -> list[StoredImage]:
        """Return all that is known of the ``limit`` images with the lowest ordinals above ``after``."""
        spaces = self._meta().searched_first
        return [stored_of(source, spaces) for source in self._images.above(after, limit)]

    def store_images(self, images: Sequence[StoredImage]) -> None:
        """Take images over from another catalogue, with their ordinals, replacing those that are here already.

        An image here that has one of the ordinals goes.
        """
        if images:
            by_id = {stored.image.id: stored for stored in images}
            self._patiently(lambda: writing.store_images(self._library, by_id))

    def remains(self) -> Remains:
        """Return what there is besides images: folders, rejected files, decisions of people, the profile."""
        meta = self._meta()
        found = self._files.matching(WITHOUT_IMAGE)
        rejected = [(file_key(source).root, file_row(source), source.get("reason")) for source in found]
        rejected.sort(key=lambda one: (meta.roots.index(one[0]), os.fsencode(one[1].path)))
        return Remains(
            profile=meta.profile,
            coming_profile=meta.coming_profile,
            space=meta.space,
            calibration=meta.calibration,
            roots=meta.roots,
            rejected=tuple(rejected),
            edits={**dict(self._state.all_edits()), **dict(self._images.edits())},
            hidden=frozenset(self._state.all_hidden()),
            saved=meta.saved,
            events=dict(self.events.everyone()),
        )

    def store_remains(self, remains: Remains) -> None:
        """Take over what another catalogue has besides images, in place of what is here; called before the images are.

        Folders that only this one knows stay known.
        """
        self._patiently(lambda: writing.store_remains(self._library, remains))


_RECORD = ("id", "ordinal", "record")


def _known(source: Source, models: Mapping[ImageId, tuple[int, str]]) -> KnownFile:
    image = next(iter(images_of(source)), None)
    if not is_finished(source) or (image is not None and image not in models):
        return KnownFile(UNFINISHED, source["mtime_ns"], source["inode"], None, None, None)
    file = file_row(source)
    ordinal, annotated_by = models[image] if image is not None else (None, None)
    reason = source.get("reason")
    return KnownFile(file.size, file.mtime_ns, file.inode, ordinal, reason, annotated_by, file.sidecars)
