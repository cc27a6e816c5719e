"""The words of the domain as frozen values: images, tags, filters, queries and their answers. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

ImageId = NewType("ImageId", str)
"""The first 32 hex digits of the SHA-256 of a picture's bytes."""

Matrix = NDArray[np.float32]
"""Embeddings, shape (n, dim), rows of unit length."""

Vector = NDArray[np.float32]
"""One embedding, shape (dim,), of unit length."""

Ordinals = NDArray[np.uint32]
"""Images inside the core: dense numbers that the catalogue gives out once and never again."""

Scores = NDArray[np.float32]

Keys = NDArray[np.int64]
"""What an `Order` sorts by."""


class TagKind(StrEnum):
    """What sort of thing a tag says of an image."""

    OBJECT = "object"
    CLASS = "class"
    SCENE = "scene"
    ATTRIBUTE = "attribute"
    STYLE = "style"
    SEGMENT = "segment"
    COLOR = "color"
    MODERATION = "moderation"
    COMPOUND = "compound"
    TEXT = "text"
    USER = "user"


PERSON = "person"
"""Source of what people said; the label of a human being is ``person`` as well, as in COCO."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions of the upright image, origin at the top left."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not all(-1e-6 <= v <= 1 + 1e-6 for v in (self.x, self.y, self.x + self.width, self.y + self.height)):
            raise ValueError(f"a box must lie inside the image (0–1), got {self}")


@dataclass(frozen=True, slots=True)
class Tag:
    """What ``source`` (a model or a person) says of an image, with a confidence of 0–1."""

    kind: TagKind
    label: str
    confidence: float
    source: str
    box: Box | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"a confidence must be 0–1, got {self.confidence} for {self.label!r}")


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Which model, weights and preprocessing made a vector. Vectors of two spaces are never compared."""

    name: str
    dim: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where a picture was taken, in degrees (WGS 84)."""

    latitude: float
    longitude: float


class Verdict(StrEnum):
    """What a person decided of an image that could be against the rules."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what, when (UTC) and why."""

    verdict: Verdict
    by: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """How a camera was set, as EXIF tells it; what it does not tell is None."""

    lens: str | None = None
    exposure_s: float | None = None
    aperture: float | None = None
    """The f-number: 2.8 for f/2.8."""
    iso: int | None = None
    focal_length_mm: float | None = None
    """Of the lens itself, not what it would be on another format."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Everything known of one image. ``files`` has one path for each copy, below the folder it was indexed from."""

    id: ImageId
    ordinal: int
    files: tuple[str, ...]
    width: int
    """Pixels of the upright picture, after EXIF rotation."""
    height: int
    mime_type: str
    bytes: int
    indexed_at: datetime
    taken_at: datetime | None = None
    """When the shutter opened by the camera's clock (EXIF has no zone); naive."""
    camera: str | None = None
    shot: Shot | None = None
    location: Location | None = None
    caption: str | None = None
    caption_source: str | None = None
    alt_text: str | None = None
    """Written by a person; the caption stands in where there is none."""
    tags: tuple[Tag, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """Those of moderators, as they came; the last one holds."""

    @property
    def verdict(self) -> Verdict | None:
        return self.decisions[-1].verdict if self.decisions else None

    @property
    def orientation(self) -> str:
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"

    @property
    def year(self) -> int | None:
        return self.taken_at.year if self.taken_at else None


class Op(StrEnum):
    """How a term compares. ``EQ`` with several values is OR; ``RANGE`` has two values, both ends included."""

    EQ = ""
    GE = ">="
    GT = ">"
    LE = "<="
    LT = "<"
    RANGE = ".."


_BARE = re.compile(r"[\w.,/*?+#&'!~%:-]+")


def quoted(value: str) -> str:
    """Return a value as it stands in a filter expression: in quotes where it could be read otherwise."""
    if _BARE.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Term:
    """One condition, as ``object:dog|cat@0.8``. ``str(term)`` is its place in the expression."""

    field: str
    op: Op
    values: tuple[str, ...]
    negated: bool = False
    min_confidence: float | None = None
    counted: str | None = None
    """For ``count(field:label)``: the label whose instances are counted."""

    def __str__(self) -> str:
        sign = "-" if self.negated else ""
        least = "" if self.min_confidence is None else f"@{float(self.min_confidence)!r}"
        if self.op is Op.EQ:
            values = "|".join(map(quoted, self.values))
        else:
            values = "..".join(self.values) if self.op is Op.RANGE else f"{self.op}{self.values[0]}"
        if self.counted is not None:
            return f"{sign}count({self.field}:{quoted(self.counted)}{least}):{values}"
        return f"{sign}{self.field}:{values}{least}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms joined by AND. ``str(f)`` is the expression again, and ``parse(str(f)) == f``."""

    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


class Sort(StrEnum):
    RELEVANCE = "relevance"
    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Order:
    """An order of images by what they are, whatever is asked: by date, or at random as a seed says.

    Every image has its place in it that only a change of its date can move.
    """

    sort: Sort
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image stands in an `Order`: lower keys come first; of equal ones, the highest ordinal."""

    key: int
    ordinal: int


class Mode(StrEnum):
    """What ranks: the blend, the embedding alone, or the words alone."""

    BLEND = "blend"
    VECTOR = "vector"
    KEYWORD = "keyword"


class SimilarBy(StrEnum):
    IMAGE = "image"
    TAGS = "tags"
    BOTH = "both"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each signal counts in the blended score."""

    text: float = 1.0
    image: float = 1.0
    keyword: float = 0.3


@dataclass(frozen=True, slots=True)
class Query:
    """A search request. ``cutoff`` is ``"auto"``, ``"none"`` or the least relevance, 0–1."""

    texts: tuple[str, ...] = ()
    not_texts: tuple[str, ...] = ()
    images: tuple[ImageId, ...] = ()
    not_images: tuple[ImageId, ...] = ()
    vector: tuple[float, ...] | None = None
    not_vectors: tuple[tuple[float, ...], ...] = ()
    """What to move away from, as `not_images`, of pictures that are not in the library."""
    filter: Filter = field(default_factory=Filter)
    weights: Weights = field(default_factory=Weights)
    k: int = 24
    cursor: str | None = None
    facets: tuple[str, ...] = ()
    facet_size: int | None = None
    """Values listed for a facet, if not the usual number; selected ones are always listed."""
    facet_prefix: str = ""
    """Only values with a word that starts so are listed."""
    conjunctive: tuple[str, ...] = ()
    """Facets whose own selection narrows their counts too: a value counts what is left if it has to hold as well."""
    ranges: tuple[str, ...] = ()
    """Number fields whose least and greatest value is wanted."""
    sort: Sort = Sort.RELEVANCE
    seed: int | None = None
    """Of the random order; None takes another at every first page."""
    mode: Mode = Mode.BLEND
    cutoff: str | float = "auto"


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer. ``similarity`` is the raw cosine, ``relevance`` is calibrated to 0–1, ``keyword`` is BM25."""

    image: ImageRecord
    score: float
    similarity: float | None = None
    relevance: float | None = None
    keyword: float | None = None
    why: tuple[str, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the score is the sum of: ``text``, ``image``, ``keyword``, ``tags``, and ``not``, which takes away."""
    differences: tuple[str, ...] = ()
    """Of a near-duplicate: in what it differs from the picture whose copies were asked for."""


@dataclass(frozen=True, slots=True)
class FacetValue:
    value: str
    count: int
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Facet:
    """Counted values of a field, by count and then by value."""

    name: str
    values: tuple[FacetValue, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest number that images have in a field."""

    field: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query was answered; returned with every answer."""

    route: str
    candidates: int
    allowed: int


@dataclass(frozen=True, slots=True)
class SuggestedFilter:
    """A term that words of a text stand for, to be offered."""

    term: Term
    words: str
    rest: str
    """The text without them."""
    count: int
    """Images that match it and what is filtered by already."""


@dataclass(frozen=True, slots=True)
class SearchResults:
    hits: Sequence[Hit]
    facets: Sequence[Facet]
    ranges: Sequence[Range]
    total: int
    total_is_exact: bool
    space: EmbeddingSpace | None
    cutoff: float | None
    """The least relevance of a hit, or None where nothing was cut."""
    next: str | None
    plan: Plan
    took_ms: float
    suggested: Sequence[SuggestedFilter] = ()
    """On the first page: what the words of the text could be narrowed by, the most useful first."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


DEFAULT_CONFIDENCE: Mapping[TagKind, float] = {
    TagKind.OBJECT: 0.5,
    TagKind.CLASS: 0.3,
    TagKind.SCENE: 0.2,
    TagKind.ATTRIBUTE: 0.5,
    TagKind.STYLE: 0.5,
    TagKind.SEGMENT: 0.0,
    TagKind.COLOR: 0.0,
    TagKind.MODERATION: 0.5,
    TagKind.COMPOUND: 0.2,
    TagKind.TEXT: 0.0,
    TagKind.USER: 0.0,
}
"""The confidence at which a tag counts when a filter does not say. They differ because confidences do: a scene is one
of 365, so 0.2 is much; that of a colour or segment is its share of the area, and their taggers name no small ones."""
