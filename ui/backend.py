"""What the pages ask of the application."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from fastapi import Request

from search.duplicates import DuplicateGroups
from search.engine import Picture
from search.jobs import Job
from search.mapping import LibraryMap
from search.moderation import ReviewState
from search.recommend.events import EventType
from search.recommend.recommender import Recommendations
from search.review import ReviewPage
from search.saved import SavedSearch
from search.types import (
    Box,
    Facet,
    Filter,
    ImageId,
    ImageRecord,
    Query,
    SearchResults,
    SimilarBy,
    Tag,
    TagKind,
    Vector,
    Verdict,
)

Labels = Sequence[tuple[TagKind, str]]


@dataclass(frozen=True, slots=True)
class Library:
    """What every page tells of the library."""

    images: int
    profile: str
    behind: bool = False
    """Whether the latest changes are not to be found yet, for a server takes no writes."""


class LibraryTeller(Protocol):
    def library(self) -> Library | None:
        """Return None where nothing can be told, for the server that holds the library is away."""
        ...


class PageBackend(LibraryTeller, Protocol):
    def search(self, query: Query) -> SearchResults: ...
    def facets(self, names: Sequence[str], filter: Filter, *, size: int, prefix: str = "") -> Sequence[Facet]: ...
    def counts(self, filters: Sequence[Filter]) -> Sequence[int]:
        """Return how many images match each filter."""
        ...

    def map(self) -> tuple[LibraryMap | None, bool]:
        """Return the latest map of the library, if there is one, and whether a newer one is being drawn."""
        ...

    def labels(self, prefix: str, *, k: int) -> Sequence[tuple[str, str, int]]:
        """Return (kind, label, image count) of the commonest labels with a word that starts so."""
        ...

    def record(self, id: ImageId) -> ImageRecord: ...
    def vector(self, id: ImageId) -> Vector: ...
    def part(self, id: ImageId, box: Box) -> Picture:
        """Return what to search by for a part of an image."""
        ...

    def duplicates(self, *, cursor: str | None, k: int) -> DuplicateGroups: ...
    def similar(self, id: ImageId, *, by: SimilarBy, filter: Filter, k: int) -> SearchResults: ...
    def remember(self, upload: BinaryIO) -> str:
        """Return a token for an uploaded picture, good for some minutes. Raises UnsupportedImage, ImageTooLarge."""
        ...

    def remember_vector(self, vector: Sequence[float], space: str) -> str:
        """Return a token for what a browser made of a picture. Raises InvalidQuery for a vector of another space."""
        ...

    def for_browsers(self) -> int:
        """Return the bytes of what a browser has to load to look at pictures; 0 where there is nothing for it."""
        ...

    def remembered(self, token: str) -> Picture | None: ...

    async def accept(self, request: Request) -> str:
        """Keep the pictures of a multipart body and return the job that they are."""
        ...

    def jobs(self, limit: int) -> Sequence[Job]: ...
    def job(self, id: str) -> Job: ...

    def reviews(self, state: ReviewState, *, after: int | None, k: int) -> ReviewPage:
        """Return images of the review queue, those below an ordinal."""
        ...

    def reasons(self, record: ImageRecord) -> Sequence[Tag]:
        """Return the tags that flag an image, whatever was decided of it."""
        ...

    def decide(self, request: Request, id: ImageId, verdict: Verdict, note: str) -> ImageRecord:
        """Note what who asks decided of an image, and return it as it is now."""
        ...

    def recommendations(self, request: Request, *, k: int) -> Recommendations:
        """Return what who asks may like."""
        ...

    def stance(self, request: Request, id: ImageId) -> EventType | None:
        """Return whether who asks likes or hides an image."""
        ...

    def note(self, request: Request, id: ImageId, type: EventType) -> None:
        """Keep what who asks did with an image. Raises NotFound."""
        ...

    def erase_events(self, request: Request) -> int:
        """Forget what who asks did, for good, and return how many entries that were."""
        ...

    def saved(self) -> Sequence[SavedSearch]: ...
    def save(self, search: SavedSearch) -> None: ...
    def forget(self, name: str) -> None: ...

    def edit(self, id: ImageId, *, add: Labels, remove: Labels, caption: str | None, alt_text: str | None) -> None:
        """Overrule the models, for good. Texts that are None stay as they are."""
        ...

    def remove(self, ids: Sequence[ImageId]) -> None:
        """Take images out of the library, for good; their files stay."""
        ...
