"""Rows for `classify` and `regress`: features by name, as `tensorflow.Example` holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tfkit_serving.client.inputs import as_array
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import Example

Features: TypeAlias = dict[str, list[Any]]


def read_example(given: Any) -> Features:
    """The features of an example.

    Args:
        given: Values by feature name, each a number, a string or a list of either; or a serialized Example; or an
            Example message.

    Returns:
        Lists of int, float or bytes by name.

    Raises:
        ServingError: INVALID_ARGUMENT: it is none of these, or a feature's values are of no such kind.

    Example:
        >>> read_example({"age": 3, "word": "yes", "x": np.float32([0.5, 2])})
        {'age': [3], 'word': [b'yes'], 'x': [0.5, 2.0]}
    """
    if isinstance(given, Mapping):
        return {str(name): _values(value, f"the feature {name!r}") for name, value in given.items()}
    return _of_message(_parse(given) if isinstance(given, bytes) else given)


def to_example(features: Features) -> Any:
    """An Example message.

    Example:
        >>> to_example({"age": [3]}).features.feature["age"].int64_list.value
        [3]
    """
    message = Example()
    for name, values in features.items():
        message.features.feature[name].CopyFrom(_feature(values))
    return message


def read_examples(given: Iterable[Any]) -> list[Features]:
    """The features of each of the examples.

    Raises:
        ServingError: INVALID_ARGUMENT: they are no list of examples.
    """
    if isinstance(given, (Mapping, bytes, str)) or not isinstance(given, Iterable):
        raise _refusal("examples are a list, each the values by feature name; got one alone, or none")
    return [read_example(each) for each in given]


def _values(value: Any, what: str) -> list[Any]:
    array = as_array(value, what)
    if array.ndim > 1:
        raise _refusal(f"{what} has {array.ndim} dimensions; an example's features have one: give value.ravel()")
    flat = array.ravel()
    if flat.dtype.kind in "biu":
        return list(flat.astype(np.int64).tolist())
    if flat.dtype.kind in "cmM":
        raise _refusal(f"{what} is {flat.dtype.name}; an example's features are integers, floats or strings")
    return list(flat.tolist() if flat.dtype.kind == "O" else flat.astype(np.float64).tolist())


def _feature(values: list[Any]) -> Any:
    message = Example().features.feature["feature"]
    if not values:
        return message
    if isinstance(values[0], bytes):
        message.bytes_list.value.extend(values)
    elif isinstance(values[0], int):
        message.int64_list.value.extend(values)
    else:
        message.float_list.value.extend(values)
    return message


def _parse(serialized: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return Example.FromString(serialized)
    except DecodeError as error:
        raise _refusal(f"{len(serialized)} bytes are no serialized Example: {error}") from None


def _of_message(message: Any) -> Features:
    found: Features = {}
    try:
        for name, feature in message.features.feature.items():
            kind = feature.WhichOneof("kind")
            found[name] = [] if kind is None else list(getattr(feature, kind).value)
    except AttributeError:
        raise _refusal(
            f"an example is a mapping by feature name, or a tensorflow.Example; got {type(message).__name__}"
        ) from None
    return found


def _refusal(text: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", text)
