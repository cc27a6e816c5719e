"""Every family's adapter against its library's own pipeline: one comparison for the tests and for docs/models.md.

`FAMILIES` has, for each family of `indexer/data/families.toml`, what makes a small model of its real class and measures
how far the adapter is from the library on it. Where labels, texts of lines or counts differ, AssertionError is raised.
"""

from __future__ import annotations

import functools
import math
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import tiny_models
import torch
import transformers as tf
from libraries import photos
from PIL import Image, ImageDraw, ImageFont

from indexer.captioners.transformers_captions import QUESTION, TransformersCaptions
from indexer.taggers import rapid_ocr, zero_shot
from indexer.taggers.transformers_classes import TransformersClasses, TransformersScenes
from indexer.taggers.transformers_objects import FLORENCE_CONFIDENCE, FlorenceObjects, TransformersObjects, WordObjects
from indexer.taggers.transformers_segments import TransformersSegments
from indexer.taggers.ultralytics_objects import UltralyticsObjects, pillow_kept
from search.encoders.open_clip_encoder import OpenClipEncoder
from search.profile_file import ModelSpec
from search.types import Tag, TagKind

Pictures = Sequence[Image.Image]
Found = tuple[str, float, Sequence[float]]
"""Label, score, and left, top, right and bottom in pixels, as a library gives them."""

NOTHING = np.empty((0, 0), np.float32)
TEXTS = ["a dog", "two people on a beach at night", "snow " * 200, "RED car.", "的"]
LABELS = ("a red car", "dog")


def spec(library: str = "transformers", **options: Any) -> ModelSpec:
    return ModelSpec(library=library, device="cpu", **options)


def some_pictures(folder: Path) -> list[Image.Image]:
    """Return photos of several shapes, as the decoder hands them on."""
    names = ("pets/chelsea.png", "rocket.jpg", "people/camera.png", "motorcycle_left.png")
    found = [Image.open(photos(folder) / name).convert("RGB") for name in names]
    return [*found, found[0].resize((451, 300)), found[1].crop((0, 0, 200, 400))]


# What was measured


@dataclass(frozen=True, slots=True)
class Quantity:
    said: str
    limit: float
    digits: int


