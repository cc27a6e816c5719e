"""Train the adapter of the lite profile on captioned pictures: ridge regression in closed form (`snapseek adapt`)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.pool import DecodePool
from search.calibration import Calibration, Curve, fitted, observed, priors
from search.config import Config
from search.encoders.adapter import Adapter, raw_inputs, save, unit
from search.encoders.lite import LiteEncoder, joined
from search.encoders.lite_vision import Analysis, LiteVision
from search.encoders.minilm import MiniLM
from search.errors import ConfigError, SnapseekError
from search.relevance import texts_at_large
from search.types import Matrix, Vector

RIDGE = 3000.0
FOLDS = 5
SIDE = 640
UNCALIBRATED = Calibration(Curve(0.0, 1.0), Curve(0.0, 1.0))
LEAST_PICTURES = 50


@dataclass(frozen=True, slots=True)
class AdaptReport:
    """What was trained, and how it does on pictures that were held out (five-fold)."""

    output: str
    images: int
    captions: int
    skipped: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    bytes: int


@dataclass(frozen=True, slots=True)
class _Examples:
    analyses: list[Analysis]
    captions: list[list[str]]
    skipped: int


def adapt(folder: Path, output: Path, *, only: Collection[str] | None = None, note: str = "") -> AdaptReport:
    """Train on ``folder``, which holds pictures and `captions.json` ({file: [captions]}), and write ``output``.

    ``only`` names the files to train on. Raises ConfigError for a folder without enough captioned pictures.
    """
    vision = LiteVision()
    examples = _examples(folder, vision, only)
    texts = [MiniLM().encode(captions) for captions in examples.captions]
    text_mean = np.concatenate(texts).mean(axis=0)
    captions = [unit(vectors - text_mean) for vectors in texts]
    scale = float(np.std([analysis.features for analysis in examples.analyses]))
    inputs = np.array([raw_inputs(analysis, scale) for analysis in examples.analyses])
    targets = np.array([vectors.mean(axis=0) for vectors in captions])
    adapter = _fit(text_mean, scale, inputs, targets)

    encoder = LiteEncoder(vision, adapter)
    held_out = _held_out(adapter, inputs, targets, encoder.conse(examples.analyses))
    cosines = np.concatenate(captions) @ held_out.T
    own = np.repeat(np.arange(len(captions)), [len(texts) for texts in captions])
    ranks = (cosines > cosines[np.arange(len(own)), own][:, None]).sum(axis=1)
    calibration = fitted(observed(cosines, own, priors(held_out, texts_at_large(encoder))))
    recalls = [float((ranks < k).mean()) for k in (1, 5, 10)]
    card: dict[str, Any] = {
        "images": len(inputs),
        "captions": len(ranks),
        "ridge": RIDGE,
        "held_out_recall_at_1_5_10": [round(value, 3) for value in recalls],
        "note": note,
    }
    save(output, replace(adapter, calibration=calibration, card=card))
    return AdaptReport(
        output=str(output),
        images=len(inputs),
        captions=len(ranks),
        skipped=examples.skipped,
        recall_at_1=recalls[0],
        recall_at_5=recalls[1],
        recall_at_10=recalls[2],
        bytes=output.stat().st_size,
    )


def _examples(folder: Path, vision: LiteVision, only: Collection[str] | None) -> _Examples:
    path = folder / "captions.json"
    try:
        listed: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} must be a JSON object of {{file: [captions]}}: {error}") from error
    names = sorted(name for name, texts in listed.items() if texts and (only is None or name in only))
    pictures, captions = [], []
    with DecodePool(Config(data=folder), workers=2) as pool:
        futures = [pool.submit_file(str(folder / name), SIDE) for name in names]
        for name, future in zip(names, futures, strict=True):
            try:
                pictures.append(pool.result(future).image())
            except (SnapseekError, OSError):
                continue
            captions.append(listed[name])
    if len(pictures) < LEAST_PICTURES:
        raise ConfigError(f"{folder} has {len(pictures)} pictures with captions; at least {LEAST_PICTURES} are needed")
    return _Examples(_analysed(vision, pictures), captions, len(names) - len(pictures))


def _analysed(vision: LiteVision, pictures: Sequence[Image.Image], size: int = 32) -> list[Analysis]:
    return [a for start in range(0, len(pictures), size) for a in vision.analyse(pictures[start : start + size])]


def _fit(text_mean: Vector, scale: float, inputs: NDArray[np.float32], targets: Matrix) -> Adapter:
    """Return the map by ridge regression, not calibrated yet; solved in the dual: examples are few."""
    mean = inputs.mean(axis=0)
    centred = (inputs - mean).astype(np.float64)
    dual = np.linalg.solve(centred @ centred.T + RIDGE * np.eye(len(centred)), targets - targets.mean(axis=0))
    weights = (centred.T @ dual).astype(np.float32)
    return Adapter(text_mean, scale, mean, weights, UNCALIBRATED, card={}, sha256="")


def _held_out(adapter: Adapter, inputs: NDArray[np.float32], targets: Matrix, conse: Matrix) -> Matrix:
    """Return the vector of each example by a map that was fitted without it."""
    vectors = np.zeros_like(targets)
    order = np.random.default_rng(0).permutation(len(inputs))
    for fold in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, fold)
        vectors[fold] = _fit(adapter.text_mean, adapter.input_scale, inputs[rest], targets[rest]).vectors(inputs[fold])
    return joined(vectors, conse)
