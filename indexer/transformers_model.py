"""A model of transformers with its processor, loaded from a folder; what all its adapters share."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.taggers.grouping import by_size
from search.batches import Batches
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.torch_device import device_of, dtype_of
from search.weights.hub import content_hash


class TransformersModel:
    """Loads at first use, from local files only. Hold ``lock`` while using it: processors are not thread-safe.

    ``auto`` is the auto class that makes the model, as `AutoModelForObjectDetection`.
    """

    def __init__(self, folder: Path, spec: ModelSpec, auto: str, *, processor: str = "AutoImageProcessor") -> None:
        self.folder = folder
        self.spec = spec
        self.lock = threading.Lock()
        self._batches = Batches(spec)
        self._auto = auto
        self._processor = processor

    @property
    def name(self) -> str:
        """The repository's or folder's own name, as tags carry it."""
        return self.spec.model.rstrip("/").rpartition("/")[2] or self.folder.name

    def fingerprint(self, version: str, *options: object) -> str:
        return " ".join(map(str, ("transformers", version, content_hash(self.folder), *options)))

    @functools.cached_property
    def config(self) -> Any:
        return self._load("AutoConfig")

    @functools.cached_property
    def processor(self) -> Any:
        return self._load(self._processor)

    @functools.cached_property
    def model(self) -> Any:
        device = device_of(self.spec)
        model = self._load(self._auto, dtype=dtype_of(self.spec.precision, device), use_safetensors=True)
        return model.to(device).eval()

    @property
    def labels(self) -> dict[int, str]:
        return dict(self.config.id2label)

    def batches(self, images: Sequence[Image.Image]) -> Iterator[tuple[list[int], Any, Any]]:
        """Yield the places of pictures of one size, their inputs, and the model's outputs for them."""
        for group in by_size(images):
            for part, (inputs, outputs) in self._batches.run(group, lambda some: self._run([images[i] for i in some])):
                yield group[part], inputs, outputs

    def _run(self, images: Sequence[Image.Image]) -> tuple[Any, Any]:
        import torch

        inputs = self.processor(images=list(images), return_tensors="pt")
        with torch.inference_mode():
            return inputs, self.model(**self.moved(inputs))

    def moved(self, inputs: Any) -> Any:
        """Return inputs on the model's device, in its precision."""
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def _load(self, name: str, **options: Any) -> Any:
        try:
            import transformers
        except ImportError as error:
            raise ModelUnavailable("this profile needs transformers: run `pip install 'snapseek[models]'`") from error
        try:
            return getattr(transformers, name).from_pretrained(self.folder, local_files_only=True, **options)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelUnavailable(f"{self.folder} cannot be loaded by transformers: {error}") from error


def sizes(images: Sequence[Image.Image]) -> list[tuple[int, int]]:
    """Return (height, width) of pictures, as post-processing wants them."""
    return [(image.height, image.width) for image in images]