QUANTITIES = {
    "cosine": Quantity("cosine ≥ {}", 1e-4, 5),
    "boxes": Quantity("boxes ≤ {} px", 1, 2),
    "scores": Quantity("scores ≤ {}", 1e-3, 4),
    "probabilities": Quantity("probabilities ≤ {}", 1e-4, 5),
    "shares": Quantity("shares of the area ≤ {}", 1e-4, 5),
    "captions": Quantity("{} of {} captions equal", 0, 0),
    "lines": Quantity("{} of {} lines equal", 0, 0),
    # The pipeline is the same; its nets run in another engine, and their maps are cut at a threshold.
    "boxes of lines": Quantity("boxes ≤ {} px", 3, 2),
    "scores of lines": Quantity("scores ≤ {}", 0.05, 4),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """The greatest difference by quantity (for cosines, from 1), and how many texts were compared."""

    differences: dict[str, float]
    compared: int = 0

    def __str__(self) -> str:
        """Return bounds that hold: rounded away from no difference."""
        return ", ".join(self._said(name, value) for name, value in self.differences.items())

    def _said(self, name: str, difference: float) -> str:
        quantity = QUANTITIES[name]
        if not quantity.digits:
            return quantity.said.format(self.compared - int(difference), self.compared)
        bound = max(1, math.ceil(difference * 10**quantity.digits)) / 10**quantity.digits
        return quantity.said.format(f"{1 - bound if name == 'cosine' else bound:.{quantity.digits}f}")

    def __or__(self, other: Measured) -> Measured:
        """Return the worse of both; counted texts add up."""
        joined = dict(self.differences)
        for name, value in other.differences.items():
            counted = not QUANTITIES[name].digits
            joined[name] = joined.get(name, 0) + value if counted else max(joined.get(name, 0), value)
        return Measured(joined, self.compared + other.compared)

    @property
    def too_much(self) -> list[str]:
        """The quantities whose difference is beyond what the tests allow."""
        return [name for name, value in self.differences.items() if value > QUANTITIES[name].limit]


def _measured(**differences: float) -> Measured:
    return Measured({name: float(value) for name, value in differences.items()})


def worst(measured: Iterable[Measured]) -> Measured:
    return functools.reduce(Measured.__or__, measured)


# Embeddings


def of_open_clip(folder: Path) -> tuple[Any, Any, Any]:
    """Return the model, picture transform and tokenizer as open_clip's own documentation loads them."""
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    return model.eval(), transform, open_clip.get_tokenizer(f"local-dir:{folder}")


def embedding(folder: Path, pictures: Pictures, runtimes: Sequence[str] = ("torch", "openvino")) -> Measured:
    model, transform, tokenizer = of_open_clip(folder)
    with torch.inference_mode():
        images = model.encode_image(torch.stack([transform(picture) for picture in pictures]), normalize=True).numpy()
        texts = model.encode_text(tokenizer(TEXTS), normalize=True).numpy()

    def least(runtime: str) -> float:
        encoder = OpenClipEncoder(folder, spec("open_clip", runtime=runtime, batch_size=4))
        pairs = ((encoder.encode_images(pictures), images), (encoder.encode_texts(TEXTS), texts))
        return min(float((ours.astype(np.float64) * theirs).sum(axis=1).min()) for ours, theirs in pairs)

    return _measured(cosine=max(0.0, 1 - min(map(least, runtimes))))


# Boxes


def boxes(tagged: Iterable[list[Tag]], expected: Iterable[Sequence[Found]], pictures: Pictures) -> Measured:
    """Return the differences of boxes cut to the picture, in pixels, and of scores; some box must be there.

    Each box is held against the nearest of the same label and score: where scores are equal, any order is right.
    """
    pixels, scores, seen = [], [], []
    for tags, found, image in zip(tagged, expected, pictures, strict=True):
        assert len(tags) == len(found)
        assert [tag.confidence for tag in tags] == sorted((tag.confidence for tag in tags), reverse=True)
        seen.append([tag.confidence for tag in tags])
        left = [(tag.label, tag.confidence, in_pixels(tag, image)) for tag in tags if tag.kind is TagKind.OBJECT]
        for label, score, corners in sorted(found, key=lambda one: -one[1]):
            cut = np.clip(corners, 0, [*image.size] * 2)
            cut[2:] = np.maximum(cut[:2], cut[2:])  # YOLO26 untrained may write a corner before the other
            near = [
                (float(np.abs(box - cut).max()), i)
                for i, (name, confidence, box) in enumerate(left)
                if name == label and abs(confidence - score) <= QUANTITIES["scores"].limit
            ]
            assert near, f"nothing is {label} with {score:.4f}"
            distance, place = min(near)
            pixels.append(distance)
            scores.append(abs(left.pop(place)[1] - score))
    assert differs(seen)
    return _measured(boxes=max(pixels), scores=max(scores))


def differs(rows: Iterable[Sequence[float]]) -> bool:
    """Tell whether results are not the same for every picture: a model that sees nothing would prove nothing."""
    return len({tuple(round(value, 6) for value in row) for row in rows}) > 1


def in_pixels(tag: Tag, image: Image.Image) -> np.ndarray:
    box = tag.box
    assert box is not None
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height]) * ([*image.size] * 2)


def detector(folder: Path, pictures: Pictures, threshold: float) -> Measured:
    """Compare DETR and RT-DETR with the pipeline, which cuts its boxes to whole pixels only when it writes them."""
    reference = tf.pipeline("object-detection", str(folder), device="cpu")
    reference._get_bounding_box = lambda box: box.tolist()
    expected = [
        [(one["label"], one["score"], one["box"]) for one in reference(image, threshold=threshold)]
        for image in pictures
    ]
    tagger = TransformersObjects(folder, spec(threshold=threshold, batch_size=4))
    return boxes(tagger.tag(pictures, NOTHING), expected, pictures)


