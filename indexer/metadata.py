"""What people wrote in a picture's file (XMP, IPTC) and in its sidecars (XMP, PhotoPrism). Runs where decoding runs.

Nothing in here makes a picture unreadable: what cannot be read is passed over, and the reason told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from PIL import Image, IptcImagePlugin

from indexer import xmp
from indexer.sidecars import XMP
from indexer.xmp import Unreadable, as_keywords, as_text, tidy
from search.types import Rejected
from search.written import IPTC, PHOTOPRISM, Written, merged

MOST_YAML_BYTES = 256 * 2**10
KEYWORDS, CAPTION, OBJECT_NAME, CHARACTER_SET = (2, 25), (2, 120), (2, 5), (1, 90)
"""Data sets of IPTC-IIM 4.2."""
OF_PEOPLE = frozenset(("manual", "batch", "meta", "xmp", "yaml"))
"""What PhotoPrism says of where a text is from, if it is not of its own making."""


@dataclass(slots=True)
class Reading:
    """What was found, and what could not be read."""

    found: list[Written] = field(default_factory=list)
    unread: list[Rejected] = field(default_factory=list)

    def take(self, name: str, read: Callable[[], Written]) -> None:
        try:
            self.found.append(read())
        except Unreadable as error:
            self.unread.append(Rejected(name, str(error)))
        except OSError as error:
            self.unread.append(Rejected(name, f"it cannot be read: {error.strerror or error}"))
        except Exception as error:  # parsers fed with hostile bytes raise nearly anything
            self.unread.append(Rejected(name, f"it cannot be read: {type(error).__name__}"))


def embedded(image: Image.Image) -> Reading:
    """Return what is in the file of an opened picture; each name says the kind of metadata."""
    reading = Reading()
    if packet := image.info.get("xmp"):
        reading.take("XMP", lambda: xmp.read(packet if isinstance(packet, bytes) else str(packet).encode()))
    reading.take("IPTC", lambda: _iptc(image))
    return reading


def written(path: str, sidecars: Sequence[str], inside: Reading) -> tuple[Written, tuple[Rejected, ...]]:
    """Return what people wrote about a picture, and what of it could not be read, named as a path.

    ``sidecars`` are names relative to the picture's folder, the nearest first.
    """
    folder, beside = os.path.dirname(path), Reading()
    for name in sidecars:
        read = _xmp_file if name.lower().endswith(XMP) else _photoprism_file
        beside.take(name, lambda read=read, name=name: read(Path(folder, name)))  # type: ignore[misc]
    picture = os.path.basename(path)
    unread = [Rejected(picture, f"{one.path}: {one.reason}") for one in inside.unread]
    return merged(beside.found, inside.found), (*beside.unread, *unread)


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Unreadable(f"it has more than {most:,} bytes")
    return data


def _xmp_file(path: Path) -> Written:
    return xmp.read(_bytes(path, xmp.MOST_BYTES))


def _iptc(image: Image.Image) -> Written:
    found = IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]
    is_utf8 = found.get(CHARACTER_SET) == b"\x1b%G"

    def texts(which: tuple[int, int]) -> list[str]:
        values = found.get(which, [])
        return [tidy(_decoded(value, is_utf8)) for value in ([values] if isinstance(values, bytes) else values)]

    caption, title = (next(iter(texts(which)), "") for which in (CAPTION, OBJECT_NAME))
    return Written(as_keywords(texts(KEYWORDS), IPTC), as_text(caption, title, IPTC))


def _decoded(value: bytes, is_utf8: bool) -> str:
    """Return the text of a data set. Where none is named, it is UTF-8 nowadays, and was the system's own before."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8", "ignore") if is_utf8 else value.decode("cp1252", "ignore")


def _photoprism_file(path: Path) -> Written:
    """Return what people wrote in PhotoPrism; what it made up itself it does not say the source of."""
    try:
        # Not the safe loader: its merge keys can be made to grow without end. This one makes nothing but texts.
        document = yaml.load(_bytes(path, MOST_YAML_BYTES), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"no well-formed YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict) or "UID" not in document:
        return Written()  # somebody else's
    details = document.get("Details")

    def said(values: object, name: str) -> str:
        if not isinstance(values, dict) or values.get(f"{name}Src") not in OF_PEOPLE:
            return ""
        return tidy(text) if isinstance(text := values.get(name), str) else ""

    caption = said(document, "Caption") or said(document, "Description")
    words = [word.strip() for word in said(details, "Keywords").split(",")]
    return Written(as_keywords(words, PHOTOPRISM), as_text(caption, said(document, "Title"), PHOTOPRISM))
