"""Scenes, attributes and styles by the cosine between a picture's vector and those of words, in the library's space."""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.encoders.lite_vision import imagenet_labels
from search.encoders.places import place_names, place_rows
from search.profile_file import ModelSpec
from search.protocols import Encoder
from search.types import Matrix, Tag, TagKind

VERSION = "2"

SCENE_PROMPTS = ("a photo of a {}",)
SCENES_STORED = 5
LEAST_SURE = 0.7
"""Indoors or outdoors is said from this probability on: in the lite space right in 98 of 100 then, said of 94 (272
photos)."""
LEAST_SURE_OF_GROUP = 0.6
"""A group of scenes is said from this summed probability on: in the lite space the right one in 81 of 100 then, said of
47."""


def probabilities(encoder: Encoder, vectors: Matrix, labels: Matrix) -> NDArray[np.float32]:
    """Return the probability of each label for each picture: shape (len(vectors), len(labels)), rows sum to 1."""
    cosines = vectors @ labels.T
    odds = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / encoder.temperature)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


class SceneTagger:
    """The 365 scenes of Places365, and indoors or outdoors as the sum of theirs. Satisfies `protocols.Tagger`."""

    source = "places365-zero-shot"
    kinds = frozenset({TagKind.SCENE, TagKind.ATTRIBUTE})
    side = 0

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.fingerprint = f"{self.source} {VERSION} {encoder.space.fingerprint}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        return [self._tags(row) for row in probabilities(self._encoder, vectors, self._labels)] if len(vectors) else []

    def _tags(self, row: NDArray[np.float32]) -> list[Tag]:
        return scene_tags(row, self.source)

    @functools.cached_property
    def _labels(self) -> Matrix:
        return self._encoder.label_vectors([[p.format(name) for p in SCENE_PROMPTS] for name in places()[0]])


def scene_tags(row: NDArray[np.float32], source: str) -> list[Tag]:
    """Return the likeliest scenes for probabilities of the 365, and their group and indoors or outdoors where clear.

    These two are attributes, so that a list of scenes is one of alternatives.
    """
    names, indoors = places()
    best = np.argsort(-row, kind="stable")[:SCENES_STORED]
    tags = [Tag(TagKind.SCENE, names[i], float(row[i]), source) for i in best]
    inside = float(min(1.0, row[indoors].sum()))
    label, sure = ("indoor", inside) if inside > 0.5 else ("outdoor", 1 - inside)
    if sure >= LEAST_SURE:
        tags.append(Tag(TagKind.ATTRIBUTE, label, sure, source))
    shares = {group: float(min(1.0, row[members].sum())) for group, members in scene_groups().items()}
    group = max(shares, key=lambda name: shares[name])
    if shares[group] >= LEAST_SURE_OF_GROUP:
        tags.append(Tag(TagKind.ATTRIBUTE, group, shares[group], source))
    return sorted(tags, key=lambda tag: -tag.confidence)


class ZeroShotClasses:
    """The likeliest of the labels that a profile names, or of ImageNet's 1,000. Satisfies `protocols.Tagger`."""

    source = "classes-zero-shot"
    kinds = frozenset({TagKind.CLASS})
    side = 0

    LEAST = 0.15
    MOST = 3

    def __init__(self, encoder: Encoder, spec: ModelSpec) -> None:
        self._encoder = encoder
        self._names = spec.labels or imagenet_labels()
        self._least = self.LEAST if spec.threshold is None else spec.threshold
        self.fingerprint = f"{self.source} {VERSION} {self._least} {self._names} {encoder.space.fingerprint}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        if not len(vectors):
            return []
        return [self._tags(row) for row in probabilities(self._encoder, vectors, self._labels)]

    def _tags(self, row: NDArray[np.float32]) -> list[Tag]:
        best = [i for i in np.argsort(-row, kind="stable")[: self.MOST] if row[i] >= self._least]
        return [Tag(TagKind.CLASS, self._names[i], float(row[i]), self.source) for i in best]

    @functools.cached_property
    def _labels(self) -> Matrix:
        return self._encoder.label_vectors([[f"a photo of a {name}"] for name in self._names])


