"""One half of a CLIP model as a function from arrays to arrays, in torch or in OpenVINO."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from search.encoders.adapter import unit
from search.encoders.openvino_runtime import LATENCY, cache_folder, core
from search.errors import ModelUnavailable
from search.types import Matrix

log = logging.getLogger(__name__)

Tower = Callable[[NDArray[Any]], Matrix]
"""Pixels, shape (n, 3, height, width), or token ids, shape (n, length), to vectors, shape (n, dim), of any length."""

LEAST_COSINE = 0.995
"""Of int8 to single precision, for every example; below it the reduced tower is refused."""


class ImageTower(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.model.encode_image(pixels)


class TextTower(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> Any:
        return self.model.encode_text(tokens)


class CausalTextTower(nn.Module):
    """CLIP's text tower for texts of any length up to its context.

    A token sees only those before it, and the vector is read at the end-of-text token: what follows changes nothing, so
    it need not be computed. A query of ten tokens costs a fifth of the padded one.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> Any:
        model, length = self.model, tokens.shape[1]
        x = model.token_embedding(tokens) + model.positional_embedding[:length]
        x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
        x = model.ln_final(x)[torch.arange(tokens.shape[0]), tokens.argmax(dim=-1)]
        if isinstance(model.text_projection, nn.Linear):
            return model.text_projection(x)
        return x @ model.text_projection


def in_torch(module: nn.Module, device: torch.device, dtype: torch.dtype) -> Tower:
    """Return a tower that runs in torch, with automatic casting where ``dtype`` is not single precision."""
    module.eval()

    def run(inputs: NDArray[Any]) -> Matrix:
        reduced = dtype is not torch.float32
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=reduced):
            vectors = module(torch.from_numpy(inputs).to(device))
        return np.asarray(vectors.float().cpu().numpy())

    return run


def in_openvino(
    name: str, module: Callable[[], nn.Module], example: Callable[[], NDArray[Any]], precision: str
) -> Tower:
    """Return a tower that runs in OpenVINO. The converted net is kept in the cache under ``name``."""
    hint = {"auto": "f32", "fp32": "f32", "bf16": "bf16", "fp16": "f16"}[precision]
    return _compiled(_converted(name, lambda: _convert(module(), example()[:2])), hint)


def in_openvino_int8(name: str, module: Callable[[], nn.Module], example: Callable[[], NDArray[Any]]) -> Tower:
    """Return a tower with int8 weights, and activations where it takes pictures.

    Raises ModelUnavailable if any example's vector is too far from the one in single precision.
    """
    single = in_openvino(name, module, example, "fp32")
    reduced = _compiled(_converted(f"{name}-int8", lambda: _quantize(_single(name, module, example), example())), "f32")
    cosine = least_cosine(single, reduced, example())
    if cosine < LEAST_COSINE:
        raise ModelUnavailable(
            f"int8 changes this model too much: a cosine of {cosine:.4f} to single precision, where {LEAST_COSINE} is"
            " the least; set precision to fp32"
        )
    return reduced


def least_cosine(one: Tower, other: Tower, inputs: NDArray[Any]) -> float:
    """Return the least cosine between two towers' vectors of the same inputs."""
    return float((unit(one(inputs)) * unit(other(inputs))).sum(axis=1).min())


def _convert(module: nn.Module, example: NDArray[Any]) -> Any:
    import openvino as ov

    module = module.eval().float().cpu()
    dynamic = [-1, -1] if example.ndim == 2 else [-1, *example.shape[1:]]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the fused kernel cannot be traced
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            return ov.convert_model(module, example_input=torch.from_numpy(example), input=[ov.PartialShape(dynamic)])
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _single(name: str, module: Callable[[], nn.Module], example: Callable[[], NDArray[Any]]) -> Any:
    return core().read_model(str(_converted(name, lambda: _convert(module(), example()[:2]))))


def _quantize(net: Any, examples: NDArray[Any]) -> Any:
    try:
        import nncf
    except ImportError as error:
        raise ModelUnavailable("int8 needs NNCF: run `pip install 'snapseek[int8]'`") from error
    if examples.ndim == 2:
        return nncf.compress_weights(net)
    data = nncf.Dataset([example[None] for example in examples])
    return nncf.quantize(net, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(examples))


def _converted(name: str, make: Callable[[], Any]) -> Path:
    """Return the file of a converted net, made if it is not in the cache. It appears whole or not at all."""
    import openvino as ov

    folder = (cache_folder() or _temporary()) / "towers"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.xml"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as making:
            draft = Path(making) / path.name
            ov.save_model(make(), draft, compress_to_fp16=False)
            os.replace(draft.with_suffix(".bin"), path.with_suffix(".bin"))
            os.replace(draft, path)
    return path


@functools.cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="snapseek-"))


def _compiled(path: Path, hint: str) -> Tower:
    net = core().compile_model(str(path), "CPU", {**LATENCY, "INFERENCE_PRECISION_HINT": hint})

    def run(inputs: NDArray[Any]) -> Matrix:
        return np.array(net(inputs)[0], dtype=np.float32)

    return run
