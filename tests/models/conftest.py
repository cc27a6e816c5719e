"""Tests of models with the real classes of their libraries, small and random; they skip where those are missing."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

for library in ("torch", "open_clip", "transformers", "ultralytics", "rapidocr"):
    if importlib.util.find_spec(library) is None:  # found, not imported: Ultralytics changes Pillow when it is
        pytest.skip("needs all extras: make setup", allow_module_level=True)

import references  # noqa: E402 - it imports them all


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    return references.some_pictures(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small models that tests made."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def made(models: Path) -> Callable[..., Path]:
    """Make a model once a run: ``made(tiny_models.detr)``, ``made(tiny_models.clip, tiny_models.CLIP)``."""
    return functools.partial(references.made, models)
