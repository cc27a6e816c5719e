"""Libraries for tests: real photos out of installed packages, indexed by the real pipeline."""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path

from PIL import Image

from indexer import uploads
from indexer.pipeline import index_paths
from indexer.report import IndexReport
from indexer.samples import sample_photos
from search.config import Config, load_config

HOSTILE_NAME = "<img src=x onerror=alert(1)> & 'coffee'.png"
PLACES = {
    "chelsea.png": "pets/chelsea.png",
    "astronaut.png": "people/astronaut.png",
    "coffee.png": HOSTILE_NAME,
    "rocket.jpg": "rocket.jpg",
    "motorcycle_left.png": "motorcycle_left.png",
    "brick.png": "textures/brick.png",
    "grass.png": "textures/grass.png",
    "gravel.png": "textures/gravel.png",
    "hubble_deep_field.jpg": "hubble_deep_field.jpg",
    "page.png": "page.png",
    "coins.png": "coins.png",
    "camera.png": "people/camera.png",
}
"""scikit-image's photos by name, and where they are put."""


QUICK = '[embedding]\nlibrary = "lite"\n'
"""A profile that does nothing but embed."""


def quick_profile(folder: Path) -> str:
    """Write a profile file of `QUICK` into a folder, and return its path."""
    path = folder / "profile.toml"
    path.write_text(QUICK, encoding="utf-8")
    return str(path)


class Quiet:
    """Satisfies `indexer.pipeline.Progress` and says nothing."""

    def found(self, more: int) -> None: ...
    def done(self, count: int) -> None: ...
    def say(self, message: str) -> None: ...


def photos(folder: Path) -> Path:
    """Fill a folder with photos and return it."""
    installed = {photo.name: photo for photo in sample_photos()}
    for name, place in PLACES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(installed[name], folder / place)
    return folder


def index(data: Path, *paths: Path, **options: object) -> IndexReport:
    return index_paths(load_config(data=data, **options), paths, progress=Quiet())


def a_library(folder: Path) -> Config:
    """Return the config of a library of those photos, made below ``folder``."""
    shutil.copytree(_indexed(), folder, dirs_exist_ok=True)
    _move(folder)
    return load_config(data=folder / "library")


@cache
def _indexed() -> Path:
    """Index the photos once in this process, for all to copy."""
    folder = Path(tempfile.mkdtemp(prefix="snapseek-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    index(folder / "library", photos(folder / "photos"))
    return folder


def _move(folder: Path) -> None:
    """Let a copied library know its files where they are now, so that they count as unchanged."""
    root = folder / "photos"
    with closing(sqlite3.connect(folder / "library" / "catalog.sqlite")) as catalog, catalog:
        ((id,),) = catalog.execute("SELECT id FROM root WHERE path <> ?", [uploads.FOLDER.encode()])
        catalog.execute("UPDATE root SET path = ? WHERE id = ?", [bytes(root), id])
        for path in [path for (path,) in catalog.execute("SELECT path FROM file WHERE root = ?", [id])]:
            inode = (root / os.fsdecode(path)).stat().st_ino
            catalog.execute("UPDATE file SET inode = ? WHERE root = ? AND path = ?", [inode, id, path])


CROPS = 4
"""Of each photo, in a library that needs more than one page."""


def many_photos(folder: Path) -> Path:
    """Fill a folder with photos, with dated crops of them, and with smaller copies of two; return it."""
    photos(folder)
    for number, source in enumerate(sorted(sample_photos(), key=lambda photo: photo.name)):
        if source.name not in PLACES:
            continue
        with Image.open(source) as image:
            upright = image.convert("RGB")
        wide, high = upright.size
        for crop in range(CROPS):
            left, top = wide * crop // (3 * CROPS), high * (CROPS - crop) // (3 * CROPS)
            part = upright.crop((left, top, left + wide // 2, top + high // (2 + crop % 2)))
            exif = Image.Exif()
            taken = datetime(2014 + (number + crop) % 10, 1 + crop, 1 + number % 28, 12).strftime("%Y:%m:%d %H:%M:%S")
            exif.get_ifd(0x8769)[0x9003] = taken
            path = folder / "crops" / f"{source.stem}-{crop}.jpg"
            path.parent.mkdir(exist_ok=True)
            part.save(path, exif=exif, quality=85)
        if source.name in ("chelsea.png", "coffee.png"):
            upright.resize((wide // 2, high // 2)).save(folder / f"{source.stem}-small.png")
    return folder


def a_large_library(folder: Path) -> Config:
    """Return the config of a library of more pictures than a page shows, with two pairs of copies."""
    index(folder / "library", many_photos(folder / "photos"))
    return load_config(data=folder / "library")
