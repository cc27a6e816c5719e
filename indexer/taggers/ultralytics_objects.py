"""Objects by Ultralytics: YOLOv8, YOLOv9, YOLO11 and newer, and YOLO-World for a vocabulary of one's own."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.taggers.grouping import by_size
from search.encoders.open_clip_encoder import OpenClipEncoder
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.torch_device import device_of
from search.types import Box, Matrix, Tag, TagKind
from search.weights.hub import content_hash

VERSION = "1"
LEAST = 0.25
MAX_OBJECTS = 100


class UltralyticsObjects:
    """One tag for each instance, in a box. Satisfies `search.protocols.Tagger`.

    ``words`` encodes the labels of YOLO-World, whose text tower is CLIP ViT-B-32 of OpenAI; None for fixed labels.
    """

    kinds = frozenset({TagKind.OBJECT})
    side = 640

    def __init__(self, path: Path, spec: ModelSpec, *, words: OpenClipEncoder | None = None) -> None:
        self._path = path
        self._spec = spec
        self._words = words
        self._lock = threading.Lock()
        self.source = path.stem
        self._least = LEAST if spec.threshold is None else spec.threshold
        vocabulary = f"{spec.labels} {words.space.fingerprint}" if words else ""
        self.fingerprint = f"ultralytics {VERSION} {content_hash(path)} {self._least} {vocabulary}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        tags: list[list[Tag]] = [[] for _ in images]
        with self._lock:
            # Pictures of one size are padded alike, so that a result does not depend on the others of the batch.
            for part in by_size(images, self._spec.batch_size):
                results = self._model.predict(
                    [images[i] for i in part],
                    conf=self._least,
                    device=str(device_of(self._spec)),
                    quantize=16 if self._spec.precision == "fp16" else None,
                    max_det=MAX_OBJECTS,
                    batch=len(part),
                    verbose=False,
                    save=False,
                )
                for i, result in zip(part, results, strict=True):
                    tags[i] = list(self._tags(result))
        return tags

    def _tags(self, result: Any) -> list[Tag]:
        found = zip(result.boxes.xyxyn.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist(), strict=True)
        tags = [
            Tag(TagKind.OBJECT, result.names[int(label)], min(1.0, score), self.source, corners(*xyxy))
            for xyxy, score, label in found
        ]
        return sorted(tags, key=lambda tag: -tag.confidence)

    @functools.cached_property
    def _model(self) -> Any:
        model = _ultralytics(self._path)
        if self._words is None:
            return model
        if not hasattr(model.model, "set_classes"):
            raise ModelUnavailable(f"{self._path.name} takes no vocabulary; a YOLO-World model does")
        # What `set_classes` does, with text vectors of open_clip: Ultralytics would install a package of its own.
        import torch

        vectors = torch.from_numpy(self._words.encode_texts(self._spec.labels))
        model.model.txt_feats = vectors[None]
        model.model.model[-1].nc = len(self._spec.labels)
        model.model.names = dict(enumerate(self._spec.labels))
        return model


def corners(left: float, top: float, right: float, bottom: float) -> Box:
    """Return a box from fractions of its corners, cut to the picture."""
    left, top, right, bottom = (min(1.0, max(0.0, value)) for value in (left, top, right, bottom))
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


def _ultralytics(path: Path) -> Any:
    # Read by Ultralytics when it is imported: it would install packages and send statistics otherwise.
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    try:
        from ultralytics import YOLO  # type: ignore[attr-defined]
    except ImportError as error:
        raise ModelUnavailable(
            "this profile's detector needs Ultralytics, which is AGPL-3.0: run `pip install 'snapseek[ultralytics]'`,"
            " or name another detector in a profile of your own (docs/models.md)"
        ) from error
    try:
        return YOLO(path, task="detect")
    except Exception as error:
        raise ModelUnavailable(f"{path} cannot be loaded by Ultralytics: {error}") from error
