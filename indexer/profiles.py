"""A profile: the models that index a library, opened by name or from a TOML file, and run task by task."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from indexer.captioners.composed import ComposedCaptioner
from indexer.cloud.taggers import CAPTIONS, Clouds, CloudTask, is_cloud
from indexer.taggers.colors import ColorTagger
from indexer.taggers.compounds import compounds
from indexer.taggers.lite import ClassTagger, ObjectTagger
from indexer.taggers.zero_shot import AttributeTagger, ModerationTagger, SceneTagger, ZeroShotClasses
from search.catalog.rows import Said
from search.encoders.lite_vision import LiteVision
from search.encoders.opening import open_clip_encoder, open_encoder
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec, ProfileChoice, read_profile
from search.protocols import Captioner, Encoder, Tagger
from search.types import Tag, TagKind, Vector
from search.weights import hub

if TYPE_CHECKING:
    from indexer.cloud.asking import Asker

EMBEDDING = "embedding"
COMPOUNDS = "compounds"
OPENAI_TEXT = "timm/vit_base_patch32_clip_224.openai"
"""The text tower that YOLO-World was trained with."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the models of a profile say of one picture."""

    vector: Vector
    tags: Mapping[str, tuple[Tag, ...]]
    """By task."""
    caption: str | None
    caption_source: str | None
    done: Mapping[str, str]
    """The fingerprint of the model that did each task."""
    refused: Mapping[str, str]
    """By task: why a cloud service said nothing of this picture."""

    @property
    def all_tags(self) -> tuple[Tag, ...]:
        return tuple(tag for tags in self.tags.values() for tag in tags)


