"""Quantize an fp32 ONNX model to INT8; an export tries the `METHODS` in order."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

# Weights with fewer columns stay fp32: these are the heads, which cost next to nothing.
MIN_COLUMNS = 16
# Activations are unsigned bytes around 128, which processors multiply fastest with signed weights.
LEVELS, ZERO = 127, 128
# Processors without VNNI add two such products in 16 bits; weights of 7 bits keep the sum at 2 * 255 * 63 or less.
LEVELS_7BIT = 63


def write_int8(source: Path, target: Path, method: str) -> None:
    """Write `target` from the fp32 model `source` by one of `METHODS`."""
    model = onnx.load(source)
    # The shapes that the exporter stored contradict those that the quantizer infers.
    del model.graph.value_info[:]
    METHODS[method](model)
    quantize_dynamic(model, target, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8, per_channel=False)


def _per_token(model: onnx.ModelProto, weight_levels: int = LEVELS) -> None:
    """Quantize weights with a scale per column, activations with a scale per token (ZeroQuant, Yao et al. 2022).

    This is as fast as ONNX Runtime's own dynamic quantization, which has one scale for all tokens of a micro-batch, so
    that a few large tokens make all the others less precise: on SQuAD, 90 % of its answers were fp32's, against 95 %
    with a scale per token. Besides, a row's answer does not depend on the rows it is batched with.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    scales: dict[str, str] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "MatMul" or not _is_wide(weights.get(node.input[1])):
            nodes.append(node)
            continue
        tokens, weight = node.input
        if tokens not in scales:  # queries, keys and values have the same input
            scales[tokens] = f"{tokens}_largest"
            nodes += _quantized_tokens(tokens, scales[tokens], _opset(model))
        if f"{weight}_int8" not in weights:
            for tensor in _quantized_weight(weights[weight], weight_levels):
                weights[tensor.name] = tensor
        product = f"{node.output[0]}_scaled"
        inputs = [f"{tokens}_int8", f"{weight}_int8", "token_scale", f"{weight}_scale", "token_zero"]
        nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [product], domain="com.microsoft"))
        nodes.append(helper.make_node("Mul", [product, scales[tokens]], [node.output[0]]))
    for name, value in _constants().items():
        weights[name] = numpy_helper.from_array(value, name)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensor for name, tensor in weights.items() if name in used)
    if not any(opset.domain == "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _blockwise(model: onnx.ModelProto) -> None:
    """Quantize weights and activations in blocks of 32 along a row: closer to fp32, at about half the speed."""
    settings = DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = MatMulNBitsQuantizer(model, algo_config=settings)
    quantizer.process()
    model.CopyFrom(quantizer.model.model)


METHODS: dict[str, Callable[[onnx.ModelProto], None]] = {
    "per_token": _per_token,
    "per_token_7bit": partial(_per_token, weight_levels=LEVELS_7BIT),
    "blockwise": _blockwise,
}


def _is_wide(weight: onnx.TensorProto | None) -> bool:
    return weight is not None and len(weight.dims) == 2 and weight.dims[1] >= MIN_COLUMNS


def _quantized_tokens(tokens: str, largest: str, opset: int) -> list[NodeProto]:
    """Return nodes from `tokens`, [..., dim], to `<tokens>_int8` and each token's `largest` absolute value, [..., 1].

    A token of only zeros is divided by 0; the byte does not matter, because its product is multiplied by 0 again.
    """
    size, share = f"{tokens}_size", f"{tokens}_share"
    reduced = helper.make_node("ReduceMax", [size] if opset < 18 else [size, "last_axis"], [largest], keepdims=1)
    if opset < 18:
        reduced.attribute.append(helper.make_attribute("axes", [-1]))
    return [
        helper.make_node("Abs", [tokens], [size]),
        reduced,
        helper.make_node("Div", [tokens, largest], [share]),
        helper.make_node("QuantizeLinear", [share, "token_scale", "token_zero"], [f"{tokens}_int8"]),
    ]


def _quantized_weight(weight: onnx.TensorProto, levels: int) -> list[onnx.TensorProto]:
    """Return `<name>_int8` [inputs, columns] and `<name>_scale` [columns]."""
    values = numpy_helper.to_array(weight)
    scale = np.abs(values).max(axis=0) / levels
    scale[scale == 0] = 1
    rounded = np.round(values / scale).astype(np.int8)
    return [
        numpy_helper.from_array(rounded, f"{weight.name}_int8"),
        numpy_helper.from_array(scale.astype(np.float32), f"{weight.name}_scale"),
    ]


def _constants() -> dict[str, NDArray[np.generic]]:
    return {
        "token_scale": np.array(1 / LEVELS, np.float32),
        "token_zero": np.array(ZERO, np.uint8),
        "last_axis": np.array([-1], np.int64),
    }


def _opset(model: onnx.ModelProto) -> int:
    return next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
