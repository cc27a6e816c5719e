"""One half of a CLIP model as a function from arrays to arrays, in torch; and what a faster one is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from search.encoders.adapter import unit
from search.errors import ModelUnavailable
from search.types import Matrix

Tower = Callable[[NDArray[Any]], Matrix]
"""Pixels, shape (n, 3, height, width), or token ids, shape (n, length), to vectors, shape (n, dim), of any length."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Makers of inputs as real ones are: some to trace and calibrate with, others to check a reduced precision on."""

    examples: Callable[[], NDArray[Any]]
    unseen: Callable[[], NDArray[Any]]


LEAST_COSINE = 0.995
"""Of a reduced precision to single precision, for every example; below it the reduced tower is refused."""


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


def in_torch(module: nn.Module, device: torch.device, dtype: torch.dtype, inputs: Inputs) -> Tower:
    """Return a tower that runs in torch, with automatic casting where ``dtype`` is not single precision.

    Raises ModelUnavailable for a precision that changes the vectors too much.
    """
    module.eval()
    if dtype is not torch.float32:
        single = _in_torch(module, device, torch.float32)
        return guarded(_in_torch(module, device, dtype), single, inputs.unseen(), str(dtype).removeprefix("torch."))
    return _in_torch(module, device, dtype)


def _in_torch(module: nn.Module, device: torch.device, dtype: torch.dtype) -> Tower:

    def run(inputs: NDArray[Any]) -> Matrix:
        reduced = dtype is not torch.float32
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=reduced):
            vectors = module(torch.from_numpy(inputs).to(device))
        return np.asarray(vectors.float().cpu().numpy())

    return run


def guarded(reduced: Tower, single: Tower, examples: NDArray[Any], precision: str) -> Tower:
    """Return the reduced tower. Raises ModelUnavailable if any example's vector is too far from single precision's."""
    cosine = least_cosine(reduced(examples), single(examples))
    if not cosine >= LEAST_COSINE:  # nan, which half precision may overflow to, is refused as well
        raise ModelUnavailable(
            f"{precision} changes this model too much: a cosine of {cosine:.4f} to single precision, where"
            f" {LEAST_COSINE} is the least; set precision to fp32"
        )
    return reduced


def least_cosine(vectors: Matrix, others: Matrix) -> float:
    """Return the least cosine between rows of the same place."""
    return float((unit(vectors) * unit(others)).sum(axis=1).min())
