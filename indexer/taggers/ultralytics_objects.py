"""Objects by Ultralytics: YOLOv8, YOLOv9, YOLO11 and newer, and YOLO-World for a vocabulary of one's own."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.taggers.grouping import by_size
from search.batches import Batches
from search.boxes import corners
from search.encoders.converted import converted
from search.encoders.open_clip_encoder import OpenClipEncoder
from search.encoders.openvino_runtime import LATENCY, core
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.torch_device import device_of
from search.types import Matrix, Tag, TagKind
from search.weights.hub import content_hash

log = logging.getLogger(__name__)

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
        self._batches = Batches(spec)
        self.source = path.stem
        self._least = LEAST if spec.threshold is None else spec.threshold
        vocabulary = f"{spec.labels} {words.space.fingerprint}" if words else ""
        self.fingerprint = f"ultralytics {VERSION} {content_hash(path)} {self._least} {vocabulary}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        tags: list[list[Tag]] = [[] for _ in images]
        with self._lock, _torch_threads_kept():
            # Pictures of one size are padded alike, so that a result does not depend on the others of the batch.
            for group in by_size(images):
                for part, results in self._batches.run(group, lambda some: self._predict([images[i] for i in some])):
                    for i, result in zip(group[part], results, strict=True):
                        tags[i] = list(self._tags(result))
        return tags

    def _predict(self, images: list[Image.Image]) -> list[Any]:
        found: list[Any] = self._model.predict(
            images,
            predictor=self._predictor,
            conf=self._least,
            device=str(device_of(self._spec)),
            quantize=16 if self._spec.precision == "fp16" else None,
            max_det=MAX_OBJECTS,
            batch=len(images),
            verbose=False,
            save=False,
        )
        return found

    def _tags(self, result: Any) -> list[Tag]:
        found = zip(result.boxes.xyxyn.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist(), strict=True)
        tags = [
            Tag(TagKind.OBJECT, result.names[int(label)], min(1.0, score), self.source, corners(*xyxy))
            for xyxy, score, label in found
        ]
        return sorted(tags, key=lambda tag: -tag.confidence)

    @functools.cached_property
    def _model(self) -> Any:
        if self._words is None:
            return _ultralytics(self._exported() if self._in_openvino else self._path)
        model = _ultralytics(self._path)
        if not hasattr(model.model, "set_classes"):
            raise ModelUnavailable(f"{self._path.name} takes no vocabulary; a YOLO-World model does")
        # What `set_classes` does, with text vectors of open_clip: Ultralytics would install a package of its own.
        import torch

        vectors = torch.from_numpy(self._words.encode_texts(self._spec.labels))
        model.model.txt_feats = vectors[None]
        model.model.model[-1].nc = len(self._spec.labels)
        model.model.names = dict(enumerate(self._spec.labels))
        return model

    @property
    def _in_openvino(self) -> bool:
        spec = self._spec
        on_processor = device_of(spec).type == "cpu" and spec.precision != "fp16"
        return self._words is None and (spec.runtime == "openvino" or (spec.runtime == "auto" and on_processor))

    @functools.cached_property
    def _predictor(self) -> Any:
        """Ultralytics' predictor with the precision of the profile: it lets OpenVINO take bf16, which moves boxes."""
        from ultralytics.models.yolo.detect import DetectionPredictor

        hint = "bf16" if self._spec.precision == "bf16" else "f32"

        class Predictor(DetectionPredictor):
            def setup_model(self, model: Any, verbose: bool = False) -> None:
                super().setup_model(model, verbose)
                loaded: Any = self.model
                if loaded.format == "openvino":
                    net = str(next(Path(model).glob("*.xml")))
                    options = {**LATENCY, "INFERENCE_PRECISION_HINT": hint}
                    loaded.backend.ov_compiled_model = core().compile_model(net, "CPU", options)

        return Predictor

    def _exported(self) -> Path:
        """Return the model as Ultralytics' own exporter makes it for OpenVINO: the same boxes, in half the time.

        Where that fails and the profile does not insist, it is the model itself.
        """
        name = f"{self._path.stem}_openvino_model"  # Ultralytics knows the format by this ending

        def export(folder: Path) -> None:
            copy = Path(shutil.copy(self._path, folder))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _ultralytics(copy).export(format="openvino", dynamic=True, device="cpu", verbose=False)
            copy.unlink()

        try:
            return converted(f"{content_hash(self._path)[:32]}-ultralytics", export) / name
        except ModelUnavailable:
            raise
        except Exception:
            if self._spec.runtime == "openvino":
                raise
            log.warning("%s cannot be exported for OpenVINO; torch runs it", self._path.name, exc_info=True)
            return self._path


@contextlib.contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """Keep Ultralytics from taking a core away from all that runs in torch, as it does for a processor."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def pillow_kept() -> Iterator[None]:
    """Undo what an import of Ultralytics does to `PIL.Image.open`, for all of the process.

    A picture that cannot be read would then be a ModuleNotFoundError, for want of a package that reads others.
    """
    original = Image.open
    try:
        yield
    finally:
        Image.open = original


def _ultralytics(path: Path) -> Any:
    # Read by Ultralytics when it is imported: it would install packages and send statistics otherwise.
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    try:
        with pillow_kept():
            from ultralytics import YOLO  # type: ignore[attr-defined]
    except ImportError as error:
        raise ModelUnavailable(
            "this profile's detector needs Ultralytics, which is AGPL-3.0: run `pip install 'snapseek[ultralytics]'`,"
            " or name another detector in a profile of your own (docs/models.md)"
        ) from error
    logging.getLogger("ultralytics").setLevel(logging.ERROR)  # it prints to standard output otherwise
    try:
        return YOLO(path, task="detect")
    except Exception as error:
        raise ModelUnavailable(f"{path} cannot be loaded by Ultralytics: {error}") from error
