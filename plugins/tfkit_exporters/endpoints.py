"""The signatures `classify` and `regress`: a model called on serialized tf.Example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfkit.errors import ParameterError
from tfkit.formats.named_model import NamedModel
from tfkit.formats.purpose import classes, is_scalar
from tfkit.formats.signature import Tensor

# The one input of both, by the name that TensorFlow Serving looks for.
INPUT = "inputs"
Endpoint = Callable[[Any], dict[str, Any]]


def endpoints(model: NamedModel, wanted: tuple[str, ...] | None) -> dict[str, Endpoint]:
    """The functions to add to a model's signatures, by their names.

    Args:
        model: The model.
        wanted: "classify", "regress"; None for those that the model fits.

    Returns:
        Functions of a string tensor of serialized tf.Example, shape (batch,). `classify` gives `classes` (string) and
        `scores` (float32), both (batch, classes), in the order of the model's scores; `regress` gives `outputs`,
        float32 of shape (batch,). The examples' features have the names of the model's inputs.

    Raises:
        ParameterError: The model does not fit what is wanted; the text says why.
    """
    obstacles = {"classify": _not_classifying(model), "regress": _not_regressing(model)}
    if wanted is None:
        task = model.purpose.task
        own = {"classification": "classify", "regression": "regress"}.get(task or "")
        wanted = (own,) if own and obstacles[own] is None else ()
    for name in wanted:
        if obstacles[name]:
            raise ParameterError(f"model {model.keras.name!r} cannot have the signature {name!r}: {obstacles[name]}")
    made = {"classify": _classify, "regress": _regress}
    return {name: made[name](model) for name in wanted}


def example_of(model: NamedModel, row: Mapping[str, Any]) -> Any:
    """A row as a `tf.train.Example` that the endpoints take.

    Args:
        model: The model.
        row: Arrays by name, each of one row: shape (1, …).
    """
    example = tf.train.Example()
    for tensor in model.signature.inputs:
        values, feature = row[tensor.name].reshape(-1), example.features.feature[tensor.name]
        kind = _feature_dtype(tensor)
        if kind == tf.string:
            feature.bytes_list.value.extend(tf.compat.as_bytes(each) for each in values)
        elif kind == tf.int64:
            feature.int64_list.value.extend(values.astype("int64"))
        else:
            feature.float_list.value.extend(values.astype("float32"))
    return example


def _not_classifying(model: NamedModel) -> str | None:
    output = model.purpose.output
    if output is None:
        return "it takes one output of floats, a score for each class"
    return "the number of its classes is open" if classes(output) is None else _not_parsing(model)


def _not_regressing(model: NamedModel) -> str | None:
    output = model.purpose.output
    return _not_parsing(model) if output is not None and is_scalar(output) else "it takes one output of one float"


def _not_parsing(model: NamedModel) -> str | None:
    """Why a tf.Example, which holds flat lists of strings, integers or floats, does not carry an input."""
    for tensor in model.signature.inputs:
        if tensor.dtype.startswith("complex"):
            return f"a tf.Example holds no {tensor.dtype}, which {tensor.name!r} is"
        if None in tensor.shape[2:]:
            return f"the shape of {tensor.name!r} is open beyond its first axis: {tensor.shape}"
    return None


def _classify(model: NamedModel) -> Endpoint:
    purpose = model.purpose
    assert purpose.output is not None
    name, count = purpose.output.name, classes(purpose.output)
    labels = tf.constant(purpose.labels or [str(number) for number in range(count or 0)])

    width = 1 if is_scalar(purpose.output) else count

    def classify(examples: Any) -> dict[str, Any]:
        given = tf.cast(model(_parsed(model, examples))[name], tf.float32)
        scores = _probabilities(tf.reshape(given, (-1, width)), purpose.scores == "logits")
        return {"classes": tf.tile(labels[None], (tf.shape(examples)[0], 1)), "scores": scores}

    return classify


def _probabilities(scores: Any, are_logits: bool) -> Any:
    """A score for each class, where the model may give that of the second of two alone."""
    if scores.shape[1] != 1:
        return tf.nn.softmax(scores) if are_logits else scores
    second = tf.sigmoid(scores) if are_logits else scores
    return tf.concat([1.0 - second, second], axis=1)


def _regress(model: NamedModel) -> Endpoint:
    assert model.purpose.output is not None
    name = model.purpose.output.name

    def regress(examples: Any) -> dict[str, Any]:
        given = tf.cast(model(_parsed(model, examples))[name], tf.float32)
        return {"outputs": tf.reshape(given, (-1,))}

    return regress


def _parsed(model: NamedModel, examples: Any) -> dict[str, Any]:
    features = {tensor.name: _feature(tensor) for tensor in model.signature.inputs}
    tensors = tf.io.parse_example(examples, features)
    return {tensor.name: tf.cast(tensors[tensor.name], tensor.dtype) for tensor in model.signature.inputs}


def _feature(tensor: Tensor) -> Any:
    dtype, shape = _feature_dtype(tensor), tensor.shape[1:]
    if shape and shape[0] is None:
        return tf.io.FixedLenSequenceFeature(shape[1:], dtype, allow_missing=True)
    return tf.io.FixedLenFeature(shape, dtype)


def _feature_dtype(tensor: Tensor) -> Any:
    if tensor.dtype == "string":
        return tf.string
    return tf.float32 if "float" in tensor.dtype else tf.int64