class Profile:
    """Models that work together."""

    def __init__(self, name: str, encoder: Encoder, taggers: Mapping[str, Tagger], captioner: Captioner | None) -> None:
        self.name = name
        self.encoder = encoder
        self.taggers = taggers
        """By task, in the order that they run in."""
        self.captioner = captioner

    @property
    def decode_side(self) -> int:
        """Long side, in pixels, of the pictures that the models need."""
        sides = [self.encoder.side, *(tagger.side for tagger in self.taggers.values())]
        return max(sides + ([self.captioner.side] if self.captioner else []))

    @property
    def sent_to(self) -> tuple[str, ...]:
        """The cloud services, or their models, that pictures are sent to."""
        return tuple(dict.fromkeys(asker.service.source for asker in self.askers))

    @property
    def askers(self) -> tuple[Asker, ...]:
        """Who asks each cloud service."""
        tasks: tuple[object, ...] = (*self.taggers.values(), self.captioner)
        return tuple(dict.fromkeys(one.asker for one in tasks if isinstance(one, CloudTask)))

    @contextlib.contextmanager
    def asking_nobody(self) -> Iterator[None]:
        """Let `annotate` raise CloudUnavailable for pictures that a cloud service would have to be asked about."""
        askers = self.askers
        for asker in askers:
            asker.closed = True
        try:
            yield
        finally:
            for asker in askers:
                asker.closed = False

    @functools.cached_property
    def tasks(self) -> Mapping[str, str]:
        """The fingerprint of each task's model."""
        tasks = {EMBEDDING: self.encoder.space.fingerprint}
        tasks |= {task: _digest(tagger.fingerprint) for task, tagger in self.taggers.items()}
        return tasks | ({CAPTIONS: _digest(self.captioner.fingerprint)} if self.captioner else {})

    @property
    def fingerprint(self) -> str:
        """Changes whenever any result may."""
        return _digest(repr(sorted(self.tasks.items())))

    def annotate(self, images: Sequence[Image.Image], said: Sequence[Said] | None = None) -> list[Annotation]:
        """Return what the models say of each upright RGB picture; ``said`` is what they said before, for each.

        A task that its present model did already is not done again.
        """
        before = said or [Said()] * len(images)
        vectors = self._vectors(images, before)
        tags: list[dict[str, tuple[Tag, ...]]] = [{} for _ in images]
        refused: list[dict[str, str]] = [{} for _ in images]
        for task, tagger in self.taggers.items():
            stale = [i for i, one in enumerate(before) if one.done.get(task) != self.tasks[task]]
            for i, one in enumerate(before):
                tags[i][task] = one.tags.get(task, ())
            found = tagger.tag([images[i] for i in stale], vectors[stale]) if stale else []
            for i, new in zip(stale, found, strict=True):
                tags[i][task] = tuple(new)
            if stale and isinstance(tagger, CloudTask):
                for place, reason in tagger.refused.items():
                    refused[stale[place]][task] = reason
        for found_tags in tags:
            found_tags[COMPOUNDS] = tuple(compounds([tag for some in found_tags.values() for tag in some]))
        captions = self._captions(images, before, tags, refused)
        source = self.captioner.source if self.captioner else None
        return [
            Annotation(vector, found, caption or None, source if caption else None, self.tasks, without)
            for vector, found, caption, without in zip(vectors, tags, captions, refused, strict=True)
        ]

    def _vectors(self, images: Sequence[Image.Image], before: Sequence[Said]) -> np.ndarray:
        space = self.encoder.space
        vectors = np.empty((len(images), space.dim), np.float32)
        stale = []
        for i, one in enumerate(before):
            if one.vector is None or one.vector.shape != (space.dim,):
                stale.append(i)
            else:
                vectors[i] = one.vector
        if stale:
            vectors[stale] = self.encoder.encode_images([images[i] for i in stale])
        return vectors

    def _captions(
        self,
        images: Sequence[Image.Image],
        before: Sequence[Said],
        tags: Sequence[Mapping[str, tuple[Tag, ...]]],
        refused: Sequence[dict[str, str]],
    ) -> list[str]:
        if self.captioner is None:
            return [""] * len(images)
        # A composed caption follows from the tags, which may be new.
        composed = isinstance(self.captioner, ComposedCaptioner)
        stale = [i for i, one in enumerate(before) if composed or one.done.get(CAPTIONS) != self.tasks[CAPTIONS]]
        captions = [one.caption or "" for one in before]
        all_tags = [[tag for some in tags[i].values() for tag in some] for i in stale]
        made = self.captioner.caption([images[i] for i in stale], all_tags) if stale else []
        for i, caption in zip(stale, made, strict=True):
            captions[i] = caption
        if stale and isinstance(self.captioner, CloudTask):
            for place, reason in self.captioner.refused.items():
                refused[stale[place]][CAPTIONS] = reason
        return captions


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def open_profile(name: str, *, at_home: bool = False) -> Profile:
    """Return a profile by name or TOML file. Nets load when first used. ``at_home``: without tasks of cloud services.

    Raises ConfigError for an unknown profile, ModelUnavailable where weights are missing.
    """
    choice = read_profile(name)
    vision = LiteVision()
    encoder = open_encoder(choice, vision)
    clouds = Clouds(choice)
    taggers: dict[str, Tagger] = {}
    captioner: Captioner | None = None
    for task, spec in choice.tasks.items():
        if at_home and is_cloud(spec):
            continue
        if task == CAPTIONS:
            captioner = clouds.captioner(spec) if is_cloud(spec) else _captioner(choice, spec)
        elif is_cloud(spec):
            taggers[task] = clouds.tagger(task, spec)
        elif task != EMBEDDING:
            taggers[task] = TAGGERS[task, spec.library](_Opening(choice, task, spec, encoder, vision))
    return Profile(name, encoder, taggers, captioner)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What a tagger may be made of."""

    choice: ProfileChoice
    task: str
    spec: ModelSpec
    encoder: Encoder
    vision: LiteVision

    @property
    def weights(self) -> Path:
        return hub.locate(self.choice, self.spec, task=self.task)


def _captioner(choice: ProfileChoice, spec: ModelSpec) -> Captioner:
    if spec.library == "composed":
        return ComposedCaptioner()
    from indexer.captioners.transformers_captions import TransformersCaptions

    return TransformersCaptions(hub.locate(choice, spec, task=CAPTIONS), spec)


def _ultralytics(opening: _Opening) -> Tagger:
    from indexer.taggers.ultralytics_objects import UltralyticsObjects

    return UltralyticsObjects(opening.weights, opening.spec)


def _yolo_world(opening: _Opening) -> Tagger:
    from indexer.taggers.ultralytics_objects import UltralyticsObjects
    from search.encoders.open_clip_encoder import OpenClipEncoder

    model = opening.spec.text_model or OPENAI_TEXT
    words = open_clip_encoder(opening.choice, opening.spec, task=opening.task, model=model)
    if not isinstance(words, OpenClipEncoder):
        raise ModelUnavailable(f"text_model must be a model of open_clip, got {model!r}")
    return UltralyticsObjects(opening.weights, opening.spec, words=words)


def _detector(opening: _Opening) -> Tagger:
    from indexer.taggers.transformers_objects import FlorenceObjects, TransformersObjects
    from indexer.transformers_model import TransformersModel

    weights = opening.weights
    if TransformersModel(weights, opening.spec, "AutoConfig").config.model_type == "florence2":
        return FlorenceObjects(weights, opening.spec)
    return TransformersObjects(weights, opening.spec)


def _word_detector(opening: _Opening) -> Tagger:
    from indexer.taggers.transformers_objects import WordObjects

    return WordObjects(opening.weights, opening.spec)


def _classes(opening: _Opening) -> Tagger:
    from indexer.taggers.transformers_classes import TransformersClasses

    return TransformersClasses(opening.weights, opening.spec)


def _scenes(opening: _Opening) -> Tagger:
    from indexer.taggers.transformers_classes import TransformersScenes

    return TransformersScenes(opening.weights, opening.spec)


def _segments(opening: _Opening) -> Tagger:
    from indexer.taggers.transformers_segments import TransformersSegments

    return TransformersSegments(opening.weights, opening.spec)


def _text(opening: _Opening) -> Tagger:
    from indexer.taggers.rapid_ocr import RapidOcr

    return RapidOcr(opening.spec)


def _adult(opening: _Opening) -> Tagger:
    from indexer.taggers.packaged_moderation import OpenNsfw

    return OpenNsfw(opening.spec)


def _nudity(opening: _Opening) -> Tagger:
    from indexer.taggers.packaged_moderation import NudeNet

    return NudeNet(opening.spec)


TAGGERS: Mapping[tuple[str, str], Callable[[_Opening], Tagger]] = {
    ("objects", "lite"): lambda opening: ObjectTagger(opening.vision),
    ("objects", "ultralytics"): _ultralytics,
    ("objects", "transformers"): _detector,
    ("vocabulary", "ultralytics"): _yolo_world,
    ("vocabulary", "transformers"): _word_detector,
    ("classes", "lite"): lambda opening: ClassTagger(opening.vision),
    ("classes", "transformers"): _classes,
    ("classes", "zero-shot"): lambda opening: ZeroShotClasses(opening.encoder, opening.spec),
    ("scenes", "zero-shot"): lambda opening: SceneTagger(opening.encoder),
    ("scenes", "transformers"): _scenes,
    ("attributes", "zero-shot"): lambda opening: AttributeTagger(opening.encoder, TagKind.ATTRIBUTE, "attributes.toml"),
    ("styles", "zero-shot"): lambda opening: AttributeTagger(opening.encoder, TagKind.STYLE, "styles.toml"),
    ("segments", "transformers"): _segments,
    ("colors", "palette"): lambda opening: ColorTagger(),  # noqa: ARG005
    ("text", "rapidocr"): _text,
    ("adult", "opennsfw"): _adult,
    ("nudity", "nudenet"): _nudity,
    ("moderation", "zero-shot"): lambda opening: ModerationTagger(opening.encoder, opening.spec),
}
"""How each task is done by each library. Libraries that few profiles use are imported when one does."""
