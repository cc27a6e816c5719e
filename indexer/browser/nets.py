"""The two nets of the lite profile as ONNX, cut where a browser goes on by itself."""

from __future__ import annotations

import numpy as np

from indexer.browser.to_onnx import to_onnx
from search.encoders.lite_vision import DETECTOR_SIDE, with_features
from search.encoders.openvino_runtime import core, ov
from search.weights.packaged import SSD_MOBILENET

ops = ov.opset13


def classifier() -> bytes:
    """Return EfficientNet-Lite3: pixels (1, 280, 280, 3) to class probabilities · 256 (1, 1000), features (1, 1280)."""
    return bytes(to_onnx(with_features(), name="classifier").SerializeToString())


def detector() -> bytes:
    """Return SSD-MobileNetV2: pixels (1, 300, 300, 3) to scores (1, 1917, 91) and boxes (1917, 4: y1, x1, y2, x2).

    Without its resizing, for pixels come in its size, and without its suppression of boxes that overlap.
    """
    model = core().read_model(str(SSD_MOBILENET.verified()))
    model.reshape([1, DETECTOR_SIDE, DETECTOR_SIDE, 3])
    named = {name: op for op in model.get_ordered_ops() for output in op.outputs() for name in output.names}
    pixels = ops.parameter([1, DETECTOR_SIDE, DETECTOR_SIDE, 3], ov.Type.u8, name="pixels")
    upright = ops.convert(ops.transpose(pixels, ops.constant([0, 3, 1, 2])), "f32")
    scaled = ops.subtract(ops.multiply(upright, ops.constant(np.float32(2 / 255))), ops.constant(np.float32(1)))
    for one in list(named["Preprocessor/sub:0"].output(0).get_target_inputs()):
        one.replace_source_output(scaled.output(0))
    outputs = [
        named[name].output(0) for name in ("Postprocessor/convert_scores:0", "Postprocessor/Decode/transpose_1:0")
    ]
    cut = ov.Model(outputs, [pixels], "detector")
    folding = ov.passes.Manager()
    folding.register_pass(ov.passes.ConstantFolding())
    folding.run_passes(cut)
    return bytes(to_onnx(cut, name="detector", half=True).SerializeToString())
