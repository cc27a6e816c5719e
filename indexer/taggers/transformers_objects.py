"""Objects by transformers: DETR and RT-DETR with fixed labels, Grounding DINO and OWLv2 for words, Florence-2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.taggers.ultralytics_objects import MAX_OBJECTS
from indexer.transformers_model import TransformersModel, sizes
from search.boxes import corners
from search.profile_file import ModelSpec
from search.types import Matrix, Tag, TagKind

VERSION = "1"
LEAST = 0.3
LEAST_BY_WORDS = 0.2
FLORENCE_CONFIDENCE = 0.5
"""Florence-2 writes its boxes as text and gives no score; this one counts by default and no higher."""

Found = tuple[str, float, Sequence[float]]
"""Label, score, and left, top, right and bottom in pixels."""


class _Detector:
    """One tag for each instance, in a box."""

    kinds = frozenset({TagKind.OBJECT})
    side = 1024

    def __init__(self, model: TransformersModel, least: float) -> None:
        self._net = model
        spec = model.spec
        self._least = least if spec.threshold is None else spec.threshold
        self.source = model.name
        self.fingerprint = model.fingerprint(VERSION, self._least, *spec.labels)

    def _tags(self, image: Image.Image, found: Iterable[Found]) -> list[Tag]:
        width, height = image.size
        tags = [
            Tag(
                TagKind.OBJECT,
                label,
                min(1.0, max(0.0, score)),
                self.source,
                corners(box[0] / width, box[1] / height, box[2] / width, box[3] / height),
            )
            for label, score, box in found
        ]
        return sorted(tags, key=lambda tag: -tag.confidence)[:MAX_OBJECTS]


class TransformersObjects(_Detector):
    """A detector with labels of its own. Satisfies `search.protocols.Tagger`."""

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        super().__init__(TransformersModel(folder, spec, "AutoModelForObjectDetection"), LEAST)

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        tags: list[list[Tag]] = [[] for _ in images]
        with self._net.lock:
            for places, _, outputs in self._net.batches(images):
                results = self._net.processor.post_process_object_detection(
                    outputs, threshold=self._least, target_sizes=sizes([images[i] for i in places])
                )
                for i, result in zip(places, results, strict=True):
                    tags[i] = self._tags(images[i], _named(result, self._net.labels))
        return tags


class WordObjects(_Detector):
    """A detector that looks for the words of ``spec.labels``. Satisfies `search.protocols.Tagger`."""

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        model = TransformersModel(folder, spec, "AutoModelForZeroShotObjectDetection", processor="AutoProcessor")
        super().__init__(model, LEAST_BY_WORDS)

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        with self._net.lock:
            return [self._tags(image, self._found(image)) for image in images]

    def _found(self, image: Image.Image) -> list[Found]:
        import torch

        net, labels = self._net, list(self._net.spec.labels)
        grounded = "dino" in net.config.model_type
        # Grounding DINO reads one text, its phrases closed by full stops; OWL reads each label by itself.
        text: Any = " ".join(f"{label.lower().rstrip('.')}." for label in labels) if grounded else [labels]
        inputs = net.moved(net.processor(text=text, images=image, return_tensors="pt"))
        with torch.inference_mode():
            outputs = net.model(**inputs)
        if grounded:
            (result,) = net.processor.post_process_grounded_object_detection(
                outputs,
                inputs.input_ids,
                threshold=self._least,
                text_threshold=self._least,
                target_sizes=sizes([image]),
            )
            names = result["text_labels"]
        else:
            (result,) = net.processor.post_process_grounded_object_detection(
                outputs, threshold=self._least, target_sizes=sizes([image])
            )
            names = [labels[int(i)] for i in result["labels"]]
        found = zip(names, result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        return [(name, score, box) for name, score, box in found if name]


class FlorenceObjects(_Detector):
    """Florence-2 asked for objects: it writes labels and boxes as text. Satisfies `search.protocols.Tagger`."""

    TASK = "<OD>"
    MOST_TOKENS = 512

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        model = TransformersModel(folder, spec, "AutoModelForImageTextToText", processor="AutoProcessor")
        super().__init__(model, FLORENCE_CONFIDENCE)

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        with self._net.lock:
            return [self._tags(image, self._found(image)) for image in images]

    def _found(self, image: Image.Image) -> list[Found]:
        import torch

        net = self._net
        inputs = net.moved(net.processor(text=self.TASK, images=image, return_tensors="pt"))
        with torch.inference_mode():
            ids = net.model.generate(**inputs, max_new_tokens=self.MOST_TOKENS, do_sample=False)
        text = net.processor.batch_decode(ids, skip_special_tokens=False)[0]
        said = net.processor.post_process_generation(text, task=self.TASK, image_size=image.size)[self.TASK]
        boxes = zip(said["labels"], said["bboxes"], strict=True)
        return [(label, FLORENCE_CONFIDENCE, box) for label, box in boxes if label]


def _named(result: Any, labels: dict[int, str]) -> list[Found]:
    found = zip(result["labels"].tolist(), result["scores"].tolist(), result["boxes"].tolist(), strict=True)
    return [(labels[label], score, box) for label, score, box in found]
