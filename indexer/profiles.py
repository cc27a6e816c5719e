"""A profile: which models index a library. Opened by name, or from a TOML file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from indexer.captioners.composed import ComposedCaptioner
from indexer.taggers.colors import ColorTagger
from indexer.taggers.compounds import compounds
from indexer.taggers.objects import ClassTagger, ObjectTagger
from indexer.taggers.scenes import SceneTagger
from search.encoders import adapter, weights
from search.encoders.lite import LiteEncoder
from search.encoders.lite_vision import LiteVision
from search.profile_file import read_profile
from search.protocols import Captioner, Encoder, Tagger
from search.types import Tag, Vector

TAGS_VERSION = "1"
"""Raised whenever taggers or captions change in what they say, so that the next run looks at every picture again."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the models of a profile say of one picture."""

    vector: Vector
    tags: tuple[Tag, ...]
    caption: str | None
    caption_source: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """Models that work together. ``fingerprint`` changes whenever any result may."""

    name: str
    fingerprint: str
    decode_side: int
    """Long side, in pixels, of the pictures that the models need."""
    encoder: Encoder
    taggers: tuple[Tagger, ...]
    captioner: Captioner

    def annotate(self, images: Sequence[Image.Image]) -> list[Annotation]:
        """Return embedding, tags and caption of each upright RGB picture."""
        vectors = self.encoder.encode_images(images)
        tags: list[list[Tag]] = [[] for _ in images]
        for tagger in self.taggers:
            for found, more in zip(tags, tagger.tag(images, vectors), strict=True):
                found.extend(more)
        for found in tags:
            found.extend(compounds(found))
        captions = self.captioner.caption(images, tags)
        return [
            Annotation(vector, tuple(found), caption or None, self.captioner.source if caption else None)
            for vector, found, caption in zip(vectors, tags, captions, strict=True)
        ]


def open_profile(name: str) -> Profile:
    """Return a profile by name or TOML file. Models load when first used. Raises ConfigError for an unknown one."""
    choice = read_profile(name)
    return _lite(choice.name, adapter.load(choice.adapter_path))


def _lite(name: str, chosen: adapter.Adapter) -> Profile:
    vision = LiteVision()
    encoder = LiteEncoder(vision, chosen)
    scenes = SceneTagger(encoder.label_embeddings, source="places365-zero-shot")
    fingerprint = hashlib.sha256(f"{encoder.space.fingerprint} {TAGS_VERSION}".encode()).hexdigest()[:32]
    return Profile(
        name=name,
        fingerprint=fingerprint,
        decode_side=640,
        encoder=encoder,
        taggers=(ObjectTagger(vision), ClassTagger(vision), scenes, ColorTagger()),
        captioner=ComposedCaptioner(),
    )


LITE_MODELS = (
    ("objects", weights.SSD_MOBILENET),
    ("classes", weights.EFFICIENTNET),
    ("text", weights.MINILM),
    ("tokenizer", weights.MINILM_TOKENIZER),
)


def model_cards() -> list[dict[str, Any]]:
    """Return what `snapseek models list` prints: each model's task, licence, source, size and whether it is here."""
    cards = []
    for task, model in LITE_MODELS:
        path = model.path
        present = path is not None and path.is_file()
        cards.append(
            {
                "profile": "lite",
                "task": task,
                "name": model.name,
                "licence": model.licence,
                "source": f"{model.distribution}: {model.origin}",
                "bytes": path.stat().st_size if path is not None and present else 0,
                "path": str(path) if path else None,
                "present": present,
            }
        )
    built_in = adapter.BUILT_IN
    cards.append(
        {
            "profile": "lite",
            "task": "adapter",
            "name": "image–text adapter",
            "licence": "Apache-2.0; trained on captions under CC BY 4.0",
            "source": "this package: `snapseek adapt` on 326 photos of COCO 2017",
            "bytes": built_in.stat().st_size,
            "path": str(built_in),
            "present": True,
        }
    )
    return cards
