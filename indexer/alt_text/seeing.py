"""Looks at pictures: each once, by the models of a profile, or by what a library knows of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.alt_text.deciding import Seen
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.config import Config
from search.errors import NotFound, SnapseekError
from search.profile_file import ModelSpec, read_profile, stored_name
from search.protocols import Tagger
from search.types import ImageId, ImageRecord, Tag, TagKind

if TYPE_CHECKING:
    from indexer.decode import Decoded
    from indexer.pool import DecodePool
    from indexer.profiles import Profile

TELLING = (TagKind.OBJECT, TagKind.CLASS, TagKind.SCENE)
THING = 0.6
"""How sure an object must be for a picture to be one of things, not of text."""
UNKNOWN = 0.5
"""How sure a caption is of which no tag tells."""


@contextmanager
def seeing(config: Config, profile: str | None, *, with_library: bool) -> Iterator[Seer]:
    """Open what looks at pictures: models of a profile by name or file, or else of the library, or else lite.

    They are opened at the first picture, which takes seconds: most runs in CI have none to look at. Raises ConfigError
    for a profile that is not there.
    """
    with ExitStack() as stack:
        catalog = stack.enter_context(open_catalog(config)) if with_library else None
        name = (
            stored_name(profile) if profile not in (None, "auto") else (catalog.profile if catalog else None) or "lite"
        )
        read_profile(name)
        yield Seer(lambda: stack.enter_context(_Eyes.opened(config, name)), catalog)


@dataclass(frozen=True, slots=True)
class _Eyes:
    """What is needed to look at a picture."""

    pool: DecodePool
    profile: Profile
    reader: Tagger | None

    @classmethod
    @contextmanager
    def opened(cls, config: Config, name: str) -> Iterator[_Eyes]:
        from indexer.pool import DecodePool
        from indexer.profiles import open_profile

        profile = open_profile(name)
        reader: Tagger | None = None
        # Whether a picture is there for its text is told by reading it, whatever the profile is for.
        if "text" not in profile.taggers and importlib.util.find_spec("rapidocr"):
            from indexer.taggers.rapid_ocr import RapidOcr

            reader = RapidOcr(ModelSpec(library="rapidocr"))
        with DecodePool(config, workers=1) as pool:
            yield cls(pool, profile, reader)


class Seer:
    """Decodes in a process of its own, and looks at a picture once, however many files it is in."""

    def __init__(self, opened: Callable[[], _Eyes], catalog: Catalog | None = None) -> None:
        self._opened = opened
        self._catalog = catalog
        self._eyes: _Eyes | None = None
        self._seen: dict[Path, Seen | str] = {}
        self._pictures: dict[ImageId, Seen] = {}

    def see(self, path: Path) -> Seen | str:
        """Return what is to be said of a picture, or the reason why nothing is. Raises ModelUnavailable."""
        known = self._seen.get(path)
        if known is None:
            known = self._seen[path] = self._look(path)
        return known

    def _look(self, path: Path) -> Seen | str:
        if path.suffix.lower() == ".svg":
            return "SVG is not looked at"
        if self._eyes is None:
            self._eyes = self._opened()
        eyes = self._eyes
        side = max(eyes.profile.decode_side, eyes.reader.side if eyes.reader else 0)
        try:
            decoded = eyes.pool.result(eyes.pool.submit_file(str(path), side))
        except SnapseekError as error:
            return str(error)
        except OSError as error:
            return f"the file cannot be read: {error.strerror or error}"
        known = self._pictures.get(decoded.id)
        if known is None:
            approved = self._approved(decoded.id)
            known = Seen(approved, 1.0, approved=approved) if approved else self._annotated(eyes, decoded)
            self._pictures[decoded.id] = known
        return known

    def _approved(self, id: ImageId) -> str:
        if self._catalog is None:
            return ""
        try:
            record: ImageRecord = self._catalog.record(id)
        except NotFound:
            return ""
        return record.alt_text or ""

    def _annotated(self, eyes: _Eyes, decoded: Decoded) -> Seen:
        image = decoded.image()
        annotation = eyes.profile.annotate([image])[0]
        tags = list(annotation.all_tags)
        if eyes.reader is not None:
            tags += eyes.reader.tag([image], np.empty((1, 0), np.float32))[0]
        lines = sorted((tag for tag in tags if tag.kind is TagKind.TEXT), key=_place)
        telling = [tag.confidence for tag in tags if tag.kind in TELLING]
        return Seen(
            annotation.caption or "",
            max(telling, default=UNKNOWN),
            tuple(tag.label for tag in lines),
            sum(tag.box.width * tag.box.height for tag in lines if tag.box),
            shows_things=any(tag.kind is TagKind.OBJECT and tag.confidence >= THING for tag in tags),
        )


def _place(tag: Tag) -> tuple[int, float]:
    """Order lines as one reads: by rows, then from the left."""
    return (round(tag.box.y * 40), tag.box.x) if tag.box else (0, 0.0)
