"""The adapters that name, divide and describe pictures, against the libraries' own pipelines."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
import transformers as tf

from indexer.captioners.transformers_captions import QUESTION, TransformersCaptions
from indexer.taggers.transformers_classes import TransformersClasses, TransformersScenes
from indexer.taggers.transformers_segments import TransformersSegments
from indexer.taggers.zero_shot import places
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.types import TagKind

NOTHING = np.empty((0, 0), np.float32)


def spec(**options: object) -> ModelSpec:
    return ModelSpec(library="transformers", device="cpu", **options)


CLASSIFIERS = ["resnet", "efficientnet", "convnext", "vit", "dinov2", "timm"]


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classes(made, pictures, kind: str) -> None:
    folder = made(tiny_models.timm_classifier) if kind == "timm" else made(tiny_models.classifier, kind)
    tagger = TransformersClasses(folder, spec(threshold=0.0, batch_size=4))
    reference = tf.pipeline("image-classification", str(folder), device="cpu")
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        expected = reference(image, top_k=3)
        assert [tag.label for tag in tags] == [one["label"].split(",")[0] for one in expected]
        assert np.allclose([tag.confidence for tag in tags], [one["score"] for one in expected], atol=1e-4)
        assert {tag.kind for tag in tags} == {TagKind.CLASS}


def test_scenes_by_a_classifier_of_places365(tmp_path, pictures) -> None:
    names = dict(enumerate(reversed(places()[0])))
    config = tf.ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 24],
        depths=[1, 1],
        id2label=names,
        label2id={v: k for k, v in names.items()},
    )
    torch.manual_seed(0)
    folder = tiny_models.saved(
        tmp_path / "places",
        tf.ResNetForImageClassification(config).eval(),
        tf.ViTImageProcessor(size={"height": 64, "width": 64}),
    )
    tagger = TransformersScenes(folder, spec())
    reference = tf.pipeline("image-classification", str(folder), device="cpu")
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        scenes = [tag for tag in tags if tag.kind is TagKind.SCENE]
        assert [tag.label for tag in scenes] == [one["label"] for one in reference(image, top_k=5)]


def test_a_classifier_of_something_else_is_no_scene_model(made, pictures) -> None:
    with pytest.raises(ModelUnavailable, match="Places365"):
        TransformersScenes(made(tiny_models.classifier, "resnet"), spec()).tag(pictures[:1], NOTHING)


@pytest.mark.parametrize("maker", [tiny_models.segformer, tiny_models.mask2former])
def test_segments_are_the_shares_of_the_area(made, pictures, maker) -> None:
    folder = made(maker)
    tagger = TransformersSegments(folder, spec(batch_size=4))
    processor = tf.AutoImageProcessor.from_pretrained(folder)
    auto = tf.AutoModelForUniversalSegmentation if "mask" in maker.__name__ else tf.AutoModelForSemanticSegmentation
    model = auto.from_pretrained(folder).eval()
    for image, tags in zip(pictures, tagger.tag(pictures, NOTHING), strict=True):
        with torch.inference_mode():
            outputs = model(**processor(images=image, return_tensors="pt"))
        (classes,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[(image.height, image.width)])
        expected = {tiny_models.LABELS[label]: float((classes == label).float().mean()) for label in range(3)}
        assert {tag.label: pytest.approx(tag.confidence, abs=1e-4) for tag in tags} == {
            label: share for label, share in expected.items() if share >= 0.03
        }
        assert {tag.kind for tag in tags} == {TagKind.SEGMENT}


CAPTIONERS = {
    "blip": (tiny_models.blip, None),
    "blip with a beginning": (tiny_models.blip, "a photo of"),
    "blip-2": (tiny_models.blip2, None),
    "llava": (tiny_models.llava, None),
    "florence-2": (tiny_models.florence2, None),
}


@pytest.mark.parametrize("kind", CAPTIONERS)
def test_captions_token_for_token(made, pictures, kind: str) -> None:
    maker, prompt = CAPTIONERS[kind]
    folder = made(maker)
    captions = TransformersCaptions(folder, spec(max_tokens=12, prompt=prompt)).caption(pictures, [()] * len(pictures))
    model = tf.AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = tf.AutoProcessor.from_pretrained(folder)
    for image, caption in zip(pictures, captions, strict=True):
        if kind == "llava":
            talk = [
                {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]}
            ]
            inputs = processor.apply_chat_template(
                talk, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        elif kind == "florence-2":
            inputs = processor(text="<CAPTION>", images=image, return_tensors="pt")
        else:
            inputs = (
                processor(images=image, text=prompt, return_tensors="pt")
                if prompt
                else processor(images=image, return_tensors="pt")
            )
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)
        if kind == "llava":
            ids = ids[:, inputs["input_ids"].shape[1] :]
        expected = processor.batch_decode(ids, skip_special_tokens=True)[0]
        if kind == "florence-2":
            text = processor.batch_decode(ids, skip_special_tokens=False)[0]
            expected = processor.post_process_generation(text, task="<CAPTION>", image_size=image.size)["<CAPTION>"]
        assert caption == " ".join(expected.split())
    assert any(captions)
