"""classify: labels and scores of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfkit_serving.inference.method import INPUT, Method, Runner, check_dtype, infer, refuse, shape_text, signature_text
from tfkit_serving.protocol.messages import ClassificationResult
from tfkit_serving.servables.signature import Signature

_CLASSES, _SCORES = "classes", "scores"
_FLOAT, _STRING = 1, 7


async def classify(
    servable: Runner, signature_name: str, examples: Sequence[bytes], *, context: bytes | None = None
) -> Any:
    """Classifies examples by a signature with the input `inputs` and the outputs `classes`, `scores` or both.

    Args:
        servable: The version to run.
        signature_name: A signature's key; "" for serving_default.
        examples: Serialized tf.Examples.
        context: A serialized tf.Example whose features each example has as well.

    Returns:
        A ClassificationResult message: for each example its classes, a label and a score each.

    Raises:
        ServingError: INVALID_ARGUMENT: there is no such signature, it is none for classification, there are no
            examples, or the outputs are no classes and scores. Or the kernels' error.

    Example:
        >>> result = await classify(servable, "", [example.SerializeToString()])  # doctest: +SKIP
        >>> result.classifications[0].classes[0].label  # doctest: +SKIP
        'setosa'
    """
    return await infer(servable, CLASSIFY, signature_name, examples, context)


def _outputs(signature: Signature) -> Sequence[str]:
    if len(signature.inputs) != 1:
        refuse("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        refuse(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUT not in signature.inputs:
        refuse(f"No classification inputs found in SignatureDef: {signature_text(signature)}")
    found = [each for each in (_CLASSES, _SCORES) if each in signature.outputs]
    if not found:
        refuse(
            f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". '
            f"Signature was: {signature_text(signature)}"
        )
    return found


def _result(outputs: Mapping[str, np.ndarray], count: int) -> Any:
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if classes is not None:
        _check(classes, _CLASSES, _STRING, count)
    if scores is not None:
        _check(scores, _SCORES, _FLOAT, count)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        refuse(
            "Tensors class and score should match in dim_size(1). "
            f"Got {classes.shape[1]} vs. {scores.shape[1]}"
        )  # fmt: skip
    labels = [[""] * scores.shape[1]] * count if classes is None and scores is not None else _texts(classes)
    values = [[0.0] * len(row) for row in labels] if scores is None else scores.tolist()
    result = ClassificationResult()
    for label_row, value_row in zip(labels, values):
        row = result.classifications.add().classes
        for label, value in zip(label_row, value_row):
            row.add(label=label, score=value)
    return result


def _check(array: np.ndarray, name: str, number: int, count: int) -> None:
    if array.ndim != 2:
        refuse(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(array)}")
    check_dtype(array, number, f"Expected {name} Tensor of {'DT_STRING' if number == _STRING else 'DT_FLOAT'}. Got: ")
    if len(array) != count:
        refuse(f"Expected {name} output batch size of {count}. Got: {len(array)}")


def _texts(classes: Any) -> list[list[str]]:
    """Labels as text: the protocol's are, whatever bytes a model gives."""
    return [[each.decode("utf-8", "replace") for each in row] for row in classes.tolist()]


CLASSIFY = Method("tensorflow/serving/classify", _outputs, _result)
