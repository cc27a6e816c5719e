"""The adapters that find objects, against the libraries' own pipelines."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
import transformers as tf
from PIL import Image

from indexer.taggers.transformers_objects import FLORENCE_CONFIDENCE, FlorenceObjects, TransformersObjects, WordObjects
from indexer.taggers.ultralytics_objects import UltralyticsObjects
from search.encoders.open_clip_encoder import OpenClipEncoder
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.types import Tag, TagKind

NOTHING = np.empty((0, 0), np.float32)


def spec(library: str = "transformers", **options: object) -> ModelSpec:
    return ModelSpec(library=library, device="cpu", **options)


def in_pixels(tag: Tag, image: Image.Image) -> list[float]:
    box = tag.box
    assert box is not None
    width, height = image.size
    return [box.x * width, box.y * height, (box.x + box.width) * width, (box.y + box.height) * height]


def same(tags: list[Tag], expected: list[tuple[str, float, list[float]]], image: Image.Image) -> None:
    """Hold tags against (label, score, corners in pixels): scores to 0.001, boxes to one pixel after cutting."""
    assert len(tags) == len(expected) > 0
    width, height = image.size
    expected = sorted(expected, key=lambda one: -one[1])
    for tag, (label, score, corners) in zip(tags, expected, strict=True):
        assert (tag.kind, tag.label) == (TagKind.OBJECT, label)
        assert tag.confidence == pytest.approx(score, abs=1e-3)
        cut = np.clip(corners, 0, [width, height, width, height])
        assert np.abs(np.array(in_pixels(tag, image)) - cut).max() <= 1


@pytest.mark.parametrize("maker", [tiny_models.detr, tiny_models.rt_detr])
def test_detr_and_rt_detr(made, pictures, maker) -> None:
    folder = made(maker)
    threshold = 0.2 if maker is tiny_models.detr else 0.3
    tagger = TransformersObjects(folder, spec(threshold=threshold, batch_size=4))
    reference = tf.pipeline("object-detection", str(folder), device="cpu")
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        expected = [
            (one["label"], one["score"], [one["box"][key] for key in ("xmin", "ymin", "xmax", "ymax")])
            for one in reference(image, threshold=threshold)
        ]
        same(tags, expected, image)


def test_owl_looks_for_the_words_it_is_given(made, pictures) -> None:
    folder = made(tiny_models.owl)
    labels = ("a dog", "red car")
    tagger = WordObjects(folder, spec(labels=labels, threshold=0.0))
    model = tf.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = tf.AutoProcessor.from_pretrained(folder)
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        with torch.inference_mode():
            outputs = model(**processor(text=[list(labels)], images=image, return_tensors="pt"))
        (result,) = processor.post_process_grounded_object_detection(
            outputs, threshold=0.0, target_sizes=[(image.height, image.width)], text_labels=[list(labels)]
        )
        named = zip(result["text_labels"], result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        same(tags, list(named), image)


def test_grounding_dino_looks_for_the_words_it_is_given(made, pictures) -> None:
    folder = made(tiny_models.grounding_dino)
    tagger = WordObjects(folder, spec(labels=("dog", "red car"), threshold=0.05))
    model = tf.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = tf.AutoProcessor.from_pretrained(folder)
    found = 0
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        inputs = processor(text="dog. red car.", images=image, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**inputs)
        (result,) = processor.post_process_grounded_object_detection(
            outputs, inputs.input_ids, threshold=0.05, text_threshold=0.05, target_sizes=[(image.height, image.width)]
        )
        named = zip(result["text_labels"], result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        expected = [one for one in named if one[0]]
        if expected:
            same(tags, expected, image)
        found += len(expected)
    assert found


def test_florence_writes_its_boxes(made, pictures) -> None:
    tagger = FlorenceObjects(made(tiny_models.florence2), spec())
    assert len(tagger.tag(pictures[:2], NOTHING)) == 2
    # Random weights write no sentence; what a trained one writes is read by the library's own parser.
    written = "dog<loc_100><loc_200><loc_499><loc_999>"
    said = tagger._net.processor.post_process_generation(written, task="<OD>", image_size=(1000, 500))["<OD>"]
    found = [(label, FLORENCE_CONFIDENCE, box) for label, box in zip(said["labels"], said["bboxes"], strict=True)]
    same(
        tagger._tags(Image.new("RGB", (1000, 500)), found),
        [("dog", 0.5, [100, 100, 500, 500])],
        pictures[0].resize((1000, 500)),
    )


@pytest.mark.parametrize("config", ["yolov8n.yaml", "yolov9t.yaml", "yolo11n.yaml"])
def test_yolo(made, pictures, config: str) -> None:
    from ultralytics import YOLO

    path = made(tiny_models.yolo, config, name="y.pt")
    tagger = UltralyticsObjects(path, spec("ultralytics", batch_size=4))
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        (result,) = YOLO(path).predict(image, device="cpu", verbose=False, max_det=100)
        boxes = result.boxes
        named = zip(boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), strict=True)
        same(tags, [(result.names[int(label)], score, box) for label, score, box in named], image)


def test_yolo_world_takes_a_vocabulary_of_one_s_own(made, pictures) -> None:
    text = OpenClipEncoder(
        made(tiny_models.clip, tiny_models.clip_config(embed_dim=512)), ModelSpec(library="open_clip", device="cpu")
    )
    path = made(tiny_models.yolo, "yolov8s-worldv2.yaml", name="w.pt")
    options = {"labels": ("a red car", "dog"), "threshold": 0.001}
    tagger = UltralyticsObjects(path, spec("ultralytics", **options), words=text)
    tags = [tag for found in tagger.tag(pictures[:3], NOTHING) for tag in found]
    assert tags
    assert {tag.label for tag in tags} <= {"a red car", "dog"}
    fixed = UltralyticsObjects(path, spec("ultralytics", labels=("dog",)), words=text)
    assert fixed.fingerprint != tagger.fingerprint
    plain = made(tiny_models.yolo, "yolo11n.yaml", name="y.pt")
    with pytest.raises(ModelUnavailable, match="vocabulary"):
        UltralyticsObjects(plain, spec("ultralytics", **options), words=text).tag(pictures[:1], NOTHING)


def test_a_file_that_is_no_model_is_said(tmp_path, pictures) -> None:
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    with pytest.raises(ModelUnavailable, match=r"bad\.pt"):
        UltralyticsObjects(tmp_path / "bad.pt", spec("ultralytics")).tag(pictures[:1], NOTHING)
    with pytest.raises(ModelUnavailable, match="transformers"):
        TransformersObjects(tmp_path, spec()).tag(pictures[:1], NOTHING)
