"""What a back-end must do. Satisfied by shape; each docstring is the contract that `tests/contract` runs.

Methods take a batch and answer in its order. They are called from several threads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pyroaring import BitMap

from search.calibration import Calibration
from search.types import (
    EmbeddingSpace,
    Facet,
    Filter,
    ImageId,
    ImageRecord,
    Keys,
    Matrix,
    Order,
    Ordinals,
    Place,
    Range,
    Scores,
    Tag,
    TagKind,
    Vector,
)


class Encoder(Protocol):
    """Pictures and texts into one embedding space."""

    @property
    def space(self) -> EmbeddingSpace: ...

    def encode_images(self, images: Sequence[Image.Image]) -> Matrix:
        """Return one unit vector for each upright RGB picture: shape (len(images), dim), float32."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Matrix:
        """Return one unit vector for each text: shape (len(texts), dim), float32. Long texts are cut as in training.

        Raises ModelUnavailable if the weights cannot be loaded.
        """
        ...

    @property
    def side(self) -> int:
        """Long side, in pixels, of the pictures that it wants; larger ones are reduced anyway."""
        ...

    @property
    def temperature(self) -> float:
        """Of the softmax that turns cosines to label vectors into probabilities."""
        ...

    def label_vectors(self, prompts: Sequence[Sequence[str]]) -> Matrix:
        """Return one unit vector for each label, from its prompts, to tell labels of one list from each other."""
        ...

    @property
    def calibration(self) -> Calibration:
        """What text-to-image cosines of this space mean."""
        ...


class Tagger(Protocol):
    """Says things of pictures: detector, scenes, colours and so on."""

    @property
    def source(self) -> str:
        """The name that its tags carry, with the model's version."""
        ...

    @property
    def kinds(self) -> frozenset[TagKind]: ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever what it says may: the model's weights, its options, or the code around it."""
        ...

    @property
    def side(self) -> int:
        """Long side, in pixels, of the pictures that it wants."""
        ...

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:
        """Return the tags of each upright RGB picture, most confident first within a kind.

        ``vectors`` are the pictures' embeddings in the library's space, for zero-shot taggers; others pass them over.
        """
        ...


