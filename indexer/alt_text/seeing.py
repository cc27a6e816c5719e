"""Looks at pictures: each once, by the models of a profile, or by what a library knows of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from indexer.alt_text.deciding import Seen
from indexer.decode import Decoded
from indexer.pool import DecodePool
from indexer.profiles import Profile, open_profile
from indexer.taggers.rapid_ocr import RapidOcr
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.config import Config
from search.errors import NotFound, SnapseekError
from search.profile_file import ModelSpec, stored_name
from search.protocols import Tagger
from search.types import ImageId, ImageRecord, Tag, TagKind

TELLING = (TagKind.OBJECT, TagKind.CLASS, TagKind.SCENE)
UNKNOWN = 0.5
"""How sure a caption is of which no tag tells."""


@contextmanager
def seeing(config: Config, profile: str | None, *, with_library: bool) -> Iterator[Seer]:
    """Open what looks at pictures: models of a profile by name or file, or else of the library, or else lite."""
    with ExitStack() as stack:
        catalog = stack.enter_context(open_catalog(config)) if with_library else None
        name = stored_name(profile) if profile else (catalog.profile if catalog else None) or "lite"
        pool = stack.enter_context(DecodePool(config, workers=1))
        yield Seer(pool, lambda: open_profile(name), catalog)


class Seer:
    """Decodes in a process of its own; the models are opened at the first picture."""

    def __init__(self, pool: DecodePool, opened: Callable[[], Profile], catalog: Catalog | None = None) -> None:
        self._pool = pool
        self._opened = opened
        self._catalog = catalog
        self._profile: Profile | None = None
        self._reader: Tagger | None = None
        self._seen: dict[Path, Seen | str] = {}
        self._pictures: dict[ImageId, Seen] = {}

    def see(self, path: Path) -> Seen | str:
        """Return what is to be said of a picture, or the reason why nothing is."""
        known = self._seen.get(path)
        if known is None:
            known = self._seen[path] = self._look(path)
        return known

    def _look(self, path: Path) -> Seen | str:
        if path.suffix.lower() == ".svg":
            return "SVG is not looked at"
        try:
            profile = self._open()
            side = max(profile.decode_side, self._reader.side if self._reader else 0)
            decoded = self._pool.result(self._pool.submit_file(str(path), side))
        except SnapseekError as error:
            return str(error)
        except OSError as error:
            return f"the file cannot be read: {error.strerror or error}"
        known = self._pictures.get(decoded.id)
        if known is None:
            approved = self._approved(decoded.id)
            known = Seen(approved, 1.0, approved=approved) if approved else self._annotated(profile, decoded)
            self._pictures[decoded.id] = known
        return known

    def _open(self) -> Profile:
        if self._profile is None:
            self._profile = self._opened()
            # Whether a picture is there for its text is told by reading it, whatever the profile is for.
            if "text" not in self._profile.taggers and importlib.util.find_spec("rapidocr"):
                self._reader = RapidOcr(ModelSpec(library="rapidocr"))
        return self._profile

    def _approved(self, id: ImageId) -> str:
        if self._catalog is None:
            return ""
        try:
            record: ImageRecord = self._catalog.record(id)
        except NotFound:
            return ""
        return record.alt_text or ""

    def _annotated(self, profile: Profile, decoded: Decoded) -> Seen:
        image = decoded.image()
        annotation = profile.annotate([image])[0]
        tags = list(annotation.all_tags)
        if self._reader is not None:
            tags += self._reader.tag([image], np.empty((1, 0), np.float32))[0]
        lines = sorted((tag for tag in tags if tag.kind is TagKind.TEXT), key=_place)
        telling = [tag.confidence for tag in tags if tag.kind in TELLING]
        return Seen(
            annotation.caption or "",
            max(telling, default=UNKNOWN),
            tuple(tag.label for tag in lines),
            sum(tag.box.width * tag.box.height for tag in lines if tag.box),
        )


def _place(tag: Tag) -> tuple[int, float]:
    """Order lines as one reads: by rows, then from the left."""
    return (round(tag.box.y * 40), tag.box.x) if tag.box else (0, 0.0)
