"""The view models of the pages about the library as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from search.duplicates import DuplicateGroups
from search.mapping import LibraryMap
from search.types import ImageId, ImageRecord
from ui.addresses import at
from ui.language import Words
from ui.parts import described, name_of, size_text, thumbnail
from ui.state import Like, SearchState


@dataclass(frozen=True, slots=True)
class VersionView:
    """One of several images that are one picture."""

    id: ImageId
    url: str
    thumbnail: str
    width: int
    height: int
    name: str
    alt: str
    facts: str
    differences: tuple[str, ...]
    """From the first of its group; none of its own."""


@dataclass(frozen=True, slots=True)
class DuplicatesView:
    title: str
    groups: tuple[tuple[VersionView, ...], ...]
    here_url: str
    next_url: str
    said: str = ""
    """What was done just now."""


def duplicates_view(words: Words, page: DuplicateGroups, *, here_url: str, said: str = "") -> DuplicatesView:
    groups = tuple(
        tuple(_version_view(words, image, told) for image, told in zip(group.images, group.differences, strict=True))
        for group in page.groups
    )
    title = words("duplicates.groups", count=page.total) if groups else words("duplicates.no-copies")
    next_url = at(f"/duplicates?{urlencode({'cursor': page.next})}") if page.next else ""
    return DuplicatesView(title, groups, here_url, next_url, said)


def _version_view(words: Words, image: ImageRecord, differences: Sequence[str]) -> VersionView:
    size = words("image.size-is", width=str(image.width), height=str(image.height), bytes=size_text(words, image.bytes))
    return VersionView(
        id=image.id,
        url=at(f"/images/{image.id}"),
        thumbnail=thumbnail(image.id, 512),
        width=image.width,
        height=image.height,
        name=name_of(image),
        alt=described(words, image),
        facts=size,
        differences=tuple(differences),
    )


@dataclass(frozen=True, slots=True)
class RegionView:
    """A part of the map, with the search for what is like its middle."""

    title: str
    count: str
    url: str
    thumbnail: str


@dataclass(frozen=True, slots=True)
class MapView:
    images: int
    regions: tuple[RegionView, ...]
    drawing: bool
    """Whether a map of the library as it is now is on its way."""


def map_view(words: Words, drawn: LibraryMap | None, *, drawing: bool) -> MapView:
    regions = tuple(
        RegionView(
            region.title or words("map.mixed"),
            words("search.pictures", count=region.count),
            SearchState(likes=(Like(region.image),)).url(),
            thumbnail(region.image, 256),
        )
        for region in (drawn.regions if drawn else ())
    )
    return MapView(len(drawn.points) and drawn.images if drawn else 0, regions, drawing)
