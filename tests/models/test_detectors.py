"""What the adapters that find objects take and refuse; that they agree with their libraries is in test_families.py."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tiny_models
from PIL import Image
from references import LABELS, NOTHING, WRITTEN, in_pixels, spec

from indexer.taggers.transformers_objects import FlorenceObjects, TransformersObjects
from indexer.taggers.ultralytics_objects import UltralyticsObjects
from search.encoders.open_clip_encoder import OpenClipEncoder
from search.errors import ModelUnavailable


def test_florence_s_boxes_are_thousandths_of_width_and_height(made) -> None:
    tagger = FlorenceObjects(made(tiny_models.florence2), spec())
    tagger._net.processor.batch_decode = lambda *_, **__: [WRITTEN]
    image = Image.new("RGB", (1000, 500))
    dog, car = tagger.tag([image], NOTHING)[0]
    assert (dog.label, dog.confidence, car.label) == ("dog", 0.5, "red car")
    assert in_pixels(dog, image) == pytest.approx([100, 100, 500, 500], abs=1)


def test_yolo_world_takes_a_vocabulary_of_one_s_own(made, pictures) -> None:
    config = tiny_models.clip_config(embed_dim=512, quick_gelu=True)
    text = OpenClipEncoder(made(tiny_models.clip, config), spec("open_clip"))
    path = made(tiny_models.yolo, "yolov8s-worldv2.yaml", name="w.pt")
    tagger = UltralyticsObjects(path, spec("ultralytics", labels=LABELS, threshold=0.001), words=text)
    fixed = UltralyticsObjects(path, spec("ultralytics", labels=("dog",), threshold=0.001), words=text)
    assert fixed.fingerprint != tagger.fingerprint
    plain = made(tiny_models.yolo, "yolo11n.yaml", name="y.pt")
    with pytest.raises(ModelUnavailable, match="vocabulary"):
        UltralyticsObjects(plain, spec("ultralytics", labels=LABELS), words=text).tag(pictures[:1], NOTHING)


def test_a_file_that_is_no_model_is_said(tmp_path, pictures) -> None:
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    with pytest.raises(ModelUnavailable, match=r"bad\.pt"):
        UltralyticsObjects(tmp_path / "bad.pt", spec("ultralytics")).tag(pictures[:1], NOTHING)
    with pytest.raises(ModelUnavailable, match="transformers"):
        TransformersObjects(tmp_path, spec()).tag(pictures[:1], NOTHING)


def test_pictures_are_opened_as_before_once_ultralytics_is_there(tmp_path) -> None:
    code = """
import sys
from pathlib import Path
from PIL import Image
from indexer.taggers.ultralytics_objects import _ultralytics
from search.errors import ModelUnavailable
before = Image.open
try:
    _ultralytics(Path(sys.argv[1]))
except ModelUnavailable:
    pass
assert "ultralytics.utils.patches" in sys.modules
assert Image.open is before
"""
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "bad.pt")], check=True)
