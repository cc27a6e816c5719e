"""In what two versions of one picture differ, in words: size, crop, colour, format, compression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from search.looks import Look, Overlap, overlap
from search.types import ImageId, ImageRecord

WHOLE_AREA = 0.95
"""Share of a picture above which a part is the whole of it: it is placed to within some percent."""
GREY_CHROMA, COLOR_CHROMA = 2.0, 4.0
"""Mean distance from grey, of 255, under which a picture is black and white, and over which it has colours."""
SAME_SCALE = 0.08
SAME_BYTES = 0.02


@dataclass(frozen=True, slots=True)
class Version:
    """A picture as it is in one file."""

    id: ImageId
    width: int
    height: int
    mime_type: str
    bytes: int
    files: tuple[str, ...] = ()
    look: Look | None = None


def version_of(record: ImageRecord, look: Look | None) -> Version:
    return Version(record.id, record.width, record.height, record.mime_type, record.bytes, record.files, look)


def differences(version: Version, reference: Version) -> tuple[str, ...]:
    """Return in what a version differs from the reference, the most visible first; what is equal is not told."""
    if version.id == reference.id:
        return ("bytes: the same", *_files(version))
    told = [*_framing(version, reference), *_color(version.look, reference.look), *_format(version, reference)]
    if not told:
        told = list(_compression(version, reference))
    return (*told, *_files(version))


def _framing(version: Version, reference: Version) -> Iterator[str]:
    found = None
    if version.look is not None and reference.look is not None:
        found = overlap(version.look, reference.look)
    if found is not None and found.area < WHOLE_AREA:
        yield from _crop(version, reference, found)
        return
    if found is None and _proportions_differ(version, reference):
        yield f"proportions: {version.width}×{version.height}, not {reference.width}×{reference.height}"
    elif version.width * version.height != reference.width * reference.height:
        yield _size_told(version, reference, version.width * version.height < reference.width * reference.height)


def _crop(version: Version, reference: Version, found: Overlap) -> Iterator[str]:
    percent = f"about {round(20 * found.area) * 5} %"
    if found.inside:
        yield f"crop: {percent} of the picture"
        scale = version.width / (reference.width * found.width)
    else:
        yield f"wider view: the other is {percent} of it"
        scale = version.width * found.width / reference.width
    if abs(scale - 1) > SAME_SCALE:
        yield _size_told(version, reference, scale < 1)


def _size_told(version: Version, reference: Version, smaller: bool) -> str:
    sizes = f"{version.width}×{version.height}", f"{reference.width}×{reference.height}"
    return f"smaller: {' of '.join(sizes)}" if smaller else f"larger: {', not '.join(sizes)}"


def _color(one: Look | None, other: Look | None) -> Iterator[str]:
    if one is None or other is None:
        return
    if one.chroma < GREY_CHROMA and other.chroma > COLOR_CHROMA:
        yield "colour: grey"
    elif other.chroma < GREY_CHROMA and one.chroma > COLOR_CHROMA:
        yield "colour: not grey"


def _format(version: Version, reference: Version) -> Iterator[str]:
    if version.mime_type != reference.mime_type:
        yield f"format: {_name(version.mime_type)}, not {_name(reference.mime_type)}"


def _name(mime_type: str) -> str:
    return mime_type.removeprefix("image/").upper()


def _compression(version: Version, reference: Version) -> Iterator[str]:
    """Tell what is left where all that can be seen is equal."""
    if abs(version.bytes - reference.bytes) > SAME_BYTES * reference.bytes:
        yield f"compression: {_size(version.bytes)}, not {_size(reference.bytes)}"
    else:
        yield "bytes: others for the same picture, such as its metadata"


def _files(version: Version) -> Iterator[str]:
    if len(version.files) > 1:
        yield f"files: {len(version.files)} with the same bytes"


def _proportions_differ(one: Version, other: Version) -> bool:
    return abs(one.width * other.height / (one.height * other.width) - 1) > 0.02


def _size(count: int) -> str:
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
