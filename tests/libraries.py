"""Libraries for tests: real photos out of installed packages, indexed by the real pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path

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
    index(folder / "library", photos(folder / "photos"))
    return load_config(data=folder / "library")
