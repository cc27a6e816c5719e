"""Pictures made for tests: small, seeded, and each distinct."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def a_picture(seed: int = 0, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return smooth coloured blobs: like a photo in its spectrum, so that JPEG and hashes behave as on photos."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def save(path: Path, image: Image.Image | None = None, **options: object) -> Path:
    """Write a picture to a file, in the format of its name; its content follows from its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image is None:
        image = a_picture(sum(path.name.encode()))
    image.save(path, **options)
    return path
