"""What classification and regression share: a signature is checked, run on examples, and its outputs become a result.

Texts of errors are TensorFlow Serving's, which looks at a signature's names and not at its method name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np
from google.protobuf import text_format

from tfkit_serving.inference.examples import examples_tensor
from tfkit_serving.protocol.dtypes import enum_name, type_number
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.signature import Signature

DEFAULT_SIGNATURE = "serving_default"
INPUT = "inputs"


class Runner(Protocol):
    """What signatures are run on: a Servable, or a model that is being loaded."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Signatures by key."""

    async def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> Mapping[str, np.ndarray]:
        """Runs a signature: arrays by name."""


@dataclass(frozen=True)
class Method:
    """A way to read a signature.

    Attributes:
        name: Its method name, such as "tensorflow/serving/classify".
        outputs: Checks a signature and names the outputs to fetch; raises ServingError.
        result: Makes the result message of the outputs of a number of examples; raises ServingError.
    """

    name: str
    outputs: Callable[[Signature], Sequence[str]]
    result: Callable[[Mapping[str, np.ndarray], int], Any]


async def infer(
    servable: Runner, method: Method, signature_name: str, examples: Sequence[bytes], context: bytes | None
) -> Any:
    """Runs a signature on examples and gives the method's result message.

    Raises:
        ServingError: As `classify` says.
    """
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        refuse(f"No signature was found with the name: {name}")
    outputs = method.outputs(signature)
    arrays = await servable.run(name, {INPUT: examples_tensor(examples, context)}, outputs)
    return method.result(arrays, len(examples))


def refuse(message: str, code: str = "INVALID_ARGUMENT") -> NoReturn:
    """Raises a ServingError."""
    raise ServingError(code, message)


def check_dtype(array: np.ndarray, number: int, text: str) -> None:
    """Raises unless an array is of a DataType; `text` goes before the name of what it is."""
    if type_number(array.dtype) != number:
        refuse(text + enum_name(type_number(array.dtype)))


def shape_text(array: np.ndarray) -> str:
    """A shape as TensorFlow writes it, such as "[2,3]"."""
    return "[" + ",".join(map(str, array.shape)) + "]"


def signature_text(signature: Signature) -> str:
    """A SignatureDef as TensorFlow Serving puts it into an error, behind protobuf's mark of such texts."""
    return f"goo.gle/debugproto    \n{text_format.MessageToString(signature.proto)}"
