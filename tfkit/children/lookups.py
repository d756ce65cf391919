"""with_lookups: tables of embeddings in a .tflite, read by the operation that takes integers of few bits."""

from __future__ import annotations

from typing import Any

import numpy as np


def with_lookups(content: bytes) -> bytes:
    """Turns every GATHER of rows from a stored float table into RESHAPE, EMBEDDING_LOOKUP, RESHAPE.

    The converter writes GATHER for `keras.layers.Embedding`; ai-edge-quantizer leaves its table in float, that of
    an EMBEDDING_LOOKUP it quantizes with a scale for each row. Tables that are gathered along another axis, or with
    more than one length that is not known, stay.

    Args:
        content: The file's bytes.
    """
    from ai_edge_litert.tools import flatbuffer_utils as files

    model = files.read_model_from_bytearray(bytearray(content))
    gather = files.schema_fb.BuiltinOperator.GATHER
    changed = False
    for graph in model.subgraphs:
        operators = []
        for operator in graph.operators:
            is_gather = model.operatorCodes[operator.opcodeIndex].builtinCode == gather
            if is_gather and _reads_rows(operator, graph, model):
                operators.extend(_lookup(operator, graph, model))
                changed = True
            else:
                operators.append(operator)
        graph.operators = operators
    return bytes(files.convert_object_to_bytearray(model)) if changed else content


def _reads_rows(operator: Any, graph: Any, model: Any) -> bool:
    from ai_edge_litert.tools.flatbuffer_utils import schema_fb as schema

    table, ids, output = (graph.tensors[each] for each in (*operator.inputs[:2], operator.outputs[0]))
    options = operator.builtinOptions
    is_stored = model.buffers[table.buffer].data is not None and table.type == schema.TensorType.FLOAT32
    along_rows = options is None or (options.axis == 0 and options.batchDims == 0)
    return (
        is_stored
        and along_rows
        and len(table.shape) == 2
        and ids.type == schema.TensorType.INT32
        and len(ids.shape) > 1
        and sum(length < 0 for length in _signature(output)[:-1]) <= 1
    )


def _lookup(operator: Any, graph: Any, model: Any) -> list[Any]:
    """The three operations; the last gives the tensor that the GATHER gave."""
    from ai_edge_litert.tools.flatbuffer_utils import schema_fb as schema

    table, ids = operator.inputs[:2]
    output = operator.outputs[0]
    name = graph.tensors[output].name
    width = int(graph.tensors[table].shape[1])
    rows = int(np.prod(np.abs(graph.tensors[ids].shape)))
    flat = _tensor(graph, b"ids of " + name, schema.TensorType.INT32, [rows], [-1])
    found = _tensor(graph, b"rows of " + name, schema.TensorType.FLOAT32, [rows, width], [-1, width])
    return [
        _reshape(graph, model, ids, flat, [-1], b"flat shape of " + name),
        _operator(model, schema.BuiltinOperator.EMBEDDING_LOOKUP, [flat, table], [found]),
        _reshape(graph, model, found, output, _signature(graph.tensors[output]), b"shape of " + name),
    ]


def _signature(tensor: Any) -> list[int]:
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return [int(length) for length in shape]


def _reshape(graph: Any, model: Any, source: int, target: int, shape: list[int], name: bytes) -> Any:
    from ai_edge_litert.tools.flatbuffer_utils import schema_fb as schema

    lengths = _tensor(graph, name, schema.TensorType.INT32, [len(shape)])
    stored = schema.BufferT()
    stored.data = np.frombuffer(np.array(shape, "<i4").tobytes(), "u1")
    graph.tensors[lengths].buffer = len(model.buffers)
    model.buffers.append(stored)
    return _operator(model, schema.BuiltinOperator.RESHAPE, [source, lengths], [target])


def _tensor(graph: Any, name: bytes, kind: int, shape: list[int], signature: list[int] | None = None) -> int:
    from ai_edge_litert.tools.flatbuffer_utils import schema_fb as schema

    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.shapeSignature = name, kind, shape, signature
    tensor.buffer = 0  # the empty one
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _operator(model: Any, builtin: int, inputs: list[int], outputs: list[int]) -> Any:
    from ai_edge_litert.tools.flatbuffer_utils import schema_fb as schema

    operator = schema.OperatorT()
    operator.opcodeIndex = _code(model, builtin)
    operator.inputs, operator.outputs = inputs, outputs
    return operator


def _code(model: Any, builtin: int) -> int:
    from ai_edge_litert.tools.flatbuffer_utils import schema_fb as schema

    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin and code.customCode is None:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, 1
    code.deprecatedBuiltinCode = min(builtin, 127)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
