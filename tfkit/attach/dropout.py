"""Dropout rates of a built model, scaled for as long as something trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from tfkit.attach.variables import layers_in

# Where Keras keeps a rate that a layer reads while it is traced.
_RATES = ("rate", "dropout", "recurrent_dropout")
_LAYERS = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.AlphaDropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


@contextlib.contextmanager
def scaled_dropout(model: keras.Model, factor: float) -> Iterator[None]:
    """Multiplies every dropout rate of a model, in attention and recurrent layers too, and puts them back at the end.

    A function that Keras has traced keeps the rates of that moment: compile the model inside, and again after.

    Args:
        model: A built model.
        factor: From 0, which drops nothing, to 1.

    Example:
        >>> layer = keras.layers.Dropout(0.5)
        >>> with scaled_dropout(keras.Sequential([keras.Input((2,)), layer]), 0.4):
        ...     layer.rate
        0.2
        >>> layer.rate
        0.5
    """
    before = list(dropout_places(model))
    try:
        for layer, name, rate in before:
            setattr(layer, name, factor * rate)
        yield
    finally:
        for layer, name, rate in before:
            setattr(layer, name, rate)


def rates(model: keras.Model) -> list[float]:
    """The dropout rates of a model, in the order of its layers."""
    return [rate for _, _, rate in dropout_places(model)]


def dropout_places(model: keras.Model) -> Iterator[tuple[Any, str, float]]:
    """Every place of a model that can drop: its layer, the name of the attribute, and the rate that it has.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5, name="drop")])
        >>> [(layer.name, name, rate) for layer, name, rate in dropout_places(model)]
        [('drop', 'rate', 0.5)]
    """
    for layer in layers_in(model):
        # A recurrent layer's rates are those of its cell.
        if isinstance(layer, _LAYERS) or hasattr(layer, "get_dropout_mask"):
            yield from ((layer, name, vars(layer)[name]) for name in _RATES if name in vars(layer))
