"""The trained part of the lite space: a linear map from what the nets see to where captions lie, in one small file."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.calibration import Calibration
from search.encoders.coco import COCO_LABELS
from search.encoders.lite_vision import CLASSES, FEATURES, Analysis
from search.encoders.minilm import DIM
from search.errors import ConfigError
from search.types import Matrix, Vector

BUILT_IN = Path(__file__).with_name("lite_adapter.npz")

INPUTS = FEATURES + CLASSES + len(COCO_LABELS)
_OBJECT_COLUMN = {label: column for column, label in enumerate(COCO_LABELS.values())}


@dataclass(frozen=True, slots=True)
class Adapter:
    """``(inputs - input_mean) @ weights`` is where a picture's captions should lie, less ``text_mean``."""

    text_mean: Vector
    """Mean embedding of the captions; all texts are centred by it. Shape (384,)."""
    input_scale: float
    """Standard deviation of the pooled features."""
    input_mean: NDArray[np.float32]
    """Shape (2360,)."""
    weights: NDArray[np.float32]
    """Shape (2360, 384); stored as float16."""
    calibration: Calibration
    """What cosines mean, fitted on pictures that the map was fitted without."""
    card: dict[str, Any]
    """What it was trained on, how, and how well it does."""
    sha256: str
    """Of the map alone: two files of one map make the same vectors, whatever is said of these."""

    def vectors(self, inputs: NDArray[np.float32]) -> Matrix:
        """Return the unit vectors of rows of inputs."""
        return unit(np.asarray((inputs - self.input_mean) @ self.weights, dtype=np.float32))

    def inputs(self, analyses: list[Analysis]) -> NDArray[np.float32]:
        """Return the rows that the map takes: shape (len(analyses), 2360)."""
        return np.array([raw_inputs(analysis, self.input_scale) for analysis in analyses]).reshape(-1, INPUTS)


def raw_inputs(analysis: Analysis, input_scale: float) -> NDArray[np.float32]:
    """Return features / deviation, 3 · sqrt(class probabilities), 2 · object scores: parts of like spread."""
    objects = np.zeros(len(COCO_LABELS), np.float32)
    for found in analysis.detections:
        column = _OBJECT_COLUMN[found.label]
        objects[column] = max(objects[column], found.score)
    parts = analysis.features / np.float32(input_scale), 3 * np.sqrt(analysis.classes), 2 * objects
    return np.concatenate(parts).astype(np.float32)


def save(path: Path, adapter: Adapter) -> None:
    """Write an adapter file: arrays without pickle, the same bytes for the same content."""
    arrays: dict[str, NDArray[Any]] = {
        "text_mean": adapter.text_mean.astype(np.float32),
        "input_mean": adapter.input_mean.astype(np.float32),
        "weights": adapter.weights.astype(np.float16),
        "scalars": np.array([adapter.input_scale]),
        "calibration": np.array(adapter.calibration.numbers()),
        "card": np.frombuffer(json.dumps(adapter.card, sort_keys=True, ensure_ascii=False).encode(), dtype=np.uint8),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue())


def load(path: Path = BUILT_IN) -> Adapter:
    """Return the adapter in a file. Raises ConfigError for a file that is none."""
    try:
        data = path.read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            scale = arrays["scalars"].tolist()[0]
            adapter = Adapter(
                text_mean=arrays["text_mean"],
                input_scale=scale,
                input_mean=arrays["input_mean"],
                weights=arrays["weights"].astype(np.float32),
                calibration=Calibration.of(arrays["calibration"].tolist()),
                card=json.loads(arrays["card"].tobytes()),
                sha256=_digest(*(arrays[name] for name in ("text_mean", "input_mean", "weights", "scalars"))),
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} is no adapter file of `snapseek adapt`: {error}") from error
    if adapter.weights.shape != (INPUTS, DIM) or adapter.text_mean.shape != (DIM,):
        raise ConfigError(f"{path} was made for other nets: its map has the shape {adapter.weights.shape}")
    return adapter


def _digest(*arrays: NDArray[Any]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def unit(vectors: NDArray[np.float32]) -> Matrix:
    """Return rows of unit length; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)
