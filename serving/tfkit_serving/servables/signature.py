"""Signature and TensorInfo: what a version takes and gives, by the names that clients use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfkit_serving.protocol.messages import SignatureDef

OPEN = -1
_STRING = 7  # DT_STRING


@dataclass(frozen=True)
class TensorInfo:
    """One input or output.

    Attributes:
        name: The tensor's name in the graph, such as "x:0".
        dtype: The number of TensorFlow's DataType enum.
        shape: Its dimensions, -1 where open; None for an unknown rank.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """A signature of a version.

    Attributes:
        inputs: Inputs by name.
        outputs: Outputs by name.
        method_name: Such as "tensorflow/serving/predict".
        proto: The SignatureDef as the SavedModel holds it.
    """

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method_name: str
    proto: Any

    @classmethod
    def from_bytes(cls, serialized: bytes) -> Signature:
        """Reads a serialized SignatureDef."""
        proto = SignatureDef.FromString(serialized)
        inputs = {name: _tensor_info(each) for name, each in proto.inputs.items()}
        outputs = {name: _tensor_info(each) for name, each in proto.outputs.items()}
        return cls(inputs, outputs, proto.method_name, proto)

    @property
    def by_rows(self) -> bool:
        """Whether requests can share a call: the first dimension is open everywhere, and no row can widen another.

        An output's other open dimensions follow the inputs' where those are numbers, whose shapes are equal in a
        batch. Where they come out of strings, or out of inputs without open dimensions, they come from the values: the
        longest text of a batch would pad the others.
        """
        tensors = [*self.inputs.values(), *self.outputs.values()]
        if not self.inputs or not self.outputs or not all(each.shape and each.shape[0] == OPEN for each in tensors):
            return False
        if not any(OPEN in _row(each) for each in self.outputs.values()):
            return True
        inputs = self.inputs.values()
        return any(OPEN in _row(each) for each in inputs) and all(each.dtype != _STRING for each in inputs)


def _row(tensor: TensorInfo) -> tuple[int, ...]:
    return (tensor.shape or ())[1:]


def _tensor_info(proto: Any) -> TensorInfo:
    shape = proto.tensor_shape
    dimensions = None if shape.unknown_rank else tuple(each.size for each in shape.dim)
    return TensorInfo(proto.name, proto.dtype, dimensions)
