"""Text in pictures by RapidOCR (PP-OCR), whose weights come inside its package, run in OpenVINO."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from search.boxes import corners
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.types import Matrix, Tag, TagKind

VERSION = "1"
LEAST = 0.6
LONGEST = 300
"""Characters of one line."""


class RapidOcr:
    """One tag for each line of text, in a box. Satisfies `search.protocols.Tagger`."""

    source = "rapidocr"
    kinds = frozenset({TagKind.TEXT})
    side = 1280

    def __init__(self, spec: ModelSpec) -> None:
        self._least = LEAST if spec.threshold is None else spec.threshold
        self._lock = threading.Lock()
        try:
            version = importlib.metadata.version("rapidocr")
        except importlib.metadata.PackageNotFoundError as error:
            raise ModelUnavailable("text in pictures needs RapidOCR: run `pip install 'snapseek[ocr]'`") from error
        self.fingerprint = f"rapidocr {VERSION} {version} {self._least}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        with self._lock:
            return [self._tags(image) for image in images]

    def _tags(self, image: Image.Image) -> list[Tag]:
        if min(image.size) < 8:
            return []
        result = self._engine(np.asarray(image)[:, :, ::-1])  # it wants blue first, as OpenCV does
        if result.txts is None:
            return []
        lines = zip(result.txts, result.scores, result.boxes, strict=True)
        return [
            Tag(TagKind.TEXT, text.strip()[:LONGEST], min(1.0, float(score)), self.source, _box(image, corner))
            for text, score, corner in lines
            if text.strip() and score >= self._least
        ]

    @functools.cached_property
    def _engine(self) -> Any:
        from rapidocr import EngineType, RapidOCR

        return RapidOCR(
            params={
                "Global.log_level": "error",
                **{f"{part}.engine_type": EngineType.OPENVINO for part in ("Det", "Cls", "Rec")},
            }
        )


def _box(image: Image.Image, corner: Any) -> Any:
    left, top = corner.min(axis=0)
    right, bottom = corner.max(axis=0)
    return corners(left / image.width, top / image.height, right / image.width, bottom / image.height)
