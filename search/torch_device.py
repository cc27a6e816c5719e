"""Where torch models run and in which precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.errors import ConfigError
from search.profile_file import ModelSpec

if TYPE_CHECKING:
    import torch


def device_of(spec: ModelSpec) -> torch.device:
    """Return the device that a spec names; ``auto`` is the first of CUDA, MPS and the processor that is there."""
    import torch

    if spec.device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(spec.device)
    except RuntimeError as error:
        raise ConfigError(f"there is no device {spec.device!r}: auto, cpu, cuda, cuda:1 or mps") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {spec.device} was asked for, but torch finds no CUDA here")
    return device


def dtype_of(precision: str, device: torch.device) -> torch.dtype:
    """Return the precision: ``auto`` is half precision on CUDA and single elsewhere, where half was seldom faster.

    Raises ConfigError for int8, which torch does not run here.
    """
    import torch

    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision == "int8":
        raise ConfigError("int8 runs in openvino or onnx, not in torch")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
