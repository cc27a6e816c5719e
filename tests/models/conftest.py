"""Tests of models with the real classes of their libraries, small and random; they skip where those are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from libraries import photos
from PIL import Image

for library in ("torch", "open_clip", "transformers", "ultralytics", "rapidocr"):
    pytest.importorskip(library, reason="needs all extras: make setup")

Maker = Callable[[Path], Path]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """Photos of several shapes, as the decoder hands them on."""
    folder = photos(tmp_path_factory.mktemp("photos"))
    names = ("pets/chelsea.png", "rocket.jpg", "people/camera.png", "motorcycle_left.png")
    found = [Image.open(folder / name).convert("RGB") for name in names]
    return [*found, found[0].resize((451, 300)), found[1].crop((0, 0, 200, 400))]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a model once a run: ``made(tiny_models.detr)``, ``made(tiny_models.clip, tiny_models.CLIP)``."""
    known: dict[str, Path] = {}

    def make(maker: Callable[..., Path], *args: object, name: str = "") -> Path:
        key = f"{maker.__name__} {args}"
        if key not in known:
            folder = tmp_path_factory.mktemp("model") / maker.__name__
            known[key] = maker(folder / name if name else folder, *args)
        return known[key]

    return make