@functools.cache
def places() -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Return the names of the 365 scenes, and which of them are indoors."""
    return place_names(), np.array([where == "indoor" for _, where, _ in place_rows()])


@functools.cache
def scene_groups() -> Mapping[str, NDArray[np.bool_]]:
    """Return the coarse groups of scenes, as "home or hotel", and which of the 365 are in each."""
    of_each = np.array([group for *_, group in place_rows()])
    return {str(group): of_each == group for group in sorted(set(of_each))}


@dataclass(frozen=True, slots=True)
class Group:
    """Labels of which at most one holds, with what else the picture may be: `none` competes and is never said."""

    name: str
    prompts: dict[str, tuple[str, ...]]
    """The prompts of each label; those of "" stand for none of them."""


class AttributeTagger:
    """One label of each group, where it is likelier than all others of the group and none of them together.

    The groups of attributes (time of day, weather, season) and of styles lie in `indexer/data`.
    """

    side = 0

    def __init__(self, encoder: Encoder, kind: TagKind, file: str) -> None:
        self._encoder = encoder
        self._kind = kind
        text = files("indexer").joinpath(f"data/{file}").read_text(encoding="utf-8")
        self._groups = [
            Group(name, {label: tuple(prompts) for label, prompts in labels.items()})
            for name, labels in tomllib.loads(text).items()
        ]
        self.kinds = frozenset({kind})
        self.source = f"{file.removesuffix('.toml')}-zero-shot"
        content = hashlib.sha256(text.encode()).hexdigest()
        self.fingerprint = f"{self.source} {VERSION} {content} {encoder.space.fingerprint}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        tags: list[list[Tag]] = [[] for _ in vectors]
        if not len(vectors):
            return tags
        for group, labels in zip(self._groups, self._labels, strict=True):
            names = list(group.prompts)
            for found, row in zip(tags, probabilities(self._encoder, vectors, labels), strict=True):
                best = int(row.argmax())
                if names[best] and row[best] >= 0.5:
                    found.append(Tag(self._kind, names[best], float(row[best]), self.source))
        return [sorted(found, key=lambda tag: -tag.confidence) for found in tags]

    @functools.cached_property
    def _labels(self) -> list[Matrix]:
        return [self._encoder.label_vectors(list(group.prompts.values())) for group in self._groups]


class ModerationTagger:
    """Categories that people want to look at, each by itself against what most pictures show. A hint, not a verdict.

    `indexer/data/moderation.toml` has the prompts of some; of any other that a profile names its own name is one. How
    often harmless pictures are flagged, and how many of a stand-in's are found, is in docs/moderation.md.
    """

    source = "moderation-zero-shot"
    kinds = frozenset({TagKind.MODERATION})
    side = 0

    USUAL = ("violence", "hate")
    LEAST = 0.3

    def __init__(self, encoder: Encoder, spec: ModelSpec) -> None:
        self._encoder = encoder
        known = tomllib.loads(files("indexer").joinpath("data/moderation.toml").read_text(encoding="utf-8"))
        self._others = tuple(known.pop(""))
        self._prompts = {name: tuple(known.get(name, (f"a photo of {name}",))) for name in spec.labels or self.USUAL}
        self._least = self.LEAST if spec.threshold is None else spec.threshold
        content = hashlib.sha256(f"{self._prompts} {self._others}".encode()).hexdigest()
        self.fingerprint = f"{self.source} {VERSION} {self._least} {content} {encoder.space.fingerprint}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        found: list[list[Tag]] = [[] for _ in vectors]
        if not len(vectors):
            return found
        for name, labels in zip(self._prompts, self._labels, strict=True):
            for tags, row in zip(found, probabilities(self._encoder, vectors, labels), strict=True):
                if row[0] >= self._least:
                    tags.append(Tag(TagKind.MODERATION, name, float(row[0]), self.source))
        return [sorted(tags, key=lambda tag: -tag.confidence) for tags in found]

    @functools.cached_property
    def _labels(self) -> list[Matrix]:
        """Of each category, its vector and the others': each by itself, so that none depends on its neighbours."""
        others = [(other,) for other in self._others]
        return [self._encoder.label_vectors([prompts, *others]) for prompts in self._prompts.values()]
