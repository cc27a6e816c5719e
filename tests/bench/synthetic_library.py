"""A library of any size without a picture: vectors like CLIP's, labels that go with them, filters of known selectivity.

Vectors: clusters with a power-law spectrum, rotated, of unit length. Each cluster has favourite labels, drawn from
Zipf distributions, so what a filter lets through and what a text is near to have to do with each other, as in photos.
Besides, labels of the kind ``user`` are planted on an exact share of the images: drawn at random, or whole clusters
that lie near each other. The same number of images and the same seed give the same library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.calibration import Calibration, Curve
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow, NewImage
from search.types import PERSON, EmbeddingSpace, Filter, ImageId, Matrix, Op, Tag, TagKind, Term, Vector

DIM = 512
SPACE = EmbeddingSpace("synthetic", DIM, "5e" * 32)
ROOT = Path("/photos")
MODEL = "synthetic"

CENTRE = 0.8
"""The share of a cluster's centre in its vectors: at 0.8 nearest neighbours are mostly, not always, of the cluster."""
BLOCK = 1_000
"""Images that are drawn together; each block has a seed of its own."""
SHARES = (100.0, 50.0, 20.0, 10.0, 1.0, 0.1, 0.01)
"""Per cent of the images that carry a planted label."""

SIZES = {TagKind.OBJECT: 320, TagKind.SCENE: 160, TagKind.ATTRIBUTE: 108, TagKind.COLOR: 12}
"""How many labels there are of a kind."""
FAVOURITES = {TagKind.OBJECT: 5, TagKind.SCENE: 3, TagKind.ATTRIBUTE: 4, TagKind.COLOR: 3}
ZIPF = 0.9
LIKELY = 0.6
"""How often an image has a favourite label of its cluster."""
STRAY = 2
"""Labels of a kind, at most, that an image has for no reason, less sure than the others."""

