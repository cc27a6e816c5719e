"""Any model of open_clip: CLIP of OpenAI, LAION and DataComp, SigLIP, SigLIP 2, MobileCLIP, multilingual ones.

It loads a folder as `open_clip` saves it (`open_clip_config.json`, safetensors, tokenizer), and runs the two towers in
torch, or on a processor in OpenVINO or ONNX Runtime, each tower in what `snapseek models bench` found fastest there.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.batches import Batches
from search.calibration import Calibration, Curve
from search.encoders import examples, runtime_choice, towers
from search.encoders.adapter import unit
from search.encoders.kept_vectors import kept_vectors
from search.encoders.onnx_towers import in_onnx
from search.encoders.openvino_towers import in_openvino
from search.errors import ConfigError, ModelUnavailable
from search.profile_file import ModelSpec
from search.torch_device import device_of, dtype_of
from search.types import EmbeddingSpace, Matrix
from search.weights.hub import content_hash

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

PREPROCESSING = "1"
"""Raised whenever the way from a picture or text to the towers changes."""

TEXT_BATCH = 32
CALIBRATION_PICTURES = 64
CHECKED_PICTURES = 16

CONTRASTIVE = Calibration(Curve(-0.04, 0.012), Curve(-0.05, 0.012))
SIGMOID = Calibration(Curve(-0.05, 0.016), Curve(-0.06, 0.016))
"""For CLIP and for SigLIP, from published cosines of right, near and wrong texts: 0.25 to 0.30, 0.22 and 0.19 for the
one, 0.05 to 0.15 and below 0 for the other. Not fitted: no published weights could be had where this was written."""


class OpenClipEncoder:
    """Satisfies `search.protocols.Encoder`. Towers load at the first picture or text; safe to use from several threads.

    Raises ModelUnavailable for a folder that is no model of open_clip.
    """

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self._folder = folder
        self._spec = spec
        self._lock = threading.Lock()
        self._batches = Batches(spec)
        try:
            self._config: dict[str, Any] = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
            self._dim = int(self._config["model_cfg"]["embed_dim"])
        except (OSError, ValueError, KeyError) as error:
            raise ModelUnavailable(f"{folder} holds no model of open_clip: {error}") from error

    @functools.cached_property
    def space(self) -> EmbeddingSpace:
        content = f"open_clip {PREPROCESSING} {content_hash(self._folder)}"
        name = self._spec.model.rpartition("/")[2] or self._folder.name
        return EmbeddingSpace(name, self._dim, hashlib.sha256(content.encode()).hexdigest()[:32])

    @property
    def side(self) -> int:
        """Long side of the pictures that are wanted: twice the input's, for the crop of a panorama."""
        size = self._config["model_cfg"]["vision_cfg"].get("image_size", 224)
        return 2 * (max(size) if isinstance(size, list) else int(size))

    @property
    def temperature(self) -> float:
        """Of the softmax over label cosines: what the model was trained with (Minderer et al., NeurIPS 2021)."""
        return 1 / 112 if self._is_sigmoid else 1 / 100

    def encode_images(self, images: Sequence[Image.Image]) -> Matrix:
        if not images:
            return np.empty((0, self._dim), np.float32)
        preprocess = self._preprocess
        with ThreadPoolExecutor(2) as threads:
            pixels = list(threads.map(lambda image: preprocess(image).numpy(), images))
        with self._lock:
            tower = self._image_tower
            parts = [vectors for _, vectors in self._batches.run(pixels, lambda some: tower(np.stack(some)))]
        return unit(np.concatenate(parts))

    def encode_texts(self, texts: Sequence[str]) -> Matrix:
        """Return one unit vector for each text. Tokens past the model's context are cut, fewer are padded as it wants.

        Raises ModelUnavailable if the weights cannot be loaded.
        """
        if not texts:
            return np.empty((0, self._dim), np.float32)
        vectors = np.empty((len(texts), self._dim), np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        with self._lock:
            tower = self._text_tower
            for start in range(0, len(texts), TEXT_BATCH):
                part = by_length[start : start + TEXT_BATCH]
                vectors[part] = tower(self.tokens([texts[i] for i in part]))
        return unit(vectors)

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return token ids; for a causal model without the padding that it would not look at anyway."""
        ids: NDArray[np.int64] = self._tokenizer(list(texts)).numpy()
        if self._is_causal:
            ids = ids[:, : int(ids.argmax(axis=1).max()) + 1]
        return ids

    def label_vectors(self, prompts: Sequence[Sequence[str]]) -> Matrix:
        every = [text for texts in prompts for text in texts]
        vectors = iter(kept_vectors(self.space.fingerprint, every, self.encode_texts))
        return unit(np.array([np.mean([next(vectors) for _ in texts], axis=0) for texts in prompts]))

    @property
    def calibration(self) -> Calibration:
        return SIGMOID if self._is_sigmoid else CONTRASTIVE

    @property
    def _is_sigmoid(self) -> bool:
        return "init_logit_bias" in self._config["model_cfg"]

    @property
    def _is_causal(self) -> bool:
        """Tell whether the text tower is CLIP's own: causal, and read out at the token with the highest id."""
        model, text = self._config["model_cfg"], self._config["model_cfg"]["text_cfg"]
        own = not model.get("custom_text") and "hf_model_name" not in text and "hf_tokenizer_name" not in text
        return own and text.get("pool_type", "argmax") == "argmax" and not text.get("no_causal_mask")

    @functools.cached_property
    def _tokenizer(self) -> Callable[[list[str]], torch.Tensor]:
        import open_clip

        tokenizer: Callable[[list[str]], torch.Tensor] = open_clip.get_tokenizer(f"local-dir:{self._folder}")
        return tokenizer

    @functools.cached_property
    def _preprocess(self) -> Callable[[Image.Image], torch.Tensor]:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        size = self._config["model_cfg"]["vision_cfg"].get("image_size", 224)
        chosen = PreprocessCfg(**{**self._config.get("preprocess_cfg", {}), "size": size})
        transform: Callable[[Image.Image], torch.Tensor] = image_transform_v2(chosen, is_train=False)
        return transform

    @functools.cached_property
    def _model(self) -> torch.nn.Module:
        import open_clip

        device = device_of(self._spec)
        try:
            model: torch.nn.Module = open_clip.create_model(
                f"local-dir:{self._folder}", device=device, require_pretrained=True
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelUnavailable(f"{self._folder} cannot be loaded by open_clip: {error}") from error
        return model.eval()

    @functools.cached_property
    def _image_tower(self) -> towers.Tower:
        return self._tower("image", lambda: towers.ImageTower(self._model))

    @functools.cached_property
    def _text_tower(self) -> towers.Tower:
        kind = towers.CausalTextTower if self._is_causal else towers.TextTower
        return self._tower("text", lambda: kind(self._model))

    def _tower(self, which: str, module: Callable[[], torch.nn.Module]) -> towers.Tower:
        """Return a tower in the runtime and precision that the profile names, or that were measured to be the best."""
        spec, device = self._spec, device_of(self._spec)
        runtime: str = spec.runtime
        precision: str = spec.precision
        if runtime == precision == "auto" and device.type == "cpu":
            runtime, precision = runtime_choice.chosen(self.space.fingerprint, which)
        elif runtime == "auto":
            runtime = "torch" if device.type != "cpu" or precision == "fp16" else "openvino"
        inputs = towers.Inputs(
            self._examples(which, CALIBRATION_PICTURES, 0), self._examples(which, CHECKED_PICTURES, 1)
        )
        if runtime == "torch":
            return towers.in_torch(module(), device, dtype_of(precision, device), inputs)
        if device.type != "cpu":
            raise ConfigError(f"runtime {runtime} runs on the processor; leave device {device} to torch")
        name = f"{self.space.fingerprint}-{which}"
        try:
            return (in_onnx if runtime == "onnx" else in_openvino)(name, module, inputs, precision)
        except RuntimeError:  # an operation that the runtime does not know
            if spec.runtime != "auto" or precision == "int8":
                raise
            log.warning("%s cannot run the %s tower of %s; torch does", runtime, which, self._folder, exc_info=True)
            return towers.in_torch(module(), device, dtype_of(precision, device), inputs)

    def _examples(self, which: str, count: int, seed: int) -> Callable[[], NDArray[Any]]:
        """Return a maker of inputs as real ones are."""

        def texts() -> NDArray[Any]:
            ids: NDArray[Any] = self._tokenizer(list(examples.TEXTS)).numpy()
            return ids

        def images() -> NDArray[Any]:
            return np.stack([self._preprocess(picture).numpy() for picture in examples.dead_leaves(count, seed)])

        return texts if which == "text" else images
