"""Preprocessing inside of an exported model, so that clients send raw rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tfkit.data import as_arrays
from tfkit.errors import DataError, ModelError
from tfkit.nests import map_leaves
from tfkit.reasons import reason

# Keras layers that turn raw values into what a network computes with, by their class.
_LAYERS = frozenset(
    {"CategoryEncoding", "CenterCrop", "Discretization", "FeatureSpace", "HashedCrossing", "Hashing", "IntegerLookup"}
    | {"MelSpectrogram", "Normalization", "Rescaling", "Resizing", "STFTSpectrogram", "StringLookup"}
    | {"TextVectorization"}
)


def preprocessing_layers(model: Any) -> list[str]:
    """The classes of the layers inside a model that take raw values, in the order in which it holds them.

    Example:
        >>> import keras
        >>> preprocessing_layers(keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(2.0)]))
        ['Rescaling']
    """
    return list(_found(model))


def _found(layer: Any) -> Iterator[str]:
    """The layer's own class, or those inside of it; the StringLookup of a TextVectorization goes without saying."""
    name = type(layer).__name__
    if name in _LAYERS:
        yield name
        return
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        yield from _found(inner)


def with_preprocessing(preprocess: Any, model: Any, sample: Any) -> Any:
    """A model that takes what the preprocessing takes and gives what the model gives, under the same names.

    Args:
        preprocess: A Keras layer or model, adapted where it has to be; its output is the model's input.
        model: A built Keras model; it stays as it is, and shares its weights.
        sample: Raw rows, as the preprocessing takes them; it is not needed where that is a model with inputs.

    Raises:
        DataError: There is no sample to tell the raw input's dtype and shape.
        ModelError: The preprocessing cannot be called on the rows, or the model not on what it gives.
    """
    import keras

    from tfkit.formats.named_model import NamedModel

    if not isinstance(preprocess, keras.Layer):
        raise ModelError(f"preprocess= must be a Keras layer or model; got {type(preprocess).__name__}")
    raw = _raw_input(preprocess, sample)
    try:
        given = model(_fitted(preprocess(raw), model))
    except Exception as error:
        raise ModelError(f"model {model.name!r} cannot take what preprocess= gives: {reason(error)}") from error
    names = [each.name for each in NamedModel(model).signature.outputs]
    return keras.Model(raw, dict(zip(names, keras.tree.flatten(given), strict=True)), name=model.name)


def _fitted(given: Any, model: Any) -> Any:
    """What the preprocessing gives, in the model's shape where it has as many values.

    Keras 3 declares (batch, 1, vocabulary) for a TextVectorization that computes (batch, vocabulary).
    """
    import keras

    inputs: list[Any] = list(getattr(model, "inputs", None) or ())
    if len(inputs) != 1 or isinstance(given, (dict, list, tuple)):
        return given
    wanted, found = tuple(inputs[0].shape[1:]), tuple(given.shape[1:])
    if wanted == found or None in (*wanted, *found) or math.prod(wanted) != math.prod(found):
        return given
    return keras.layers.Reshape(wanted)(given)


def _raw_input(preprocess: Any, sample: Any) -> Any:
    import keras

    if getattr(preprocess, "inputs", None):
        return preprocess.input if hasattr(preprocess, "output_names") else preprocess.inputs[0]
    if sample is None:
        raise DataError("preprocess= takes raw rows, whose dtype and shape are not known: pass sample= real rows")
    arrays = as_arrays(sample)
    if isinstance(arrays, dict):
        return {name: keras.Input(**_spec(array), name=str(name)) for name, array in arrays.items()}
    return map_leaves(lambda array: keras.Input(**_spec(array)), arrays)


def _spec(array: Any) -> dict[str, Any]:
    import keras

    kinds = {"f": keras.config.floatx(), "U": "string", "S": "string", "O": "string"}
    shape = array.shape[1:] or (1,)  # as Keras does with rows of one value
    return {"shape": shape, "dtype": kinds.get(array.dtype.kind, array.dtype.name)}
