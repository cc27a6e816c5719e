"""The image–text space of the lite profile, from nets that were never trained together.

An image is the sum of two unit vectors among sentence embeddings:

- ConSE (Norouzi et al., ICLR 2014): the mean embedding of its 25 likeliest labels, weighted by the root of their
  probability, with the objects that were found beside them;
- an adapter in the manner of LiT (Zhai et al., CVPR 2022), here a ridge regression from the nets' outputs to the mean
  embedding of the picture's captions.

It is no CLIP: `docs/models.md` has the figures.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.calibration import Calibration
from search.encoders.adapter import Adapter, load, unit
from search.encoders.coco import COCO_LABELS
from search.encoders.kept_vectors import kept_vectors
from search.encoders.lite_vision import Analysis, LiteVision, imagenet_labels
from search.encoders.minilm import DIM, MiniLM
from search.types import EmbeddingSpace, Matrix
from search.weights.packaged import EFFICIENTNET, MINILM, MINILM_TOKENIZER, SSD_MOBILENET

TEMPERATURE = 0.07
"""At this one the mean probability of the best of 365 scenes (0.35) is about how often it is right (0.39 of 272 photos,
strictly by name)."""

PREPROCESSING = "2"
"""Raised whenever the way from a picture or text to the nets, or from the nets to a vector, changes."""

CONSE_LABELS = 25
OBJECT_WEIGHT = 1.0
CONSE_WEIGHT = 1.5
"""Of the ConSE vector beside the adapter's. These three were chosen among 180 settings by five-fold validation on the
326 COCO photos (docs/adr/0005): 20 labels by the root of their probability, objects as much as all classes; 25 since
equally likely labels share the places that are left."""


class LiteEncoder:
    """Satisfies `search.protocols.Encoder`. Texts need MiniLM only; the nets for pictures load at the first one."""

    side = 640
    temperature = TEMPERATURE

    def __init__(self, vision: LiteVision | None = None, adapter: Adapter | None = None) -> None:
        self._vision = vision or LiteVision()
        self.adapter = adapter or load()
        self._text = MiniLM()

    @functools.cached_property
    def space(self) -> EmbeddingSpace:
        parts = (PREPROCESSING, MINILM, MINILM_TOKENIZER, EFFICIENTNET, SSD_MOBILENET, self.adapter)
        content = "\n".join(part if isinstance(part, str) else part.sha256 for part in parts)
        return EmbeddingSpace("lite", DIM, hashlib.sha256(content.encode()).hexdigest()[:32])

    def encode_texts(self, texts: Sequence[str]) -> Matrix:
        return unit(self._text.encode(texts) - self.adapter.text_mean)

    def encode_images(self, images: Sequence[Image.Image]) -> Matrix:
        if not images:
            return np.empty((0, DIM), np.float32)
        analyses = self._vision.analyse(images)
        adapted = self.adapter.vectors(self.adapter.inputs(analyses))
        return joined(adapted, self.conse(analyses))

    def conse(self, analyses: Sequence[Analysis]) -> Matrix:
        """Return the part of the vectors that needs no training: unit rows, shape (len(analyses), 384)."""
        classes, objects = self.label_vectors_of_nets
        rows = []
        for analysis in analyses:
            # Probabilities are of 8 bits, so many labels are as likely as the last one that counts. Which of them a
            # sort puts first is an accident of the machine, so all of them share the places that are left.
            last = np.sort(analysis.classes)[-CONSE_LABELS]
            best = np.flatnonzero(analysis.classes >= last)
            above = int(np.count_nonzero(analysis.classes > last))
            weights = np.sqrt(analysis.classes[best])
            weights[analysis.classes[best] == last] *= (CONSE_LABELS - above) / (len(best) - above)
            row = unit(weights @ classes[best] / max(float(weights.sum()), 1e-6))
            strongest: dict[str, float] = {}
            for found in reversed(analysis.detections):
                strongest[found.label] = found.score
            for label, score in strongest.items():
                row = row + OBJECT_WEIGHT * score * objects[label]
            rows.append(row)
        return unit(np.array(rows, np.float32).reshape(-1, DIM))

    @property
    def calibration(self) -> Calibration:
        return self.adapter.calibration

    def label_vectors(self, prompts: Sequence[Sequence[str]]) -> Matrix:
        """Return vectors of labels, shape (len(prompts), 384), centred on their own mean.

        Centred so, a label is told from the other labels of its list and not from captions at large.
        """
        texts = [text for of_label in prompts for text in of_label]
        each = kept_vectors(MINILM.sha256, texts, self._text.encode)
        starts = np.cumsum([0, *map(len, prompts)])[:-1]
        vectors = np.add.reduceat(each, starts) / np.array([[len(of_label)] for of_label in prompts], np.float32)
        return unit(vectors - vectors.mean(axis=0))

    @functools.cached_property
    def label_vectors_of_nets(self) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """The vectors of the classifier's classes, shape (1000, 384), and of the detector's objects by name."""
        classes = self._centred(imagenet_labels())
        objects = tuple(COCO_LABELS.values())
        return classes, dict(zip(objects, self._centred(objects), strict=True))

    def _centred(self, labels: Sequence[str]) -> NDArray[np.float32]:
        texts = [f"a photo of a {label}" for label in labels]
        vectors = kept_vectors(MINILM.sha256, texts, self._text.encode)
        return np.asarray(vectors - vectors.mean(axis=0), dtype=np.float32)


def joined(adapted: Matrix, conse: Matrix) -> Matrix:
    """Return the space's vectors of pictures, from the two parts that they are made of."""
    return unit(adapted + CONSE_WEIGHT * conse)
