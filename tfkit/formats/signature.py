"""Signature: the named inputs and outputs of an exported model. Free of frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfkit.errors import DataError

# What stands for an open dimension, such as a sequence's length, in random input.
_OPEN = 32


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: Its name in the signature.
        dtype: Its dtype's name, such as "float32" or "string".
        shape: Its shape; None where a dimension is open, as the first one, the batch, is.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model, in the model's order.

    Example:
        >>> pixels, scores = Tensor("pixels", "float32", (None, 64)), Tensor("scores", "float32", (None, 10))
        >>> signature = Signature((pixels,), (scores,))
        >>> signature == Signature.from_dict(signature.as_dict())
        True
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def as_dict(self) -> dict[str, Any]:
        """What `tfkit.json` says of it."""
        return {
            "inputs": [asdict(tensor) for tensor in self.inputs],
            "outputs": [asdict(tensor) for tensor in self.outputs],
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Signature:
        """Reads what `as_dict` gave, also after a passage through JSON."""
        return cls(
            *(
                tuple(Tensor(each["name"], each["dtype"], tuple(each["shape"])) for each in row[side])
                for side in ("inputs", "outputs")
            )
        )


def random_inputs(signature: Signature, rows: int = 4, *, text: str | None = None) -> dict[str, Any]:
    """Input of the right shapes and dtypes: floats in [0, 1), integers 0 or 1.

    Args:
        signature: The signature.
        rows: Rows in the batch.
        text: What string inputs hold; None refuses them.

    Raises:
        DataError: An input is a string and there is no text.

    Example:
        >>> random_inputs(Signature((Tensor("ids", "int32", (None, 3)),), ()))["ids"].shape
        (4, 3)
    """
    import numpy as np

    generator = np.random.default_rng(0)
    made = {}
    for tensor in signature.inputs:
        shape = (rows, *(_OPEN if size is None else size for size in tensor.shape[1:]))
        if tensor.dtype != "string":
            made[tensor.name] = _random(generator, shape, tensor.dtype)
        elif text is not None:
            made[tensor.name] = np.full(shape, text)
        else:
            raise DataError(f"the input {tensor.name!r} takes strings, which cannot be made up: pass sample= real rows")
    return made


def _random(generator: Any, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype.startswith(("float", "bfloat", "complex")):
        values = generator.random(shape, "float32")
        return values.astype(dtype) if dtype in ("float16", "float64", "complex64", "complex128") else values
    return generator.integers(0, 2, shape).astype(dtype)
