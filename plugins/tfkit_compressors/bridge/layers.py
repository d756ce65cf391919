"""One layer or operation of Keras 3 as a fresh tf_keras layer."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import keras

from tfkit.errors import ModelError
from tfkit.reasons import reason
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.operations import operation_twin

# Layers whose state is more than weights, or whose code is the user's own.
_REFUSED = {
    "Lambda": "its function belongs to Keras 3",
    "RNN": "its cell is an object of its own: use LSTM, GRU or SimpleRNN",
    "StackedRNNCells": "it is a cell",
    "TextVectorization": "its vocabulary is no weight",
    "StringLookup": "its vocabulary is no weight",
    "IntegerLookup": "its vocabulary is no weight",
    "TFSMLayer": "it is a SavedModel",
}
_WRAPPERS = ("Bidirectional", "TimeDistributed", "SpectralNormalization")
# What only says how a layer begins, or how it is computed and not what.
_DROPPED = ("dtype", "seed", "use_cudnn", "flash_attention", "autocast", "synchronized")
_RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
# Values that stand for what tf_keras always does.
_NEUTRAL = {"fill_mode": "constant", "fill_value": 0.0, "data_format": "channels_last"}
# Of one name and two meanings.
_OTHER_ACTIVATIONS = ("hard_sigmoid", "leaky_relu")


def twin(layer: Any) -> Any:
    """A new tf_keras layer that computes what a layer of Keras 3 does, once it has its weights.

    Args:
        layer: A layer that Keras 3 brings, or an operation of a Functional graph; no model.

    Raises:
        ModelError: tf_keras has no such layer; the text names it.

    Example:
        >>> dense = twin(keras.layers.Dense(3, activation="relu", name="out"))
        >>> dense.name, dense.units, dense.activation.__name__
        ('out', 3, 'relu')
    """
    if not isinstance(layer, keras.Layer):
        return operation_twin(layer)
    name = type(layer).__name__
    _check_known(layer, name)
    config = _translated(layer.get_config(), layer)
    if name in _WRAPPERS:
        config.update(_inner_twins(layer))
    try:
        return getattr(tfmot.tf_keras().layers, name)(**config)
    except Exception as error:
        raise refusal(layer, f"tf_keras does not take its configuration ({reason(error)})") from error


def refusal(layer: Any, why: str) -> ModelError:
    """The error that names a layer which cannot be carried."""
    return ModelError(f"{type(layer).__name__} {layer.name!r} cannot be carried to tf_keras: {why}")


def _check_known(layer: Any, name: str) -> None:
    if name in _REFUSED:
        raise refusal(layer, _REFUSED[name])
    if not type(layer).__module__.startswith("keras."):
        raise refusal(layer, "it is no layer of Keras's own, and its code knows Keras 3 alone")
    if not hasattr(tfmot.tf_keras().layers, name):
        raise refusal(layer, "tf_keras has no such layer")
    if getattr(layer, "quantization_mode", None):
        raise refusal(layer, f"it is quantized ({layer.quantization_mode})")


def _inner_twins(layer: Any) -> dict[str, Any]:
    """Of a wrapper the twins of what it wraps, before Keras renamed it."""
    config = layer.get_config()
    inner = {key: config[key] for key in ("layer", "backward_layer") if config.get(key) is not None}
    return {key: twin(keras.saving.deserialize_keras_object(value)) for key, value in inner.items()}


def _translated(config: dict[str, Any], layer: Any) -> dict[str, Any]:
    name = type(layer).__name__
    known = _arguments(getattr(tfmot.tf_keras().layers, name))
    made: dict[str, Any] = {"dtype": _policy(layer)}
    for given, value in config.items():
        key = _RENAMED.get((name, given), given)
        if key in _DROPPED or key.endswith("_initializer") or key in ("layer", "backward_layer"):
            continue
        if key in known:
            made[key] = _value(key, value, layer)
        elif value not in (None, False) and value != _NEUTRAL.get(key):
            raise refusal(layer, f"tf_keras knows no {key}={value!r} there")
    return made


def _arguments(layer: type) -> set[str]:
    own = [each for each in layer.__mro__ if "__init__" in vars(each) and each.__module__.startswith("tf_keras")]
    return {"name", "trainable"}.union(*(inspect.signature(each.__init__).parameters for each in own))


def _policy(layer: Any) -> Any:
    return tfmot.tf_keras().mixed_precision.Policy(layer.dtype_policy.name)


def _value(key: str, value: Any, layer: Any) -> Any:
    if key.endswith("activation"):
        return _activation(value)
    for kind, module in (("regularizer", "regularizers"), ("constraint", "constraints")):
        if key.endswith(kind):
            return _part(value, module)
    if isinstance(value, dict) and "class_name" in value:
        raise refusal(layer, f"its {key} is an object of Keras 3")
    return value


def _activation(value: Any) -> Any:
    """The activation's name where both libraries mean the same by it, else Keras 3's function, which takes tensors."""
    if value == "silu":
        return "swish"
    if not isinstance(value, str):
        return keras.activations.get(value)
    is_same = value not in _OTHER_ACTIVATIONS and hasattr(tfmot.tf_keras().activations, value)
    return value if is_same else _registered(value)


@functools.cache
def _registered(name: str) -> Any:
    """Keras 3's activation under a name of its own: tf_keras copies layers by the names in their configurations."""
    function = keras.activations.get(name)

    def activation(x: Any) -> Any:
        return function(x)

    activation.__name__ = f"keras3_{name}"
    return tfmot.tf_keras().utils.register_keras_serializable("tfkit", activation.__name__)(activation)


def _part(value: Any, module: str) -> Any:
    """A regularizer or constraint of tf_keras of the same name, else Keras 3's own, which takes tensors."""
    if value is None:
        return None
    same = getattr(getattr(tfmot.tf_keras(), module), value["class_name"], None)
    if same is not None and value.get("registered_name") is None:
        return same(**value["config"])
    return getattr(keras, module).deserialize(value)
