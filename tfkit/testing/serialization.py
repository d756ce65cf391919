"""Checks of the kinds that Keras saves with a model: metric, schedule, regularizer."""

from __future__ import annotations

import json

from tfkit.registry import Plugin
from tfkit.testing.examples import make, require, workable


def serialized_by_keras(plugin: Plugin) -> None:
    """`keras.saving` writes each example's object as JSON and reads back one of the same class and config."""
    import keras

    for example in workable(plugin):
        made = make(plugin, example)
        written = json.loads(json.dumps(keras.saving.serialize_keras_object(made)))
        read = keras.saving.deserialize_keras_object(written)
        require(type(read) is type(made), f"{dict(example)} comes back as a {type(read).__name__}")
        again = json.loads(json.dumps(keras.saving.serialize_keras_object(read)))
        require(again == written, f"{dict(example)} comes back with other parameters: {again} was {written}")


def config_holds_the_parameters(plugin: Plugin) -> None:
    """`get_config` holds each parameter that an example gives, with its value."""
    for example in workable(plugin):
        config = make(plugin, example).get_config()
        for name, value in example.items():
            require(name in config, f"get_config() lacks the parameter {name!r}")
            require(_same(config[name], value), f"get_config() has {name}={config[name]!r}; it was given {value!r}")


def _same(kept: object, given: object) -> bool:
    return bool(list(kept) == list(given) if isinstance(kept, (tuple, list)) else kept == given)  # type: ignore[call-overload]


CHECKS = (serialized_by_keras, config_holds_the_parameters)
