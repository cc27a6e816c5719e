"""Objects with boxes by the detector of the lite profile, and what the classifier calls the picture as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from search.encoders.lite_vision import Detection, LiteVision, imagenet_labels
from search.types import Matrix, Tag, TagKind
from search.weights.packaged import EFFICIENTNET, SSD_MOBILENET

SLOPE, INTERCEPT = 1.4, 1.9
"""A detection's confidence is sigmoid(SLOPE · logit(score) + INTERCEPT). The detector is cautious: on 339 COCO photos
73 % of its findings at a score of 0.3–0.4 were right, 88 % at 0.5–0.6 and 99 % above 0.8. Set by hand to follow that,
so that a confidence means how often it is right."""

MAX_OBJECTS = 50


class ObjectTagger:
    """SSD-MobileNetV2: the 80 labels of COCO, one tag for each instance. Satisfies `search.protocols.Tagger`."""

    source = "ssd-mobilenet-v2"
    kinds = frozenset({TagKind.OBJECT})
    fingerprint = f"{source} 1 {SSD_MOBILENET.sha256}"
    side = 640

    def __init__(self, vision: LiteVision) -> None:
        self._vision = vision

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        return [[self._tag(d) for d in a.detections[:MAX_OBJECTS]] for a in self._vision.analyse(images)]

    def _tag(self, found: Detection) -> Tag:
        return Tag(TagKind.OBJECT, found.label, confidence(found.score), self.source, found.box)


def confidence(score: float) -> float:
    """Return how often a detection of this score is right."""
    score = min(max(score, 1e-6), 1 - 1e-6)
    return 1 / (1 + math.exp(-(SLOPE * math.log(score / (1 - score)) + INTERCEPT)))


class ClassTagger:
    """EfficientNet-Lite3: the likeliest of 1,000 ImageNet classes, for what COCO has no word for ("pug", "teapot")."""

    source = "efficientnet-lite3"
    kinds = frozenset({TagKind.CLASS})
    fingerprint = f"{source} 1 {EFFICIENTNET.sha256}"
    side = 640

    LEAST = 0.15
    MOST = 3

    def __init__(self, vision: LiteVision) -> None:
        self._vision = vision

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        labels = imagenet_labels()
        tags = []
        for analysis in self._vision.analyse(images):
            best = (-analysis.classes).argsort(kind="stable")[: self.MOST]
            likely = [i for i in best if analysis.classes[i] >= self.LEAST]
            tags.append([Tag(TagKind.CLASS, labels[i], float(analysis.classes[i]), self.source) for i in likely])
        return tags
