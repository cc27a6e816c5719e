"""What a picture as a whole is called, by any image classifier of transformers, and of timm through it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.taggers.zero_shot import places, scene_tags
from indexer.transformers_model import TransformersModel
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.types import Matrix, Tag, TagKind

VERSION = "1"
LEAST = 0.15
MOST = 3


class _Classifier:
    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self._net = TransformersModel(folder, spec, "AutoModelForImageClassification")
        self._least = LEAST if spec.threshold is None else spec.threshold
        self.source = self._net.name
        self.fingerprint = self._net.fingerprint(VERSION, self._least)
        self.side = 640

    def probabilities(self, images: Sequence[Image.Image]) -> list[np.ndarray]:
        """Return the softmax over the model's labels for each picture."""
        rows: list[np.ndarray] = [np.empty(0)] * len(images)
        with self._net.lock:
            for part, _, outputs in self._net.batches(images):
                for i, row in zip(part, outputs.logits.float().softmax(dim=-1).cpu().numpy(), strict=True):
                    rows[i] = row
        return rows


class TransformersClasses(_Classifier):
    """The likeliest labels of the model's own. Satisfies `search.protocols.Tagger`."""

    kinds = frozenset({TagKind.CLASS})

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        return [self._tags(row) for row in self.probabilities(images)]

    def _tags(self, row: np.ndarray) -> list[Tag]:
        best = [i for i in (-row).argsort(kind="stable")[:MOST] if row[i] >= self._least]
        # ImageNet's labels list synonyms: "tabby, tabby cat".
        return [Tag(TagKind.CLASS, self._net.labels[int(i)].split(",")[0], float(row[i]), self.source) for i in best]


class TransformersScenes(_Classifier):
    """A classifier trained on Places365, whose labels are its 365 scenes. Satisfies `search.protocols.Tagger`."""

    kinds = frozenset({TagKind.SCENE, TagKind.ATTRIBUTE})

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        rows = self.probabilities(images)
        names = [_plain(self._net.labels[i]) for i in range(len(self._net.labels))] if rows else []
        order = [names.index(place) if place in names else -1 for place in places()[0]] if rows else []
        if rows and sum(column >= 0 for column in order) < len(order):
            raise ModelUnavailable(f"{self.source} is no Places365 model: it has no label {_missing(names)!r}")
        return [scene_tags(row[order], self.source) for row in rows]


def _plain(label: str) -> str:
    """Return a label of Places365 as ours are written: `/b/bus_station/indoor` is "bus station indoor"."""
    return (
        label.removeprefix("/")[2:].replace("_", " ").replace("/", " ")
        if label[:1] == "/"
        else (label.replace("_", " ").replace("/", " "))
    )


def _missing(names: list[str]) -> str:
    return next(place for place in places()[0] if place not in names)
