"""Write what is known of pictures into XMP sidecars beside them, for other photo programs. Originals stay."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from indexer.scan import PICTURES, RAW
from indexer.sidecars import XMP
from indexer.xmp import MOST_BYTES, Unreadable
from indexer.xmp_editing import Keyword, Wanted, edited
from search.catalog.protocol import Catalog
from search.config import Config
from search.types import PERSON, ImageId, ImageRecord, Rejected, Tag, TagKind
from search.written import SOURCES

KINDS = (TagKind.OBJECT, TagKind.CLASS, TagKind.SCENE, TagKind.ATTRIBUTE, TagKind.STYLE)
"""What models say that makes a keyword. The confidence of colours and segments is their share of the picture."""
LEAST_CONFIDENCE = 0.8
AT_ONCE = 500
"""Records that are read together."""
FOLDERS = 16
"""Whose listings are remembered. What is written meanwhile is the own sidecar of a picture that is past."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became, or in a dry run would become, of one sidecar."""

    path: Path
    created: bool
    changed: bool
    added: tuple[str, ...]
    withdrawn: tuple[str, ...]


def export(
    config: Config,
    catalog: Catalog,
    ids: Collection[ImageId] | None = None,
    *,
    least: float = LEAST_CONFIDENCE,
    kinds: Collection[TagKind] = KINDS,
    dry_run: bool = False,
) -> Iterator[Exported | Rejected]:
    """Write the sidecars of some images, or of all, and yield what became of each.

    Models' tags count from a confidence of ``least`` and if they are of ``kinds``; what people said always does.
    Pictures that were uploaded have no folder of their own, and get none.
    """
    library = Path(os.path.abspath(config.data))
    listed = functools.lru_cache(maxsize=FOLDERS)(_listed)  # a folder of thousands, not a thousand times
    for record in _records(catalog, ids):
        wanted = wanted_of(record, least, kinds)
        for picture in catalog.locate(record.id):
            if library in picture.parents or not picture.exists():
                continue
            path = sidecar_of(picture, listed(picture.parent))
            try:
                yield _bring(path, wanted, dry_run)
            except Unreadable as error:
                yield Rejected(str(path), str(error))
            except OSError as error:
                yield Rejected(str(path), f"it cannot be read or written: {error.strerror or error}")


def _records(catalog: Catalog, ids: Collection[ImageId] | None) -> Iterator[ImageRecord]:
    if ids is not None:
        yield from map(catalog.record, ids)
        return
    ordinals = list(catalog.ordinals())
    for start in range(0, len(ordinals), AT_ONCE):
        yield from catalog.records(ordinals[start : start + AT_ONCE])


def wanted_of(record: ImageRecord, least: float, kinds: Collection[TagKind]) -> Wanted:
    """Return what a sidecar is to say of an image."""
    of_models = (tag for tag in record.tags if tag.source not in SOURCES and tag.source != PERSON)
    surest = sorted(of_models, key=lambda tag: -tag.confidence)
    return Wanted(
        people=_keywords(tag for tag in record.tags if tag.source == PERSON),
        elsewhere=_keywords(tag for tag in record.tags if tag.source in SOURCES and not _is_stars(tag)),
        models=tuple(dict.fromkeys(t.label for t in surest if t.kind in kinds and t.confidence >= least)),
        caption=record.caption if record.caption_source == PERSON else None,
        alt_text=record.alt_text,
    )


def _is_stars(tag: Tag) -> bool:
    return re.fullmatch("[1-5] stars?", tag.label) is not None


def _keywords(tags: Iterable[Tag]) -> tuple[Keyword, ...]:
    """Return labels as keywords: those whose every level is a label as well are a path, and hold these levels."""
    labels = dict.fromkeys(tag.label for tag in tags)
    paths = [tuple(label.split("/")) for label in labels if "/" in label and set(label.split("/")) <= labels.keys()]
    inside = {level for path in paths for level in path} | {"/".join(path) for path in paths}
    return (*paths, *((label,) for label in labels if label not in inside))


def sidecar_of(picture: Path, listed: Mapping[str, str] | None = None) -> Path:
    """Return the sidecar to write to: `a.jpg.xmp`, or `a.xmp` where that is there and of no other picture.

    ``listed``: what is in the picture's folder, by lower-case name; looked up where it is not given.
    """
    by_name = _listed(picture.parent) if listed is None else listed
    own = by_name.get(f"{picture.name}{XMP}".lower())
    if own is not None:
        return picture.with_name(own)
    shared = by_name.get(f"{picture.stem}{XMP}".lower())
    if shared is not None and not _has_siblings(picture, by_name):
        return picture.with_name(shared)
    return picture.with_name(f"{picture.name}{XMP}")


def _listed(folder: Path) -> Mapping[str, str]:
    return {name.lower(): name for name in os.listdir(folder)}


def _has_siblings(picture: Path, names: Collection[str]) -> bool:
    """Return whether another picture has the same stem."""
    suffixes = (*PICTURES, *RAW)
    others = {f"{picture.stem}.{suffix}".lower() for suffix in suffixes} - {picture.name.lower()}
    return not others.isdisjoint(names)


def _bring(path: Path, wanted: Wanted, dry_run: bool) -> Exported:
    path = Path(os.path.realpath(path))  # where it is a link, the link stays
    before = _read(path)
    data, version = (None, None) if before is None else before
    result = edited(data, wanted)
    if result.data is not None and not dry_run:
        _replace(path, result.data, version)
    changed = result.data is not None
    return Exported(path, changed and data is None, changed, result.added, result.withdrawn)


def _read(path: Path) -> tuple[bytes, tuple[int, int]] | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > MOST_BYTES:
                raise Unreadable(f"it has more than {MOST_BYTES:,} bytes")
            return file.read(), (status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        return None


def _replace(path: Path, data: bytes, version: tuple[int, int] | None) -> None:
    """Write a sidecar whole or not at all, if it is still the one that was read."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".snapseek-", suffix=XMP, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            mode = 0o644 if version is None else path.stat().st_mode & 0o777
            os.chmod(file.name, mode)
            if version != _version(path):
                raise Unreadable("another program changed it meanwhile: run the export again")
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _version(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
