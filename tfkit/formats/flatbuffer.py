"""What a .tflite file holds, read from its flatbuffer: weights, what gives its outputs, the order of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

# Values stored as floats, by the name of their type in the schema.
_FLOATS = {"FLOAT16": "<f2", "FLOAT32": "<f4", "FLOAT64": "<f8"}
_INTEGERS = {"INT8": "i1", "UINT8": "u1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8"}


def is_flatbuffer(head: bytes) -> bool:
    """Whether a file's first bytes are those of a .tflite: the identifier TFL3 after the first offset.

    Example:
        >>> is_flatbuffer(b"PK\\x03\\x04....")
        False
    """
    return head[4:8] == b"TFL3"


def count_weights(content: bytes) -> tuple[int, int]:
    """Counts the weights of a model and those that are not zero.

    Weights are the stored tensors of floats, and those of integers that have a quantization: int8 and
    int4 weights, int32 and int64 biases. Shapes, axes and single numbers are not weights. A tensor
    that several subgraphs or layers share is stored, and counted, once.

    Args:
        content: The file's bytes.
    """
    parameters = nonzero = 0
    for shape, tensor, stored in _weights(content):
        size = math.prod(map(int, shape))
        parameters += size
        nonzero += int(_count_nonzero(tensor, stored, size))
    return parameters, nonzero


def count_by_type(content: bytes) -> dict[str, int]:
    """The number of stored weights of each type, such as {"INT4": 4096, "INT8": 640, "FLOAT32": 74}."""
    counts: dict[str, int] = {}
    for shape, tensor, _ in _weights(content):
        counts[_type_name(tensor)] = counts.get(_type_name(tensor), 0) + math.prod(map(int, shape))
    return counts


def output_steps(content: bytes) -> tuple[float, ...]:
    """The quantization step of each output of the main subgraph; 0.0 where it is computed in float."""
    graph, codes, builtin = _main(content)
    makers = _makers(graph)
    steps = []
    for index in graph.OutputsAsNumpy():
        maker = makers.get(index)
        if maker is not None and codes[maker.OpcodeIndex()] == builtin.DEQUANTIZE:
            index = maker.Inputs(0)
        scales = _scales(graph.Tensors(index))
        steps.append(max(scales, default=0.0))
    return tuple(steps)


def activations(content: bytes) -> tuple[str, ...]:
    """What gives each output of the main subgraph: "softmax", "sigmoid", "linear", or "" for something else."""
    graph, codes, builtin = _main(content)
    makers = _makers(graph)
    known = {builtin.SOFTMAX: "softmax", builtin.LOGISTIC: "sigmoid", builtin.FULLY_CONNECTED: "linear"}
    converted = (builtin.QUANTIZE, builtin.DEQUANTIZE)
    found = []
    for index in graph.OutputsAsNumpy():
        maker = makers.get(index)
        while maker is not None and codes[maker.OpcodeIndex()] in converted:
            maker = makers.get(maker.Inputs(0))
        found.append("" if maker is None else known.get(codes[maker.OpcodeIndex()], ""))
    return tuple(found)


def reordered(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The same model with its inputs and outputs in the order of these names of its signature.

    The converter sorts them; clients that go by position would get another input than the model's.

    Args:
        content: The file's bytes; it has one signature.
        inputs: All its input names.
        outputs: All its output names.
    """
    schema = _schema()
    changed = bytearray(content)
    model = schema.Model.GetRootAs(changed)
    signature, graph = model.SignatureDefs(0), model.Subgraphs(0)
    by_name = {_text(signature.Inputs(i)): signature.Inputs(i).TensorIndex() for i in range(signature.InputsLength())}
    graph.InputsAsNumpy()[:] = [by_name[name] for name in inputs]
    by_name = {
        _text(signature.Outputs(i)): signature.Outputs(i).TensorIndex() for i in range(signature.OutputsLength())
    }
    graph.OutputsAsNumpy()[:] = [by_name[name] for name in outputs]
    return bytes(changed)


def _schema() -> Any:
    try:
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def _text(mapping: Any) -> str:
    return str(mapping.Name().decode())


def _main(content: bytes) -> tuple[Any, list[int], Any]:
    """The main subgraph, the builtin code of each operator code, and the schema's table of these."""
    schema = _schema()
    model = schema.Model.GetRootAs(content)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    return model.Subgraphs(0), [code.BuiltinCode() for code in codes], schema.BuiltinOperator


def _makers(graph: Any) -> dict[int, Any]:
    """The operator that gives each tensor."""
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    return {int(output): operator for operator in operators for output in operator.OutputsAsNumpy()}


def _weights(content: bytes) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
    """Shape, schema entry and stored bytes of every weight."""
    model = _schema().Model.GetRootAs(content)
    seen = set()
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        for tensor in (graph.Tensors(i) for i in range(graph.TensorsLength())):
            stored = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if isinstance(stored, int) or tensor.Buffer() in seen or not _is_weight(tensor):
                continue
            seen.add(tensor.Buffer())
            yield tuple(tensor.ShapeAsNumpy()), tensor, stored


def _is_weight(tensor: Any) -> bool:
    return tensor.ShapeLength() > 0 and (_type_name(tensor) in _FLOATS or bool(_scales(tensor)))


def _type_name(tensor: Any) -> str:
    names = {value: name for name, value in vars(_schema().TensorType).items() if isinstance(value, int)}
    return str(names[tensor.Type()])


def _scales(tensor: Any) -> list[float]:
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength():
        return []
    return [float(scale) for scale in quantization.ScaleAsNumpy()]


def _count_nonzero(tensor: Any, stored: Any, size: int) -> int:
    import numpy as np

    kind = _type_name(tensor)
    if kind == "INT4":  # two in a byte, the low half first
        values = np.stack([stored & 15, stored >> 4], axis=-1).reshape(-1)[:size]
    else:
        values = stored.view({**_FLOATS, **_INTEGERS}[kind])
    return int(np.count_nonzero(values != _zero_point(tensor)))


def _zero_point(tensor: Any) -> int:
    quantization = tensor.Quantization()
    if quantization is None or quantization.ZeroPointLength() != 1:
        return 0  # channels of their own are symmetric
    return int(quantization.ZeroPoint(0))