_PICTURES = ((4000, 3000), (3000, 4000), (4032, 3024), (1920, 1080), (1080, 1080))
_FIRST_DAY, _DAYS = datetime(2012, 1, 1), 5_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A text to search by, the vector that stands for it, and the cluster that it is about."""

    text: str
    vector: Vector
    cluster: int


class PlantedEncoder:
    """Looks texts up in a table. Satisfies `search.protocols.Encoder` as far as a search by words needs it."""

    space = SPACE
    side = 224
    temperature = 1.0

    def __init__(self, asked: Sequence[Asked], relevant: float) -> None:
        self._vectors = {one.text: one.vector for one in asked}
        self._relevant = relevant

    def encode_texts(self, texts: Sequence[str]) -> Matrix:
        nowhere = np.zeros(DIM, np.float32)  # labels at large, which mean nothing here
        return np.array([self._vectors.get(text, nowhere) for text in texts], np.float32)

    def encode_images(self, images: Sequence[Image.Image]) -> Matrix:
        raise AssertionError("a search by words looks at no picture")

    def label_vectors(self, prompts: Sequence[Sequence[str]]) -> Matrix:
        raise AssertionError("nothing is tagged here")

    @property
    def calibration(self) -> Calibration:
        """Something always answers; one half lies at the cosine that counts as relevant."""
        return Calibration(answered=Curve(-1.0, 0.1), image=Curve(self._relevant, 1 / 30))


class SyntheticLibrary:
    """The images numbered from 0; the catalogue gives them ordinals in that order."""

    def __init__(self, images: int, *, seed: int = 0) -> None:
        self.images = images
        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        clusters = max(1, min(2_000, images // 20))
        self._spectrum = np.arange(1, DIM + 1, dtype=np.float32) ** np.float32(-0.5)
        self._rotation = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0].astype(np.float32)
        self._centres = rng.standard_normal((clusters, DIM)).astype(np.float32) * self._spectrum
        self._clusters = rng.integers(0, clusters, images)
        self.labels = {kind: _names(kind, size) for kind, size in SIZES.items()}
        self._chances = {kind: _zipf(size) for kind, size in SIZES.items()}
        self._favourites = {
            kind: np.array([rng.choice(size, FAVOURITES[kind], replace=False, p=_zipf(size)) for _ in range(clusters)])
            for kind, size in SIZES.items()
        }
        self._texts: set[str] = set()
        self.planted = dict(self._plant(rng))
        """The numbers of the images that carry a planted label."""
        self._planted_on: dict[int, list[str]] = {}
        for label, numbers in self.planted.items():
            for number in numbers.tolist():
                self._planted_on.setdefault(number, []).append(label)

    def id(self, number: int) -> ImageId:
        return ImageId(hashlib.blake2b(f"{self._seed} {number}".encode(), digest_size=16).hexdigest())

    def vectors(self) -> Matrix:
        """Return the vectors of all images."""
        return np.concatenate([self._block(start)[1] for start in range(0, self.images, BLOCK)])

    def batches(self, size: int = 500) -> Iterator[Batch]:
        """Yield all images in the order of their numbers, to be written below `ROOT`."""
        for start in range(0, self.images, BLOCK):
            made = self._made(start)
            for first in range(0, len(made), size):
                some = made[first : first + size]
                files = [
                    (FileRow(_path(number), image.bytes, number, number), image.id)
                    for number, image in enumerate(some, start + first)
                ]
                yield Batch(SPACE, some, files)

    def write_to(self, catalog: Catalog) -> None:
        """Write all images, as a library that is searched in their space."""
        root = catalog.root(ROOT)
        for batch in self.batches():
            catalog.write(root, batch)
        catalog.activate("lite", SPACE)

    def asked(self, count: int, *, seed: int, about: Sequence[int] | None = None) -> list[Asked]:
        """Return texts of the favourite labels of a cluster, with vectors near its centre: of any, or ``about`` some.

        No text is given out twice, so one has one vector.
        """
        rng = np.random.default_rng([self._seed, 1, seed])
        found: list[Asked] = []
        while len(found) < count:
            cluster = int(rng.choice(about) if about is not None else rng.integers(len(self._centres)))
            words = [self._favourite(kind, cluster, rng) for kind in (TagKind.ATTRIBUTE, TagKind.OBJECT, TagKind.SCENE)]
            text = " ".join(words) if len(found) % 3 else " ".join(words[:2])
            # Few clusters cannot make many different texts out of labels alone.
            text = text if text not in self._texts else f"{text} {len(self._texts)}"
            self._texts.add(text)
            found.append(Asked(text, self._drawn(np.array([cluster]), rng)[0], cluster))
        return found

    def filters(self, asked: Sequence[Asked], *, seed: int) -> list[Filter]:
        """Return a filter of one to three terms for each text; of half of them, they have to do with the text."""
        rng = np.random.default_rng([self._seed, 2, seed])
        found = []
        for place, one in enumerate(asked):
            kinds = list(rng.permutation([*SIZES, "year", "without"]))[: int(rng.integers(1, 4))]
            about = one.cluster if place % 2 else None
            found.append(Filter(tuple(self._term(str(kind), about, rng) for kind in kinds)))
        return found

    def about(self, label: str) -> list[int]:
        """Return the clusters of the images that carry a planted label."""
        return sorted(set(self._clusters[self.planted[label]].tolist()))

    def relevant(self, asked: Sequence[Asked], vectors: Matrix, share: float = 0.003) -> float:
        """Return the cosine that a share of the images reaches for the median text."""
        cosines = np.array([one.vector for one in asked[:50]]) @ vectors[:: max(1, len(vectors) // 20_000)].T
        return float(np.median(np.quantile(cosines, 1 - share, axis=1)))

    def _drawn(self, clusters: NDArray[np.int64], rng: np.random.Generator) -> Matrix:
        drawn = rng.standard_normal((len(clusters), DIM), dtype=np.float32) * self._spectrum
        drawn = (drawn + self._centres[clusters] * np.float32(CENTRE)) @ self._rotation
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)

    def _block(self, start: int) -> tuple[np.random.Generator, Matrix]:
        rng = np.random.default_rng([self._seed, 3, start])
        return rng, self._drawn(self._clusters[start : start + BLOCK], rng)

    def _made(self, start: int) -> list[NewImage]:
        rng, vectors = self._block(start)
        return [self._image(number, vector, rng) for number, vector in enumerate(vectors, start)]

    def _image(self, number: int, vector: Vector, rng: np.random.Generator) -> NewImage:
        tags = {kind.value: self._tags(kind, int(self._clusters[number]), rng) for kind in SIZES}
        planted = tuple(Tag(TagKind.USER, label, 1.0, MODEL) for label in self._planted_on.get(number, ()))
        width, height = _PICTURES[int(rng.integers(len(_PICTURES)))]
        dated = rng.random() < 0.9
        return NewImage(
            id=self.id(number),
            width=width,
            height=height,
            mime_type="image/jpeg",
            bytes=int(rng.integers(500_000, 8_000_000)),
            phash=int(rng.integers(2**64, dtype=np.uint64)),
            models=MODEL,
            vector=vector,
            tags={**tags, "planted": planted},
            done=dict.fromkeys(tags, MODEL),
            caption=_caption(tags),
            caption_source=MODEL,
            taken_at=_FIRST_DAY + timedelta(minutes=int(rng.integers(_DAYS * 24 * 60))) if dated else None,
        )

    def _tags(self, kind: TagKind, cluster: int, rng: np.random.Generator) -> tuple[Tag, ...]:
        favourites = self._favourites[kind][cluster]
        likely = favourites[rng.random(len(favourites)) < LIKELY]
        stray = rng.choice(SIZES[kind], int(rng.integers(STRAY + 1)), p=self._chances[kind])
        sure = {int(place): float(rng.beta(5, 2)) for place in likely}
        found = {**{int(place): float(rng.beta(2, 3)) for place in stray}, **sure}
        tags = []
        for place, confidence in sorted(found.items(), key=lambda item: -item[1]):
            label = self.labels[kind][place]
            instances = min(int(rng.geometric(0.45)), 8) if kind is TagKind.OBJECT else 1
            tags += [Tag(kind, label, round(confidence * 0.95**n, 4), MODEL) for n in range(instances)]
        return tuple(tags)

    def _favourite(self, kind: TagKind, cluster: int, rng: np.random.Generator) -> str:
        return self.labels[kind][int(rng.choice(self._favourites[kind][cluster]))]

    def _term(self, kind: str, cluster: int | None, rng: np.random.Generator) -> Term:
        if kind == "year":
            first = int(rng.integers(2012, 2024))
            return Term("year", Op.RANGE, (str(first), str(first + int(rng.integers(3)))))
        negated = kind == "without"
        tag_kind = TagKind.OBJECT if negated else TagKind(kind)
        if cluster is None or negated:
            label = self.labels[tag_kind][int(rng.choice(SIZES[tag_kind], p=self._chances[tag_kind]))]
        else:
            label = self._favourite(tag_kind, cluster, rng)
        return Term(tag_kind.value, Op.EQ, (label,), negated=negated)

    def _plant(self, rng: np.random.Generator) -> Iterator[tuple[str, NDArray[np.int64]]]:
        for share in SHARES:
            count = max(1, round(self.images * share / 100))
            yield f"random-{share:g}", np.sort(rng.permutation(self.images)[:count])
            if share < 100:
                yield f"near-{share:g}", self._near(count, rng)

    def _near(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the images of clusters that lie near each other, of the last cluster as many as are needed."""
        unit = self._centres / np.linalg.norm(self._centres, axis=1, keepdims=True)
        distance = np.empty(len(unit), np.int64)
        distance[np.argsort(-(unit @ unit[rng.integers(len(unit))]))] = np.arange(len(unit))
        # Nearest clusters first, the images of one cluster in no order.
        return np.sort(np.lexsort((rng.random(self.images), distance[self._clusters]))[:count])


