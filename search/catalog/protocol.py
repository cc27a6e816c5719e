"""What a catalogue must do: the source of truth of a library. `tests/contract/test_catalog.py` runs this contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Protocol

from pyroaring import BitMap

from search.calibration import Calibration
from search.catalog.rows import (
    WHOLE,
    Batch,
    FileRow,
    KnownFile,
    Labels,
    Migrating,
    Problem,
    Remains,
    Root,
    Said,
    StoredImage,
)
from search.jobs import Jobs
from search.moderation import Policy
from search.protocols import Records
from search.recommend.events import Events
from search.saved import SavedSearch
from search.types import Decision, EmbeddingSpace, ImageId, ImageRecord, Rejected, Verdict


class Catalog(Records, Protocol):
    """One library's images, their files, what models and people said of them, and their vectors. Safe for threads."""

    @property
    def jobs(self) -> Jobs:
        """Pictures that were sent and wait to be indexed."""
        ...

    @property
    def events(self) -> Events:
        """What persons liked, viewed and hid. No change of the library: projections do not look at it."""
        ...

    def close(self) -> None: ...

    def write_lock(self) -> AbstractContextManager[None]:
        """Hold the library for one index run, where only one may write. Raises Conflict if another process has it."""
        ...

    # What the library is

    @property
    def profile(self) -> str | None:
        """The profile that the library keeps; None until the first run."""
        ...

    @property
    def coming_profile(self) -> str | None:
        """The profile that the library is on its way to; None while it stays with its own."""
        ...

    def note_profile(self, name: str) -> None:
        """Note the profile that images go through from now on."""
        ...

    def active_space(self) -> EmbeddingSpace | None:
        """Return the space that the library is searched in, or None until the first run has ended."""
        ...

    def calibration(self) -> Calibration | None:
        """Return what cosines mean in the space that is searched, as fitted on this library; None where it was not."""
        ...

    def note_calibration(self, calibration: Calibration | None) -> None:
        """Keep a calibration for the space that is searched now; it is gone with that space."""
        ...

    def activate(self, profile: str, space: EmbeddingSpace) -> None:
        """Search with this profile, in its space, from now on; vectors of other spaces are dropped."""
        ...

    def missing_in(self, space: EmbeddingSpace) -> int:
        """Return how many images have no vector in a space."""
        ...

    def counts(self) -> dict[str, int]:
        """Return the numbers of ``images``, of ``files`` that hold one, and of ``rejected`` files."""
        ...

    def sizes(self) -> dict[str, int]:
        """Return the bytes that each part of the catalogue takes."""
        ...

    # Folders and files

    def roots(self) -> list[Root]: ...

    def root(self, path: Path) -> Root:
        """Return the root of an absolute path, made if it is new."""
        ...

    def known_files(self, root: Root, within: PurePosixPath = WHOLE) -> dict[str, KnownFile]:
        """Return what is known of the files at or below ``root / within``, by path below the root."""
        ...

    def rejected(self) -> list[Rejected]:
        """Return the files that could not be indexed, with the reason, by path."""
        ...

    def locate(self, id: ImageId) -> list[Path]:
        """Return the absolute paths of an image's files."""
        ...

    def resolve(self, path_or_id: str) -> ImageId | None:
        """Return the image that an id, or the path of one of its files, names; None if there is none."""
        ...

    def expect(self, path_or_id: str) -> ImageId:
        """Return what `resolve` finds. Raises NotFound."""
        ...

    # Writing

    def write(self, root: Root, batch: Batch) -> None:
        """Write images, their files and rejected files of one root.

        Raises Conflict where the library has changed to another profile than the batch's.
        Cut off anywhere, each image is whole, and what was not finished is done again by writing the batch again.
        """
        ...

    def move(self, root: Root, moved: Sequence[tuple[str, FileRow]]) -> None:
        """Note that files are at other paths now."""
        ...

    def remove_files(self, root: Root, paths: Sequence[str]) -> None:
        """Forget files; images that have none left go with them."""
        ...

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
        ...

    def saved_searches(self) -> tuple[SavedSearch, ...]:
        """Return the searches that people keep, by name."""
        ...

    def change_saved_searches(self, change: Callable[[Sequence[SavedSearch]], tuple[SavedSearch, ...]]) -> None:
        """Keep what a function makes of the saved searches; nobody else changes them meanwhile."""
        ...

    def decide(self, id: ImageId, decision: Decision) -> ImageRecord:
        """Note what a moderator decided and return the record as it is now. Raises NotFound. Kept as an edit is."""
        ...

    def decided(self, verdict: Verdict) -> BitMap:
        """Return the images of which a moderator decided so last."""
        ...

    def flagged(self, policy: Policy) -> BitMap:
        """Return the images that reach the threshold of a category, whatever was decided of them."""
        ...

    def delete(self, id: ImageId) -> None:
        """Take an image out of the library and pass it over in later runs. Its files are not touched."""
        ...

    def hidden(self, ids: Iterable[ImageId]) -> set[ImageId]:
        """Return which of the images were taken out by a person."""
        ...

    def restore(self, ids: Iterable[ImageId]) -> None:
        """Let images in again that were taken out."""
        ...

    # Reading

    def ordinals(self) -> BitMap:
        """Return the ordinals of all images."""
        ...

    def models_of(self, ids: Iterable[ImageId]) -> dict[ImageId, str]:
        """Return, for the images that are there, the fingerprint of the models that annotated each."""
        ...

    def said(self, ids: Iterable[ImageId], space: EmbeddingSpace) -> dict[ImageId, Said]:
        """Return what models said of the images that are there, with their vectors in a space."""
        ...

    def record(self, id: ImageId) -> ImageRecord:
        """Return an image's record. Raises NotFound."""
        ...

    def check(self) -> list[Problem]:
        """Return what is wrong with the catalogue itself; nothing, if all is well."""
        ...

    # Moving to another catalogue

    def migration(self) -> Migrating | None:
        """Return how far this catalogue is in taking over another one; None if it is not at that."""
        ...

    def note_migration(self, migrating: Migrating | None) -> None: ...

    def drop_images(self, ordinals: BitMap) -> None:
        """Take images away that the other catalogue has not; they may come back."""
        ...

    def stored_images(self, after: int, limit: int) -> list[StoredImage]:
        """Return all that is known of the ``limit`` images with the lowest ordinals above ``after``."""
        ...

    def store_images(self, images: Sequence[StoredImage]) -> None:
        """Take images over from another catalogue, with their ordinals, replacing those that are here already.

        An image here that has one of the ordinals goes.
        """
        ...

    def remains(self) -> Remains:
        """Return what there is besides images: folders, rejected files, decisions of people, the profile."""
        ...

    def store_remains(self, remains: Remains) -> None:
        """Take over what another catalogue has besides images, in place of what is here; called before the images are.

        Folders that only this one knows stay known.
        """
        ...
