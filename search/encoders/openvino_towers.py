"""Towers in OpenVINO: converted from torch, in single precision, bf16, or int8 by NNCF."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from search.encoders.converted import converted
from search.encoders.openvino_runtime import LATENCY, core, ov
from search.encoders.towers import Inputs, Tower, guarded
from search.errors import ModelUnavailable
from search.types import Matrix

FILE = "net.xml"


def in_openvino(name: str, module: Callable[[], nn.Module], inputs: Inputs, precision: str) -> Tower:
    """Return a tower of a module, which is only made where it was not converted yet under this name.

    Raises RuntimeError for an operation that OpenVINO does not know, ModelUnavailable for int8 without NNCF and for a
    precision that changes the vectors too much: int8 is checked when it is made, others whenever they are opened.
    """

    def single(folder: Path) -> None:
        _save(_convert(module(), inputs.examples()[:2]), folder)

    def int8(folder: Path) -> None:
        _save(_quantized(exact / FILE, inputs.examples()), folder)
        guarded(_compiled(folder / FILE), _compiled(exact / FILE), inputs.unseen(), precision)

    exact = converted(f"{name}-openvino", single)
    if precision == "int8":
        return _compiled(converted(f"{name}-openvino-int8", int8) / FILE)
    if precision in ("auto", "fp32"):
        return _compiled(exact / FILE)
    reduced = _compiled(exact / FILE, {"bf16": "bf16", "fp16": "f16"}[precision])
    return guarded(reduced, _compiled(exact / FILE), inputs.unseen(), precision)


def _convert(module: nn.Module, example: NDArray[Any]) -> Any:
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


def _quantized(path: Path, examples: NDArray[Any]) -> Any:
    """Return the net with int8 weights, and int8 activations where it takes pictures."""
    try:
        import nncf
    except ImportError as error:
        raise ModelUnavailable("int8 in OpenVINO needs NNCF: run `pip install 'snapseek[int8]'`") from error
    logging.getLogger("nncf").setLevel(logging.WARNING)
    net = core().read_model(str(path))
    with contextlib.redirect_stdout(sys.stderr):  # its progress
        if examples.ndim == 2:
            return nncf.compress_weights(net)
        data = nncf.Dataset([example[None] for example in examples])
        return nncf.quantize(net, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(examples))


def _save(net: Any, folder: Path) -> None:
    ov.save_model(net, folder / FILE, compress_to_fp16=False)


def _compiled(path: Path, hint: str = "f32") -> Tower:
    net = core().compile_model(str(path), "CPU", {**LATENCY, "INFERENCE_PRECISION_HINT": hint})

    def run(inputs: NDArray[Any]) -> Matrix:
        return np.array(net(inputs)[0], dtype=np.float32)

    return run