class Captioner(Protocol):
    """Puts a picture into a sentence."""

    @property
    def source(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def side(self) -> int: ...

    def caption(self, images: Sequence[Image.Image], tags: Sequence[Sequence[Tag]]) -> list[str]:
        """Return one sentence for each picture; empty where nothing can be said. ``tags``: what the taggers found."""
        ...


class VectorIndex(Protocol):
    """Nearest vectors by cosine. Vectors are unit length; scores are exact cosines, never quantised ones."""

    @property
    def space(self) -> EmbeddingSpace: ...

    def add(self, ordinals: Ordinals, vectors: Matrix) -> None:
        """Add vectors, replacing those whose ordinal is there already. Visible to the next search."""
        ...

    def remove(self, ordinals: BitMap) -> int:
        """Remove vectors and return how many were there; unknown ordinals are passed over."""
        ...

    def search(
        self, queries: Matrix, k: int, *, allowed: BitMap | None = None, exact: bool = False
    ) -> list[tuple[Ordinals, Scores]]:
        """Return for each query the k nearest, best first (fewer if there are fewer), only from ``allowed`` if given.

        ``exact=True`` scans; otherwise recall@10 is at least 0.95 at any ``allowed``. Ties: lower ordinal first.
        """
        ...

    def scores(self, query: Matrix, ordinals: Ordinals) -> Scores:
        """Return the exact cosine of one query, shape (dim,) or (1, dim), to each ordinal; NaN where there is none."""
        ...

    def __len__(self) -> int: ...


class Records(Protocol):
    """What the engine reads of the catalogue."""

    def find(self, id: ImageId) -> int | None:
        """Return the ordinal of an image, or None."""
        ...

    def find_all(self, ids: Sequence[ImageId]) -> dict[ImageId, int]:
        """Return the ordinals of those of the images that are there."""
        ...

    def records(self, ordinals: Sequence[int]) -> list[ImageRecord]:
        """Return records in the order asked; images that are gone meanwhile are left out."""
        ...

    def embedding(self, ordinal: int, space: EmbeddingSpace) -> Vector | None: ...

    def embeddings(
        self, space: EmbeddingSpace, ordinals: Sequence[int] | None = None
    ) -> Iterator[tuple[Ordinals, Matrix]]:
        """Yield vectors of a space in chunks, with their ordinals: of the images named, or of all."""
        ...

    def phashes(self, ordinals: Ordinals | None = None) -> tuple[Ordinals, NDArray[np.uint64]]:
        """Return the perceptual hashes of those images that are there, or of all, by ordinal."""
        ...

    def near_phashes(self, phash: int, most: int) -> tuple[Ordinals, NDArray[np.uint64]]:
        """Return the images whose perceptual hash differs from one in at most so many bits, by ordinal."""
        ...

    def version(self) -> str:
        """Return what changes whenever anything in the catalogue does."""
        ...


class TagStore(Protocol):
    """Filters, words and facet counts over the records."""

    @property
    def cheap_matches(self) -> int | None:
        """How many ordinals `match` returns at little cost; None where the number does not matter."""
        ...

    def match(self, filter: Filter, *, limit: int | None = None) -> BitMap:
        """Return the ordinals that satisfy every term; an empty filter matches all. At most ``limit``, lowest first."""
        ...

    def count(self, filter: Filter) -> int: ...

    def among(self, filters: Sequence[Filter], ordinals: BitMap) -> BitMap:
        """Return which of the ordinals satisfy at least one of the filters. Cheap however many images there are."""
        ...

    def in_order(
        self, order: Order, filter: Filter, *, within: BitMap | None = None, after: Place | None = None, k: int
    ) -> tuple[Ordinals, Keys]:
        """Return the next k images ``after`` a place, and their keys, of those that match and lie ``within``.

        By date, those without one come last, last indexed first. The image at the place need not be there any more.
        """
        ...

    def search_text(
        self, text: str, *, filter: Filter, within: BitMap | None = None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k best by BM25 over caption, labels, OCR text and path, best first; any text is safe to pass.

        Only images that match ``filter`` and lie ``within``. Words are stemmed and any of them may match; scores are
        positive. Ties: lower ordinal first.
        """
        ...

    def search_labels(
        self, labels: Mapping[tuple[TagKind, str], float], *, filter: Filter, within: BitMap | None = None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k images that share most of the labels, with the share (0–1) of their weight, best first.

        A label weighs its confidence times log(1 + N / images that have it), as in TF-IDF; an image has a label where
        a tag counts at its default confidence. Images that share nothing are left out. Ties: lower ordinal first.
        """
        ...

    def facets(
        self,
        names: Collection[str],
        filter: Filter,
        *,
        within: BitMap | None,
        size: int,
        prefix: str = "",
        conjunctive: Collection[str] = (),
    ) -> list[Facet]:
        """Return each named facet's top ``size`` values over the images that match ``filter`` and lie ``within``.

        Disjunctive: a facet's own selection (terms on its field that are neither negated nor counted) is left out of
        its own counts, all others apply. Not so of ``conjunctive`` facets: theirs applies as well.
        With a ``prefix``, only values with a word that starts so are listed. Selected values are always listed.
        By count, then value. Raises InvalidQuery for a name that is no facet.
        """
        ...

    def ranges(self, names: Collection[str], filter: Filter, *, within: BitMap | None) -> list[Range]:
        """Return the least and greatest number of each named field over the images that match and lie ``within``.

        A field's own selection is left out, as for facets; so is a field that none of the images has.
        """
        ...

    def labels(self, prefix: str, *, k: int) -> list[tuple[str, str, int]]:
        """Return (kind, label, image count) of the k commonest labels with a word that starts with ``prefix``."""
        ...

    def labels_named(self, names: Collection[str]) -> list[tuple[str, str, int]]:
        """Return (kind, label, image count) of the labels that are one of the names, whatever their case.

        Of the kinds that `labels` completes, as far as any image has them; ordered like its answer.
        """
        ...

    def counts(self, filters: Sequence[Filter]) -> list[int]:
        """Return how many images match each filter."""
        ...

    def __len__(self) -> int: ...


class TagProjection(TagStore, Protocol):
    """A tag store that is made from a catalogue, and can be made again."""

    @property
    def applied(self) -> int:
        """The change of the catalogue up to which it is complete; 0 for a new one."""
        ...

    def upsert(self, records: Iterable[ImageRecord], *, applied: int | None = None) -> None:
        """Add records, replacing those whose ordinal is there already; visible to the next call.

        ``applied`` is stored once they are. Records that cannot all be read change nothing.
        """
        ...

    def delete(self, ordinals: BitMap, *, applied: int | None = None) -> int:
        """Remove records and return how many were there. ``applied`` is stored once they are gone."""
        ...

    def rebuild(self, records: Iterable[ImageRecord], *, applied: int) -> None:
        """Hold these records and no others. Until they are all in, queries are answered by those that were there."""
        ...

    def save(self) -> None:
        """Keep what the next start would else have to make again."""
        ...

    def size(self) -> int:
        """Return the bytes that it takes."""
        ...

    def close(self) -> None: ...
