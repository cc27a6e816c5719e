"""Towers in ONNX Runtime: exported from torch, in single precision or with int8 weights (dynamic quantisation)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from search.encoders.converted import converted
from search.encoders.towers import Inputs, Tower, guarded
from search.errors import ModelUnavailable
from search.types import Matrix

FILE = "net.onnx"
INPUT = "inputs"


def in_onnx(name: str, module: Callable[[], nn.Module], inputs: Inputs, precision: str) -> Tower:
    """Return a tower of a module, which is only made where it was not exported yet under this name.

    Raises ModelUnavailable where ONNX Runtime is not installed, knows no such precision, or where int8 changes the
    vectors too much; RuntimeError for an operation that cannot be exported.
    """
    if precision not in ("auto", "fp32", "int8"):
        raise ModelUnavailable(f"ONNX Runtime has no {precision} on a processor; there are fp32 and int8")

    def int8(folder: Path) -> None:
        _quantize(exact, folder)
        guarded(_session(folder), _session(exact), inputs.unseen(), precision)

    exact = converted(f"{name}-onnx", lambda folder: _export(module(), inputs.examples()[:2], folder))
    return _session(converted(f"{name}-onnx-int8", int8) if precision == "int8" else exact)


def _session(folder: Path) -> Tower:
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise ModelUnavailable("this runtime needs ONNX Runtime: run `pip install 'snapseek[onnx]'`") from error
    session = ort.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])

    def run(inputs: NDArray[Any]) -> Matrix:
        return np.asarray(session.run(None, {INPUT: inputs})[0], dtype=np.float32)

    return run


def _export(module: nn.Module, example: NDArray[Any], folder: Path) -> None:
    auto = torch.export.Dim.AUTO
    dynamic = {0: auto, 1: auto} if example.ndim == 2 else {0: auto}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the fused kernel cannot be exported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval().float().cpu(),
                (torch.from_numpy(example),),
                folder / FILE,
                dynamo=True,
                dynamic_shapes=(dynamic,),
                input_names=[INPUT],
                verbose=False,
            )
    except ImportError as error:
        raise ModelUnavailable("this runtime needs ONNX: run `pip install 'snapseek[onnx]'`") from error
    except torch.onnx.OnnxExporterError as error:
        raise RuntimeError(f"this model cannot be exported to ONNX: {str(error).splitlines()[0]}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _quantize(single: Path, folder: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().disabled, before = True, logging.getLogger().disabled  # it speaks to the root logger
    try:
        quantize_dynamic(
            single / FILE,
            folder / FILE,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
    finally:
        logging.getLogger().disabled = before