def planted_filter(label: str) -> Filter:
    return Filter((Term(TagKind.USER.value, Op.EQ, (label,)),))


def _zipf(size: int) -> NDArray[np.float64]:
    chances = np.arange(1, size + 1) ** -ZIPF
    return np.asarray(chances / chances.sum())


def _names(kind: TagKind, size: int) -> list[str]:
    """Return words that can be pronounced, a third of them pairs; the commonest object is a person."""
    rng = np.random.default_rng(list(kind.value.encode()))
    found: dict[str, None] = {PERSON: None} if kind is TagKind.OBJECT else {}
    while len(found) < size:
        words = ["".join(rng.choice(list("bdfgklmnprtv")) + rng.choice(list("aiou")) for _ in range(3)) for _ in "ab"]
        found[" ".join(words[: 2 if len(found) % 3 == 2 else 1])] = None
    return list(found)


def _path(number: int) -> str:
    return f"album {number // 200:04d}/IMG_{number:07d}.jpg"


def _caption(tags: Mapping[str, Sequence[Tag]]) -> str:
    first = {kind: list(dict.fromkeys(tag.label for tag in found)) for kind, found in tags.items()}
    things = " and a ".join(first[TagKind.OBJECT][:2]) or "view"
    looks = f"{first[TagKind.ATTRIBUTE][0]} " if first[TagKind.ATTRIBUTE] else ""
    where = f" in a {first[TagKind.SCENE][0]}" if first[TagKind.SCENE] else ""
    return f"A {looks}{things}{where}"
