"""Nets that OpenVINO reads, written as ONNX: the operations of convolutional nets, quantised ones among them.

FakeQuantize has no counterpart in ONNX and becomes the arithmetic that it is defined by:
https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/quantization/fake-quantize-1.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from search.encoders.openvino_runtime import ov

OPSET = 17
LEAST_HALVED = 1024
"""Numbers of a constant from which on it is worth while."""
TYPES = {"f32": TensorProto.FLOAT, "u8": TensorProto.UINT8, "i32": TensorProto.INT32, "i64": TensorProto.INT64}


def to_onnx(model: ov.Model, *, name: str, half: bool = False) -> onnx.ModelProto:
    """Return a model of static shapes as ONNX, with float32 arithmetic; ``half``: its weights are kept as float16.

    Raises ValueError for an operation that is not known.
    """
    return _Writer(name, half=half).write(model)


class _Writer:
    def __init__(self, name: str, *, half: bool) -> None:
        self._name = name
        self._half = half
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[tuple[str, int], str] = {}
        self._values: dict[str, NDArray[Any]] = {}

    def write(self, model: ov.Model) -> onnx.ModelProto:
        inputs, outputs = [], []
        for op in model.get_ordered_ops():
            kind = op.get_type_name()
            if kind == "Parameter":
                given = op.output(0)
                inputs.append(helper.make_tensor_value_info(op.friendly_name, _type(given), _shape(given)))
                self._note(given, op.friendly_name)
            elif kind == "Constant":
                self._note(op.output(0), self._constant(np.array(op.data)))
            elif kind != "Result":
                self._convert(op, kind)
        for number, op in enumerate(model.get_results()):
            self._add("Identity", [self._of(op, 0)], f"output{number}")
            outputs.append(helper.make_tensor_value_info(f"output{number}", _type(op.output(0)), _shape(op.output(0))))
        used = {name for node in self._nodes for name in node.input}
        constants = [one for one in self._constants if one.name in used]
        graph = helper.make_graph(self._nodes, self._name, inputs, outputs, constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(made)
        return made

    def _convert(self, op: ov.Node, kind: str) -> None:
        if kind in _PLAIN:
            self._one(op, _PLAIN[kind], range(len(op.inputs())))
            return
        writer = _SPECIAL.get(kind)
        if writer is None:
            raise ValueError(f"{self._name}: there is no way to write {kind} as ONNX")
        writer(self, op)

    def _one(self, op: ov.Node, kind: str, inputs: Any, **attributes: Any) -> None:
        self._note(op.output(0), self._add(kind, [self._of(op, at) for at in inputs], **attributes))

    def _add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        if value.dtype in (np.float16, np.float64):
            value = value.astype(np.float32)
        self._values[name] = value
        if self._half and value.dtype == np.float32 and value.size >= LEAST_HALVED:
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float16), f"{name}h"))
            return self._add("Cast", [f"{name}h"], name, to=TensorProto.FLOAT)
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _note(self, output: Any, name: str) -> None:
        self._known[output.get_node().friendly_name, output.get_index()] = name

    def _of(self, op: ov.Node, at: int) -> str:
        source = op.input(at).get_source_output()
        return self._known[source.get_node().friendly_name, source.get_index()]

    def _value(self, op: ov.Node, at: int) -> NDArray[Any]:
        """Return what a constant input holds."""
        return self._values[self._of(op, at)]

    def _shaped(self, op: ov.Node) -> None:
        shape = self._constant(np.array(_shape(op.output(0)), np.int64))
        self._note(op.output(0), self._add("Reshape", [self._of(op, 0), shape]))

    def _convolution(self, op: ov.Node) -> None:
        given = op.get_attributes()
        if given.get("auto_pad") not in ("explicit", "notset", "same_upper", "same_lower", "valid"):
            raise ValueError(f"padding {given.get('auto_pad')}")
        weights, groups = self._of(op, 1), 1
        if op.get_type_name() == "GroupConvolution":
            groups, out, *rest = _shape(op.input(1).get_source_output())
            shape = self._constant(np.array([groups * out, *rest], np.int64))
            weights = self._add("Reshape", [weights, shape])
        pads = [*given["pads_begin"], *given["pads_end"]]
        output = self._add(
            "Conv",
            [self._of(op, 0), weights],
            strides=given["strides"],
            dilations=given["dilations"],
            pads=pads,
            group=groups,
        )
        self._note(op.output(0), output)

    def _clamp(self, op: ov.Node) -> None:
        given = op.get_attributes()
        ends = [self._constant(np.array(given[end], np.float32)) for end in ("min", "max")]
        self._note(op.output(0), self._add("Clip", [self._of(op, 0), *ends]))

    def _fake_quantize(self, op: ov.Node) -> None:
        levels = op.get_attributes()["levels"]
        low, high, out_low, out_high = (self._value(op, at).astype(np.float64) for at in range(1, 5))
        step, out_step = (high - low) / (levels - 1), (out_high - out_low) / (levels - 1)

        def constant(value: NDArray[np.float64]) -> str:
            return self._constant(value.astype(np.float32))

        bounded = self._add("Min", [self._add("Max", [self._of(op, 0), constant(low)]), constant(high)])
        counted = self._add("Round", [self._add("Div", [self._add("Sub", [bounded, constant(low)]), constant(step)])])
        scaled = self._add("Add", [self._add("Mul", [counted, constant(out_step)]), constant(out_low)])
        self._note(op.output(0), scaled)

    def _convert_type(self, op: ov.Node) -> None:
        self._note(op.output(0), self._add("Cast", [self._of(op, 0)], to=_type(op.output(0))))

    def _transpose(self, op: ov.Node) -> None:
        order = [int(axis) for axis in self._value(op, 1)]
        self._note(op.output(0), self._add("Transpose", [self._of(op, 0)], perm=order))

    def _average(self, op: ov.Node) -> None:
        given = op.get_attributes()
        pads = [*given["pads_begin"], *given["pads_end"]]
        output = self._add(
            "AveragePool", [self._of(op, 0)], kernel_shape=given["kernel"], strides=given["strides"], pads=pads
        )
        self._note(op.output(0), output)

    def _product(self, op: ov.Node) -> None:
        given = op.get_attributes()
        inputs = []
        for at, side in enumerate(("transpose_a", "transpose_b")):
            name = self._of(op, at)
            inputs.append(self._add("Transpose", [name], perm=[1, 0]) if given[side] else name)
        self._note(op.output(0), self._add("MatMul", inputs))

    def _softmax(self, op: ov.Node) -> None:
        self._one(op, "Softmax", [0], axis=op.get_attributes()["axis"])

    def _split(self, op: ov.Node) -> None:
        names = [f"t{len(self._nodes)}.{at}" for at in range(len(op.outputs()))]
        lengths = self._constant(np.array([_shape(out)[int(self._value(op, 1))] for out in op.outputs()], np.int64))
        axis = int(self._value(op, 1))
        self._nodes.append(helper.make_node("Split", [self._of(op, 0), lengths], names, axis=axis))
        for output, name in zip(op.outputs(), names, strict=True):
            self._note(output, name)

    def _tile(self, op: ov.Node) -> None:
        repeats = self._constant(self._value(op, 1).astype(np.int64))
        self._note(op.output(0), self._add("Tile", [self._of(op, 0), repeats]))

    def _concat(self, op: ov.Node) -> None:
        self._one(op, "Concat", range(len(op.inputs())), axis=op.get_attributes()["axis"])


_PLAIN = {
    "Add": "Add",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Divide": "Div",
    "Sigmoid": "Sigmoid",
    "Exp": "Exp",
}
_SPECIAL: dict[str, Callable[[_Writer, ov.Node], None]] = {
    "Reshape": _Writer._shaped,
    "Unsqueeze": _Writer._shaped,
    "Squeeze": _Writer._shaped,
    "Convolution": _Writer._convolution,
    "GroupConvolution": _Writer._convolution,
    "Clamp": _Writer._clamp,
    "FakeQuantize": _Writer._fake_quantize,
    "Convert": _Writer._convert_type,
    "Transpose": _Writer._transpose,
    "AvgPool": _Writer._average,
    "MatMul": _Writer._product,
    "Softmax": _Writer._softmax,
    "Concat": _Writer._concat,
    "Split": _Writer._split,
    "Tile": _Writer._tile,
}


def _type(output: Any) -> int:
    return TYPES[output.element_type.get_type_name()]


def _shape(output: Any) -> list[int]:
    return [int(length) for length in output.shape]
