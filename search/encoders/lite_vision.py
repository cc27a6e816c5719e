"""One look at a picture by the two nets of the lite profile, shared by its encoder and its taggers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.encoders.coco import COCO_LABELS
from search.encoders.converted import compiled
from search.encoders.openvino_runtime import THROUGHPUT, core, ov
from search.types import Box
from search.weights.packaged import EFFICIENTNET, IMAGENET_LABELS, SSD_MOBILENET

CLASSIFIER_SIDE = 280
DETECTOR_SIDE = 300
FEATURES = 1280
CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Detection:
    """An object with its box; ``score`` is the detector's own, from 0.3 upward."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the nets say of one picture, the mean of two views where it was looked at twice."""

    features: NDArray[np.float32]
    """Pooled features of EfficientNet-Lite3, shape (1280,)."""
    classes: NDArray[np.float32]
    """Probabilities of the ImageNet classes, shape (1000,)."""
    detections: tuple[Detection, ...]
    """Objects, the most certain first."""


class LiteVision:
    """Runs classifier and detector, once for each picture of a batch although several ask for it.

    Nets are loaded at the first picture. Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[tuple[Image.Image, ...], list[Analysis]] = ((), [])

    def analyse(self, images: Sequence[Image.Image]) -> list[Analysis]:
        """Return the analysis of each upright RGB picture; the last batch is remembered."""
        with self._lock:
            known, analyses = self._last
            if len(known) != len(images) or any(a is not b for a, b in zip(known, images, strict=True)):
                analyses = self._run(images)
                self._last = (tuple(images), analyses)
            return analyses

    def _run(self, images: Sequence[Image.Image]) -> list[Analysis]:
        features = np.zeros((len(images), 2, FEATURES), np.float32)
        classes = np.zeros((len(images), 2, CLASSES), np.float32)
        detections: list[tuple[Detection, ...]] = [()] * len(images)

        def classified(request: ov.InferRequest, place: tuple[int, int]) -> None:
            classes[place] = request.get_output_tensor(0).data[0] / np.float32(256)
            features[place] = request.get_output_tensor(1).data.reshape(-1)

        def detected(request: ov.InferRequest, index: int) -> None:
            boxes, labels, scores = (request.get_output_tensor(i).data[0] for i in range(3))
            detections[index] = _detections(boxes, labels, scores)

        classifier, detector = map(ov.AsyncInferQueue, self._nets)
        classifier.set_callback(classified)
        detector.set_callback(detected)
        for index, image in enumerate(images):
            for view, pixels in enumerate((_squashed(image, CLASSIFIER_SIDE), _centre(image, CLASSIFIER_SIDE))):
                classifier.start_async({0: pixels}, (index, view))
            detector.start_async({0: _squashed(image, DETECTOR_SIDE)}, index)
        classifier.wait_all()
        detector.wait_all()
        return [Analysis(features[i].mean(axis=0), classes[i].mean(axis=0), detections[i]) for i in range(len(images))]

    @functools.cached_property
    def _nets(self) -> tuple[ov.CompiledModel, ov.CompiledModel]:
        """The classifier and the detector, made at the same time: that is half of what a short run waits for."""
        with ThreadPoolExecutor(1) as beside:
            detector = beside.submit(self._detector)
            return self._classifier(), detector.result()

    def _classifier(self) -> ov.CompiledModel:
        """The classifier with its pooled features as a second output; TFLite itself would have to keep all tensors."""
        EFFICIENTNET.verified()
        return compiled(f"{EFFICIENTNET.sha256[:32]}-with-features", with_features, THROUGHPUT)

    def _detector(self) -> ov.CompiledModel:
        return core().compile_model(str(SSD_MOBILENET.verified()), "CPU", THROUGHPUT)


def with_features() -> ov.Model:
    """Return the classifier with its pooled features, shape (1, 1280), as a second output."""
    model = core().read_model(str(EFFICIENTNET.verified()))
    node = next(op for op in model.get_ordered_ops() if op.get_type_name() == "Softmax")
    while node.get_type_name() != "MatMul":
        node = node.input(0).get_source_output().get_node()
    model.add_outputs([node.input(0).get_source_output()])
    return model


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """Return the 1,000 class names, each the first of its synonyms: "tench", "goldfish", …"""
    lines = IMAGENET_LABELS.verified().read_text(encoding="utf-8").splitlines()
    return tuple(line.split(",")[0].strip() for line in lines if line.strip())


def _squashed(image: Image.Image, side: int) -> NDArray[np.uint8]:
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))[None]


def _centre(image: Image.Image, side: int) -> NDArray[np.uint8]:
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    box = (left, top, left + short, top + short)
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=box))[None]


def _detections(
    boxes: NDArray[np.float32], labels: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[Detection, ...]:
    """Turn the graph's rows (y1, x1, y2, x2; COCO numbers from 1; sorted, with zero scores at the end) into objects."""
    found = []
    for (top, left, bottom, right), number, score in zip(np.clip(boxes, 0, 1), labels, scores, strict=True):
        label = COCO_LABELS.get(int(number))
        if score > 0 and label and right > left and bottom > top:
            box = Box(float(left), float(top), float(right - left), float(bottom - top))
            found.append(Detection(label, float(score), box))
    return tuple(found)