def grounded(folder: Path, pictures: Pictures, labels: tuple[str, ...], threshold: float, text: Any) -> Measured:
    """Compare detectors by words with their processor's `post_process_grounded_object_detection`.

    ``text`` is what their documentation has the processor read for the labels.
    """
    model, processor = of_transformers(folder, "AutoModelForZeroShotObjectDetection", "AutoProcessor")

    def found(image: Image.Image) -> list[Found]:
        inputs = processor(text=text, images=image, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**inputs)
        options = (
            {"input_ids": inputs.input_ids, "text_threshold": threshold}
            if isinstance(text, str)
            else {"text_labels": [list(labels)]}
        )
        (result,) = processor.post_process_grounded_object_detection(
            outputs, threshold=threshold, target_sizes=[(image.height, image.width)], **options
        )
        named = zip(result["text_labels"], result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        return [one for one in named if one[0]]

    tagger = WordObjects(folder, spec(labels=labels, threshold=threshold))
    return boxes(tagger.tag(pictures, NOTHING), map(found, pictures), pictures)


WRITTEN = "dog<loc_100><loc_200><loc_499><loc_999>red car<loc_0><loc_7><loc_333><loc_500>"


def florence_boxes(folder: Path, pictures: Pictures) -> Measured:
    """Compare with `post_process_generation`: on what the small model writes, and on what a trained one would."""
    model, processor = of_transformers(folder, "AutoModelForImageTextToText", "AutoProcessor")
    tagger = FlorenceObjects(folder, spec())
    tagger.MOST_TOKENS = 40
    pictures = pictures[:3]

    def read(text: str, image: Image.Image) -> list[Found]:
        said = processor.post_process_generation(text, task="<OD>", image_size=image.size)["<OD>"]
        named = zip(said["labels"], said["bboxes"], strict=True)
        return [(label, FLORENCE_CONFIDENCE, box) for label, box in named if label]

    def found(image: Image.Image) -> list[Found]:
        with torch.inference_mode():
            ids = model.generate(
                **processor(text="<OD>", images=image, return_tensors="pt"), max_new_tokens=40, do_sample=False
            )
        return read(processor.batch_decode(ids, skip_special_tokens=False)[0], image)

    generated = [*zip(tagger.tag(pictures, NOTHING), map(found, pictures), pictures, strict=True)]
    tagger._net.processor.batch_decode = lambda *_, **__: [f"</s><s>{WRITTEN}</s>"]
    written = zip(tagger.tag(pictures, NOTHING), [read(WRITTEN, image) for image in pictures], pictures, strict=True)
    return boxes(*zip(*generated, *written, strict=True))


def yolo(path: Path, pictures: Pictures) -> Measured:
    with pillow_kept():
        from ultralytics import YOLO

    tagger = UltralyticsObjects(path, spec("ultralytics", batch_size=4, runtime="torch"))
    return boxes(tagger.tag(pictures, NOTHING), _predicted(YOLO(path), pictures), pictures)


def yolo_world(path: Path, pictures: Pictures, words: Path) -> Measured:
    """Compare with Ultralytics' own `set_classes`, whose text tower alone is replaced: open_clip gives its vectors."""
    with pillow_kept():
        from ultralytics import YOLOWorld

    text_model, _, tokenizer = of_open_clip(words)
    model = YOLOWorld(path)

    def text_vectors(text: list[str], **_: Any) -> torch.Tensor:
        with torch.inference_mode():
            return text_model.encode_text(tokenizer(text), normalize=True)[None].clone()

    model.model.get_text_pe = text_vectors
    model.set_classes(list(LABELS))
    options = {"labels": LABELS, "threshold": 0.001, "batch_size": 4}
    tagger = UltralyticsObjects(
        path, spec("ultralytics", **options), words=OpenClipEncoder(words, spec("open_clip", runtime="torch"))
    )
    return boxes(tagger.tag(pictures, NOTHING), _predicted(model, pictures, conf=0.001), pictures)


def _predicted(model: Any, pictures: Pictures, **options: float) -> Iterator[list[Found]]:
    for image in pictures:
        (result,) = model.predict(image, device="cpu", verbose=False, max_det=100, **options)
        named = zip(result.boxes.cls.tolist(), result.boxes.conf.tolist(), result.boxes.xyxy.tolist(), strict=True)
        yield [(result.names[int(label)], score, box) for label, score, box in named]


# Classes, scenes, attributes, styles and segments


def of_transformers(folder: Path, auto: str, processor: str) -> tuple[Any, Any]:
    return getattr(tf, auto).from_pretrained(folder).eval(), getattr(tf, processor).from_pretrained(folder)


def chosen(tagged: Iterable[list[Tag]], expected: Iterable[dict[str, float]], kind: TagKind) -> float:
    """Return the greatest difference in confidence; tags of ``kind`` must have the expected labels in their order."""
    differences, tagged = [], list(tagged)
    assert differs([tag.confidence for tag in tags] for tags in tagged)
    for tags, labels in zip(tagged, expected, strict=True):
        ours = {tag.label: tag.confidence for tag in tags if tag.kind is kind}
        assert list(ours) == list(labels)
        differences += [abs(ours[label] - labels[label]) for label in labels]
    return max(differences)


def likeliest(row: dict[str, float], most: int, least: float = 0.0) -> dict[str, float]:
    """Return the labels of the greatest probabilities, greatest first, where they are at least ``least``."""
    best = sorted(row, key=lambda label: -row[label])[:most]
    return {label: row[label] for label in best if row[label] >= least}


def classes(folder: Path, pictures: Pictures) -> Measured:
    tagger = TransformersClasses(folder, spec(threshold=0.0, batch_size=4))
    return _measured(
        probabilities=chosen(tagger.tag(pictures, NOTHING), _classified(folder, pictures, 3), TagKind.CLASS)
    )


def scenes(folder: Path, pictures: Pictures) -> Measured:
    tagged = TransformersScenes(folder, spec(batch_size=4)).tag(pictures, NOTHING)
    return _measured(probabilities=chosen(tagged, _classified(folder, pictures, 5), TagKind.SCENE))


def _classified(folder: Path, pictures: Pictures, most: int) -> list[dict[str, float]]:
    reference = tf.pipeline("image-classification", str(folder), device="cpu")
    return [{one["label"].split(",")[0]: one["score"] for one in reference(image, top_k=most)} for image in pictures]


class ZeroShot:
    """open_clip's own way to classify by words, and our encoder on the same model."""

    def __init__(self, folder: Path, pictures: Pictures) -> None:
        self._model, transform, self._tokenizer = of_open_clip(folder)
        self._scale = (
            112 if "init_logit_bias" in (folder / "open_clip_config.json").read_text(encoding="utf-8") else 100
        )
        self.encoder = OpenClipEncoder(folder, spec("open_clip", runtime="torch"))
        self.vectors = self.encoder.encode_images(pictures)
        with torch.inference_mode():
            self._images = self._model.encode_image(torch.stack([transform(p) for p in pictures]), normalize=True)

    def rows(self, prompts: dict[str, Sequence[str]]) -> list[dict[str, float]]:
        """Return the probability of each label for each picture; ``prompts`` may have a {} for the label."""
        by_template: dict[tuple[str, ...], list[str]] = {}
        for label, templates in prompts.items():
            by_template.setdefault(tuple(templates), []).append(label)
        columns = [
            open_clip.build_zero_shot_classifier(self._model, self._tokenizer, labels, templates)
            for templates, labels in by_template.items()
        ]
        names = [label for labels in by_template.values() for label in labels]
        odds = (self._scale * self._images @ torch.cat(columns, dim=1)).softmax(dim=-1)
        return [dict(zip(names, row, strict=True)) for row in odds.tolist()]


def zero_shot_classes(folder: Path, pictures: Pictures) -> Measured:
    reference = ZeroShot(folder, pictures)
    labels = ("dog", "cat", "red car", "person on a beach")
    rows = reference.rows(dict.fromkeys(labels, ("a photo of a {}",)))
    tagger = zero_shot.ZeroShotClasses(reference.encoder, spec("zero-shot", labels=labels, threshold=0.0))
    tagged = tagger.tag(pictures, reference.vectors)
    return _measured(probabilities=chosen(tagged, [likeliest(row, 3) for row in rows], TagKind.CLASS))


def zero_shot_scenes(folder: Path, pictures: Pictures) -> Measured:
    reference = ZeroShot(folder, pictures)
    names, indoors = zero_shot.places()
    rows = reference.rows(dict.fromkeys(names, zero_shot.SCENE_PROMPTS))
    tagged = zero_shot.SceneTagger(reference.encoder).tag(pictures, reference.vectors)
    named = 0.0
    for tags, row in zip(tagged, rows, strict=True):
        # By confidence and not by place: of 365 scenes some are all but equal.
        ours = [tag for tag in tags if tag.kind is TagKind.SCENE]
        best = likeliest(row, 5).values()
        named = max(named, *(abs(tag.confidence - row[tag.label]) for tag in ours))
        named = max(named, *(abs(tag.confidence - share) for tag, share in zip(ours, best, strict=True)))
    where = []
    for row in rows:
        inside = sum(row[name] for name, indoor in zip(names, indoors, strict=True) if indoor)
        where.append(likeliest({"indoor": inside, "outdoor": 1 - inside}, 1, zero_shot.LEAST_SURE))
    if any(where):
        sides = [[tag for tag in tags if tag.label in ("indoor", "outdoor")] for tags in tagged]
        named = max(named, chosen(sides, where, TagKind.ATTRIBUTE))
    return _measured(probabilities=named)


def zero_shot_groups(folder: Path, pictures: Pictures, kind: TagKind, file: str) -> Measured:
    """Compare what is said of each group; the small model must be sure of some."""
    reference = ZeroShot(folder, pictures)
    groups = tomllib.loads(files("indexer").joinpath(f"data/{file}").read_text(encoding="utf-8"))
    expected: list[dict[str, float]] = [{} for _ in pictures]
    for prompts in groups.values():
        for said, row in zip(expected, reference.rows(prompts), strict=True):
            said.update({label: p for label, p in likeliest(row, 1, 0.5).items() if label})
    tagged = zero_shot.AttributeTagger(reference.encoder, kind, file).tag(pictures, reference.vectors)
    return _measured(probabilities=chosen(tagged, [likeliest(said, len(said)) for said in expected], kind))


def segments(folder: Path, pictures: Pictures, auto: str) -> Measured:
    model, processor = of_transformers(folder, auto, "AutoImageProcessor")

    def shares(image: Image.Image) -> dict[str, float]:
        with torch.inference_mode():
            outputs = model(**processor(images=image, return_tensors="pt"))
        (drawn,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[(image.height, image.width)])
        row = {name: float((drawn == label).double().mean()) for label, name in model.config.id2label.items()}
        return likeliest(row, len(row), 0.03)

    tagged = TransformersSegments(folder, spec(batch_size=4)).tag(pictures, NOTHING)
    return _measured(shares=chosen(tagged, map(shares, pictures), TagKind.SEGMENT))


# Captions


def captions(folder: Path, pictures: Pictures, prompt: str | None = None) -> Measured:
    """Return how many captions differ from the library's greedy decoding in any token; they may not all be empty."""
    model, processor = of_transformers(folder, "AutoModelForImageTextToText", "AutoProcessor")
    florence, talks = model.config.model_type == "florence2", bool(getattr(processor, "chat_template", None))

    def expected(image: Image.Image) -> str:
        if talks:
            said = [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]
            inputs = processor.apply_chat_template(
                [{"role": "user", "content": said}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            asked = "<CAPTION>" if florence else prompt
            inputs = processor(images=image, return_tensors="pt", **({"text": asked} if asked else {}))
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)
        if florence:
            text = processor.batch_decode(ids, skip_special_tokens=False)[0]
            return processor.post_process_generation(text, task="<CAPTION>", image_size=image.size)["<CAPTION>"]
        return processor.batch_decode(
            ids[:, inputs["input_ids"].shape[1] :] if talks else ids, skip_special_tokens=True
        )[0]

    ours = TransformersCaptions(folder, spec(max_tokens=12, prompt=prompt)).caption(pictures, [()] * len(pictures))
    assert len(set(ours)) > 1
    pairs = zip(ours, map(expected, pictures), strict=True)
    return Measured({"captions": sum(one.split() != other.split() for one, other in pairs)}, len(pictures))


# Text


def page(*lines: str, size: int = 36) -> Image.Image:
    """Return a white picture with lines of text."""
    image = Image.new("RGB", (640, 80 + 70 * len(lines)), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((40, 40 + 70 * number), line, fill="black", font=ImageFont.load_default(size))
    return image


def ocr(folder: Path, pictures: Pictures) -> Measured:
    """Compare with RapidOCR in its default engine (ONNX Runtime), on its real weights and pages made here."""
    from rapidocr import RapidOCR

    pages = [page("Happy Birthday", "Room 42"), page("EXIT", size=60), page("Platform 9", "to London", "10:45")]
    engine = RapidOCR(params={"Global.log_level": "error"})
    measured = []
    for image, tags in zip(pages, rapid_ocr.RapidOcr(spec("rapidocr")).tag(pages, NOTHING), strict=True):
        result = engine(np.asarray(image)[:, :, ::-1])
        expected = [(*corner.min(axis=0), *corner.max(axis=0)) for corner in result.boxes]
        assert len(tags) == len(expected)
        pixels = [np.abs(in_pixels(tag, image) - corners).max() for tag, corners in zip(tags, expected, strict=True)]
        scores = [abs(tag.confidence - score) for tag, score in zip(tags, result.scores, strict=True)]
        differ = sum(tag.label != text for tag, text in zip(tags, result.txts, strict=True))
        measured.append(
            Measured({"lines": differ, "boxes of lines": max(pixels), "scores of lines": max(scores)}, len(tags))
        )
    return worst(measured)


# Families

Measure = Callable[[Path, Pictures], Measured]
"""Makes its models below a folder and compares adapter and library on pictures."""


def made(folder: Path, maker: Callable[..., Path], *args: Any, name: str = "") -> Path:
    """Return a model of `tiny_models` below a folder, made unless it is there; ``name`` is that of a single file."""
    path = folder / f"{maker.__name__}-{zlib.crc32(repr(args).encode()):08x}"
    path = path / name if name else path
    return path if path.exists() else maker(path, *args)


def on(maker: Callable[..., Path], *args: Any, by: Callable[..., Measured], name: str = "", **options: Any) -> Measure:
    """Return what measures the comparison ``by`` on one model."""
    return lambda folder, pictures: by(made(folder, maker, *args, name=name), pictures, **options)


def each(*measures: Measure) -> Measure:
    """Return what measures the worst of several."""
    return lambda folder, pictures: worst(measure(folder, pictures) for measure in measures)


def _yolo_world(folder: Path, pictures: Pictures) -> Measured:
    words = made(folder, tiny_models.clip, tiny_models.clip_config(embed_dim=512, quick_gelu=True))
    return yolo_world(made(folder, tiny_models.yolo, "yolov8s-worldv2.yaml", name="w.pt"), pictures[:4], words)


_clip = functools.partial(on, tiny_models.clip, by=embedding)
_classes = functools.partial(on, tiny_models.classifier, by=classes)


def _zero_shot(by: Callable[..., Measured], **options: Any) -> Measure:
    return each(*(on(tiny_models.clip, config, by=by, **options) for config in (tiny_models.CLIP, tiny_models.SIGLIP)))


FAMILIES: dict[str, Measure] = {
    "CLIP of OpenAI": _clip(tiny_models.clip_config(quick_gelu=True)),
    "CLIP of LAION": _clip(tiny_models.CLIP),
    "CLIP of DataComp": _clip(tiny_models.CLIP),
    "SigLIP": _clip(tiny_models.SIGLIP),
    "SigLIP 2": _clip(tiny_models.SIGLIP2),
    "MobileCLIP": _clip(tiny_models.MOBILE),
    "multilingual CLIP (XLM-RoBERTa)": _clip(tiny_models.MULTILINGUAL),
    "YOLOv8, YOLOv9, YOLO11 and newer": each(
        *(on(tiny_models.yolo, f"{config}.yaml", name="y.pt", by=yolo) for config in tiny_models.YOLOS)
    ),
    "RT-DETR": on(tiny_models.rt_detr, by=detector, threshold=0.3),
    "DETR": on(tiny_models.detr, by=detector, threshold=0.2),
    "Florence-2 (boxes)": on(tiny_models.florence2, by=florence_boxes),
    "YOLO-World": _yolo_world,
    "Grounding DINO": on(
        tiny_models.grounding_dino, by=grounded, labels=("dog", "red car"), threshold=0.05, text="dog. red car."
    ),
    "OWLv2": on(tiny_models.owl, by=grounded, labels=LABELS, threshold=0.0, text=[list(LABELS)]),
    "ResNet": _classes("resnet"),
    "EfficientNet": _classes("efficientnet"),
    "ConvNeXt": _classes("convnext"),
    "ViT": _classes("vit"),
    "DINOv2 with a head": _classes("dinov2"),
    "any classifier of timm": on(tiny_models.timm_classifier, by=classes),
    "zero-shot, your own labels": _zero_shot(zero_shot_classes),
    "Places365, zero-shot": _zero_shot(zero_shot_scenes),
    "a classifier of Places365": on(tiny_models.places365, by=scenes),
    "time of day, weather, season": _zero_shot(zero_shot_groups, kind=TagKind.ATTRIBUTE, file="attributes.toml"),
    "medium, look, shot": _zero_shot(zero_shot_groups, kind=TagKind.STYLE, file="styles.toml"),
    "SegFormer": on(tiny_models.segformer, by=segments, auto="AutoModelForSemanticSegmentation"),
    "Mask2Former": on(tiny_models.mask2former, by=segments, auto="AutoModelForUniversalSegmentation"),
    "BLIP": each(on(tiny_models.blip, by=captions), on(tiny_models.blip, by=captions, prompt="a photo of")),
    "BLIP-2": on(tiny_models.blip2, by=captions),
    "LLaVA and others with a chat template": on(tiny_models.llava, by=captions),
    "Florence-2": on(tiny_models.florence2, by=captions),
    "PP-OCR": ocr,
}
"""What measures each family, by its name in `indexer/data/families.toml`."""
