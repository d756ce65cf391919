"""What TFMOT's three ways to compress have in common: wrappers around layers, and their refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfkit.errors import ModelError
from tfkit.nests import leaves
from tfkit.reasons import reason
from tfkit.replay import inputs_like
from tfkit_compressors import tfmot


def wrapped_clone(legacy: Any, wrap: Callable[[Any], Any], api: str) -> Any:
    """A clone of a tf_keras model in which each layer with weights is in a wrapper, nested models too.

    Args:
        legacy: The model; the clone holds its layers.
        wrap: Of a layer to its wrapper, or the layer itself.
        api: The TFMOT function that wraps, for an error's text.

    Raises:
        ModelError: TFMOT refuses a layer; the text names it.
    """

    def clone(layer: Any) -> Any:
        if isinstance(layer, tfmot.tf_keras().Model):
            return wrapped_clone(layer, wrap, api)
        if not layer.weights:
            return layer
        try:
            return wrap(layer)
        except (ValueError, AttributeError, NotImplementedError, tf.errors.InvalidArgumentError) as error:
            raise ModelError(f"TFMOT's {api} refuses {type(layer).__name__} {layer.name!r}: {reason(error)}") from error

    return tfmot.tf_keras().models.clone_model(legacy, clone_function=clone)


def flat_layers(legacy: Any) -> Iterator[Any]:
    """The layers of a tf_keras model, those of nested models in their place."""
    for layer in legacy.layers:
        if isinstance(layer, tfmot.tf_keras().Model):
            yield from flat_layers(layer)
        else:
            yield layer


class Inside(keras.layers.Layer):
    """A tf_keras model as a layer of a Keras 3 model: for what reads Keras 3 models, such as the LiteRT converter.

    Args:
        legacy: The tf_keras model.
        **kwargs: As for any layer.
    """

    def __init__(self, legacy: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.legacy = legacy

    def call(self, inputs: Any) -> Any:
        return self.legacy(inputs, training=False)


def as_keras(model: Any, legacy: Any) -> keras.Model:
    """A Keras 3 model that computes what a tf_keras model does, with the names of another's inputs and outputs.

    Args:
        model: The Keras 3 model whose names it takes.
        legacy: A tf_keras model that takes and gives what that does.
    """
    inputs = inputs_like(model, lambda tensor: tensor.shape)
    if isinstance(model, keras.Sequential):
        (inputs,) = keras.tree.flatten(inputs)
    outputs = Inside(legacy, name="tf_keras", dtype="float32", autocast=False)(inputs)
    names = iter(getattr(model, "output_names", None) or [model.layers[-1].name])
    if len(leaves(outputs)) == 1 and not isinstance(outputs, dict):
        outputs = keras.layers.Identity(name=next(names))(outputs)
    return keras.Model(inputs, outputs, name=model.name)
