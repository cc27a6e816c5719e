"""Photos that come inside installed packages: something to search before one has indexed anything of one's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SOURCES = {
    "skimage": ("data", ("*.png", "*.jpg")),
    "ultralytics": ("assets", ("*.jpg",)),
    "sklearn": ("datasets/images", ("*.jpg",)),
    "matplotlib": ("mpl-data/sample_data", ("*.jpg",)),
}
"""Folder and patterns of each package's pictures."""


def sample_photos() -> list[Path]:
    """Return the sample photos of the packages that are installed, without importing any of them."""
    photos: list[Path] = []
    for package, (folder, patterns) in SOURCES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for pattern in patterns:
            photos += sorted((Path(spec.origin).parent / folder).glob(pattern))
    return photos
