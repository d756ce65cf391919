"""regress: a value for each example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfkit_serving.inference.method import INPUT, Method, Runner, check_dtype, infer, refuse, shape_text, signature_text
from tfkit_serving.protocol.messages import RegressionResult
from tfkit_serving.servables.signature import Signature

_OUTPUT = "outputs"
_FLOAT = 1


async def regress(
    servable: Runner, signature_name: str, examples: Sequence[bytes], *, context: bytes | None = None
) -> Any:
    """Regresses examples by a signature with the input `inputs` and the output `outputs`, (batch,) or (batch, 1).

    Args:
        servable: The version to run.
        signature_name: A signature's key; "" for serving_default.
        examples: Serialized tf.Examples.
        context: A serialized tf.Example whose features each example has as well.

    Returns:
        A RegressionResult message: a value for each example.

    Raises:
        ServingError: INVALID_ARGUMENT: there is no such signature, it is none for regression,
            there are no examples, or the output is not a float for each. Or the kernels' error.

    Example:
        >>> result = await regress(servable, "", [example.SerializeToString()])  # doctest: +SKIP
        >>> result.regressions[0].value  # doctest: +SKIP
        3.5
    """
    return await infer(servable, REGRESS, signature_name, examples, context)


def _outputs(signature: Signature) -> Sequence[str]:
    if len(signature.inputs) != 1:
        refuse("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        refuse("Expected one output Tensor.")
    if INPUT not in signature.inputs:
        refuse(f"No regression inputs found in SignatureDef: {signature_text(signature)}")
    if _OUTPUT not in signature.outputs:
        refuse(f"No regression outputs found in SignatureDef: {signature_text(signature)}")
    return [_OUTPUT]


def _result(outputs: Mapping[str, np.ndarray], count: int) -> Any:
    array = outputs[_OUTPUT]
    if array.ndim != 1 and array.shape[1:] != (1,):
        refuse("Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " + shape_text(array))
    if len(array) != count:
        refuse(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    check_dtype(array, _FLOAT, "Expected output Tensor of DT_FLOAT.  Got: ")
    result = RegressionResult()
    for value in array.ravel().tolist():
        result.regressions.add(value=value)
    return result


REGRESS = Method("tensorflow/serving/regress", _outputs, _result)
