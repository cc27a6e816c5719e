"""Fit relevance on a library's own pictures, by what people said of them (`snapseek calibrate`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.quality.truth import Truth
from search.calibration import HALF, Calibration, Observed, fitted, observed, priors
from search.errors import ConfigError
from search.relevance import texts_at_large
from search.services import Services
from search.types import ImageId, Matrix, Scores

LEAST_FOUND = 50
"""Texts whose picture is among the first ten: of fewer, a share of 0.95 means nothing."""
TEXTS = 5_000
BLOCK = 128
"""Texts whose cosines to all pictures are held at a time."""


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What relevance says before and after: on pictures that each fit left out, two-fold."""

    pictures: int
    texts: int
    kept_before: float
    """Share of the true answers among the first ten that are said to answer."""
    kept: float
    told_before: float
    """Share of the questions without an answer that are told so."""
    told: float
    calibration: list[tuple[float, float]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def calibrate(services: Services, truths: Sequence[Truth]) -> CalibrationReport:
    """Fit relevance to texts that people wrote for pictures of this library, keep it there, and return how it does.

    Raises ConfigError where fewer than `LEAST_FOUND` of the texts find their picture.
    """
    encoder, catalog = services.encoder, services.catalog
    chunks = list(catalog.embeddings(encoder.space, list(catalog.ordinals())))
    if not chunks:
        raise ConfigError("the library has no picture yet; run `snapseek index PATH` first")
    vectors = np.concatenate([found for _, found in chunks])
    row = {int(ordinal): place for place, ordinal in enumerate(np.concatenate([found for found, _ in chunks]))}
    described = {id: catalog.find(id) for truth in truths for id in truth.captions}
    pairs = _pairs(truths, {id: row[place] for id, place in described.items() if place in row})
    prior = priors(vectors, texts_at_large(encoder))

    def seen(texts: Sequence[str], own: NDArray[np.intp]) -> Observed:
        parts = [slice(start, start + BLOCK) for start in range(0, len(texts), BLOCK)]
        first, *rest = (observed(encoder.encode_texts(texts[part]) @ vectors.T, own[part], prior) for part in parts)
        return sum(rest, start=first)

    own = np.array([place for _, place in pairs], np.intp)
    said = seen([text for text, _ in pairs], own) if pairs else None
    found = 0 if said is None else int(said.shown.sum())
    if said is None or found < LEAST_FOUND:
        raise ConfigError(
            f"{found} of {len(pairs)} texts find their picture among the first ten; at least {LEAST_FOUND} are needed:"
            " describe more pictures of this library"
        )
    questions = sorted({question for truth in truths for question in truth.absent})
    absent = seen(questions, _nearest(encoder.encode_texts(questions), vectors))
    before = catalog.calibration() or encoder.calibration
    halves = [own % 2 == half for half in (0, 1)]  # all texts of a picture are in the same
    by_other = [fitted(said.take(other)) for other in reversed(halves)]
    shown = [int(said.take(half).shown.sum()) for half in halves]
    calibration = fitted(said)
    catalog.note_calibration(calibration)
    return CalibrationReport(
        pictures=len(set(own.tolist())),
        texts=len(pairs),
        kept_before=said.kept(before),
        kept=float(np.average([said.take(h).kept(c) for h, c in zip(halves, by_other, strict=True)], weights=shown)),
        told_before=_told(absent, before),
        told=float(np.mean([_told(absent, one) for one in by_other])),
        calibration=calibration.numbers(),
    )


def _pairs(truths: Sequence[Truth], row_of: Mapping[ImageId, int]) -> list[tuple[str, int]]:
    pairs = [
        (text, row_of[id])
        for truth in truths
        for id, texts in sorted(truth.captions.items())
        if id in row_of
        for text in texts
    ]
    if len(pairs) <= TEXTS:
        return pairs
    return [pairs[place] for place in sorted(np.random.default_rng(0).permutation(len(pairs))[:TEXTS])]


def _nearest(texts: Matrix, vectors: Matrix) -> NDArray[np.intp]:
    return np.array([int(np.argmax(vectors @ text)) for text in texts], np.intp)


def _told(absent: Observed, calibration: Calibration) -> float:
    """Return the share of questions whose nearest picture is said to be no answer."""
    relevance: Scores = calibration.answered(absent.best) * calibration.image(absent.own)
    return float(np.mean(relevance < HALF))
