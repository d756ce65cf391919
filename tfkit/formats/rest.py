"""What TensorFlow Serving's REST API cannot carry of a signature, told in sentences that say what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from tfkit.formats.signature import Signature, Tensor

_NO_ROWS = 'without a row for each row of input, which REST\'s row format ("instances") cannot carry'
# What Keras and TensorFlow call tensors that nobody named.
_UNNAMED = re.compile(r"(keras_tensor|input_layer|output|args|input)(_\d+)+|keras_tensor|input_layer")


def rest_advice(signature: Signature, where: str = "") -> list[str]:
    """What clients of REST will meet with a signature, one sentence each; empty where all is well.

    Args:
        signature: The signature, with the shapes that the server will see.
        where: What follows a tensor's name, such as " of signature 'serve'".

    Example:
        >>> rest_advice(Signature((), (Tensor("scores", "bfloat16", (None, 3)),)))[0]
        "the output 'scores' is bfloat16, which REST cannot carry: cast it to float32 in the model, or use gRPC"
    """
    told = [each for tensor in signature.inputs for each in _of_tensor("input", tensor, where)]
    told += [each for tensor in signature.inputs for each in _of_input_shape(tensor, where)]
    told += [each for tensor in signature.outputs for each in _of_tensor("output", tensor, where)]
    batches = {tensor.shape[:1] for tensor in signature.inputs}
    return told + [each for tensor in signature.outputs for each in _of_output_shape(tensor, where, batches)]


@functools.cache
def _carried() -> frozenset[str]:
    """The dtypes that its JSON reader and writer know; others fail in REST and work in gRPC."""
    from tfkit_serving.protocol.dtypes import IN_JSON, numpy_dtype

    return frozenset(numpy_dtype(number).name.replace("object", "string") for number in IN_JSON)


def _of_tensor(side: str, tensor: Tensor, where: str) -> Iterator[str]:
    name = f"the {side} {tensor.name!r}{where}"
    if _UNNAMED.fullmatch(tensor.name):
        yield (
            f"{name} has a name that Keras made up, which changes from export to export: export with "
            f"tfkit.export(…, {side}s=…), or name the layer"
        )
    if tensor.dtype not in _carried():
        way_out = f"cast it to {_instead(tensor)} in the model, or use gRPC"
        yield f"{name} is {tensor.dtype}, which REST cannot carry: {way_out}"


def _of_input_shape(tensor: Tensor, where: str) -> Iterator[str]:
    name = f"the input {tensor.name!r}{where}"
    if not tensor.shape:
        yield f'{name} is a scalar, {_NO_ROWS}: have clients send "inputs"'
    elif tensor.shape[0] is not None:
        yield f"{name} is of shape {tensor.shape}: requests of another number of rows than {tensor.shape[0]} may fail"


def _of_output_shape(tensor: Tensor, where: str, batches: set[tuple[int | None, ...]]) -> Iterator[str]:
    if tensor.shape and (tensor.shape[0] is None or tensor.shape[:1] in batches):
        return
    shape = f"of shape {tensor.shape}" if tensor.shape else "a scalar"
    yield (
        f"the output {tensor.name!r}{where} is {shape}, {_NO_ROWS}: give it a row for each row of input, or have "
        'clients send "inputs"'
    )


def _instead(tensor: Tensor) -> str:
    if tensor.dtype.startswith("complex"):
        return "two float32 tensors"
    return "int32" if tensor.dtype.startswith("uint") else "float32"
