"""What surfaces a picture shows and how much of it each covers: SegFormer, Mask2Former and others of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.transformers_model import TransformersModel, sizes
from search.profile_file import ModelSpec
from search.types import Matrix, Tag, TagKind

VERSION = "1"
LEAST = 0.03
UNIVERSAL = ("mask2former", "maskformer", "oneformer", "detr", "eomt")


class TransformersSegments:
    """One tag for each class that covers at least 3 % of a picture; the confidence is its share of the area.

    Satisfies `search.protocols.Tagger`.
    """

    kinds = frozenset({TagKind.SEGMENT})
    side = 640

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        config = TransformersModel(folder, spec, "AutoConfig").config
        universal = config.model_type in UNIVERSAL
        auto = "AutoModelForUniversalSegmentation" if universal else "AutoModelForSemanticSegmentation"
        self._net = TransformersModel(folder, spec, auto)
        self._least = LEAST if spec.threshold is None else spec.threshold
        self.source = self._net.name
        self.fingerprint = self._net.fingerprint(VERSION, self._least)

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        tags: list[list[Tag]] = [[] for _ in images]
        with self._net.lock:
            for places, _, outputs in self._net.batches(images):
                maps = self._net.processor.post_process_semantic_segmentation(
                    outputs, target_sizes=sizes([images[i] for i in places])
                )
                for i, classes in zip(places, maps, strict=True):
                    tags[i] = self._tags(classes)
        return tags

    def _tags(self, classes: Any) -> list[Tag]:
        labels, counts = np.unique(classes.cpu().numpy(), return_counts=True)
        shares = sorted(zip(counts / counts.sum(), labels, strict=True), reverse=True)
        names = self._net.labels
        return [
            Tag(TagKind.SEGMENT, names[int(label)], float(share), self.source)
            for share, label in shares
            if share >= self._least and int(label) in names
        ]
