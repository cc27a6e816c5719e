"""Writes what a browser needs to look at pictures as the library does: two nets, tables of numbers, and a runtime."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.browser import nets
from indexer.browser.files import FOLDER, MANIFEST
from search.catalog.opening import open_catalog
from search.config import Config
from search.encoders.coco import COCO_LABELS
from search.encoders.lite import CONSE_LABELS, CONSE_WEIGHT, OBJECT_WEIGHT, LiteEncoder
from search.encoders.lite_vision import CLASSIFIER_SIDE, DETECTOR_SIDE
from search.encoders.opening import open_encoder
from search.errors import ConfigError, Unavailable
from search.profile_file import read_profile
from search.whole_files import write_whole

RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
"""Of the package's archive, as npm has it."""
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SCORE, OVERLAP = 0.3, 0.6
"""From which score on the detector tells an object, and from which overlap on two of a kind are one: as trained."""


def export(config: Config, archive: Path | None = None) -> dict[str, int]:
    """Write the files into the library's folder, and return their sizes. ``archive``: of the runtime, as npm packs it.

    Raises ConfigError for a library of another space than lite, Unavailable where npm cannot fetch the runtime.
    """
    with open_catalog(config) as catalog:
        name = catalog.profile
    if name is None:
        raise ConfigError("the library has no models yet: run `snapseek index` once")
    encoder = open_encoder(read_profile(name))
    if not isinstance(encoder, LiteEncoder):
        raise ConfigError(f"only embeddings of lite are made in browsers; the library's are of {encoder.space.name}")
    files = {"classifier.onnx": nets.classifier(), "detector.onnx": nets.detector()}
    files["tables.bin"], tables = _tables(encoder)
    files |= _runtime(archive)
    manifest = {
        "space": encoder.space.fingerprint,
        "dim": encoder.space.dim,
        "side": encoder.side,
        "classifier_side": CLASSIFIER_SIDE,
        "detector_side": DETECTOR_SIDE,
        "labels": {str(number): label for number, label in COCO_LABELS.items()},
        "score": SCORE,
        "overlap": OVERLAP,
        "conse_labels": CONSE_LABELS,
        "object_weight": OBJECT_WEIGHT,
        "conse_weight": CONSE_WEIGHT,
        "input_scale": encoder.adapter.input_scale,
        "tables": tables,
        "files": {
            name: {"bytes": len(data), "hash": hashlib.sha256(data).hexdigest()[:16]} for name, data in files.items()
        },
    }
    files[MANIFEST] = json.dumps(manifest).encode()
    _replace(config.data / FOLDER, files)
    return {name: len(data) for name, data in files.items()}


def _tables(encoder: LiteEncoder) -> tuple[bytes, dict[str, list[int]]]:
    """Return the numbers between the nets and a vector, as float32 one after another, and (offset, *shape) of each."""
    classes, objects = encoder.label_vectors_of_nets
    adapter = encoder.adapter
    parts: dict[str, NDArray[np.float32]] = {
        "classes": classes,
        "objects": np.array([objects[label] for label in COCO_LABELS.values()], np.float32),
        "input_mean": adapter.input_mean,
        "weights": adapter.weights,
    }
    places, data = {}, io.BytesIO()
    for name, part in parts.items():
        places[name] = [data.tell() // 4, *part.shape]
        data.write(np.ascontiguousarray(part, np.dtype("<f4")).tobytes())
    return data.getvalue(), places


def _runtime(archive: Path | None) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        packed = archive or _fetched(Path(folder))
        data = packed.read_bytes()
    if hashlib.sha512(data).hexdigest() != RUNTIME_SHA512:
        raise ConfigError(f"{packed.name} is not {RUNTIME} as it was checked")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        for name in RUNTIME_FILES:
            source = files.extractfile(f"package/dist/{name}")
            if source is None:
                raise ConfigError(f"{packed.name} has no {name}")
            found[name] = source.read()
    return found


def _fetched(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError(f"npm fetches the runtime: install it, or name the archive of {RUNTIME} with --runtime")
    done = subprocess.run(  # noqa: S603
        [npm, "pack", RUNTIME, "--silent"], cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    found = list(folder.glob("*.tgz"))
    if done.returncode or not found:
        raise Unavailable(f"npm could not fetch {RUNTIME}: {done.stderr.strip()[-300:]}")
    return found[0]


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files, the manifest last: whoever finds it finds all that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data, mode=0o644)
