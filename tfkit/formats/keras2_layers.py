"""Keras 2's configurations of layers in the words of Keras 3."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tfkit.errors import ModelError

Config = dict[str, Any]
# From the entry of a layer or model to its entry as Keras 3 reads it.
Translate = Callable[[Config], Config]

_HARD_SIGMOID = {
    "module": "tfkit.formats.keras2_activations",
    "class_name": "HardSigmoid",
    "config": {},
    "registered_name": "tfkit>HardSigmoid",
}
_ANY = object()
# Arguments that Keras 3 has not, and the value at which nothing is lost without them.
_WITHOUT = {
    "autocast": _ANY,
    "batch_input_shape": _ANY,
    "batch_size": _ANY,
    "dynamic": False,
    "experimental_run_tf_function": _ANY,
    "filters": None,
    "fused": _ANY,
    "groups": 1,
    "implementation": _ANY,
    "input_dim": _ANY,
    "input_length": _ANY,
    "input_shape": _ANY,
    "key_shape": _ANY,
    "query_shape": _ANY,
    "renorm": False,
    "reverse_state_order": False,
    "softmax_robust_masking": False,
    "time_major": False,
    "type_spec": _ANY,
    "value_shape": _ANY,
    "virtual_batch_size": None,
}
# Every convolution wrote these, also those whose kernels have other names.
_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_OTHER_KERNELS = ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
_BASE = {"name", "trainable", "dtype", "activity_regularizer"}
# A Lambda's arguments are Keras's own affair.
_AS_THEY_ARE = ("Lambda", "TextVectorization", "StringLookup", "IntegerLookup")
# Arguments that are a layer, or a list of them: what wrappers call, and the cells of recurrent layers.
_LAYERS = ("layer", "backward_layer", "cell", "cells")
_GONE = {
    "TFOpLambda": "a TensorFlow function in a graph of Keras 2",
    "SlicingOpLambda": "a slice in a graph of Keras 2",
    "TensorFlowOpLayer": "a TensorFlow operation in a graph of Keras 2",
    "LocallyConnected1D": "which Keras 3 has not",
    "LocallyConnected2D": "which Keras 3 has not",
    "CuDNNLSTM": "which Keras 3 has not",
    "CuDNNGRU": "which Keras 3 has not",
    "DenseFeatures": "which Keras 3 has not",
}


def modern_layer(layer: Config, inside: Translate | None = None) -> Config:
    """A layer's entry in a model's configuration as Keras 3 reads it.

    Args:
        layer: The entry: class_name, config, and what else stands there, which stays.
        inside: Translates the entries of layers in it, which may be models; None takes them for layers.

    Raises:
        ModelError: Keras 3 has no such layer, or has not what it is set to; the text names it.

    Example:
        >>> old = {"class_name": "DepthwiseConv2D", "config": {"name": "depth", "kernel_size": [3, 3], "groups": 1}}
        >>> modern_layer(old)["config"]
        {'name': 'depth', 'kernel_size': [3, 3]}
    """
    name, config = layer["class_name"], dict(layer["config"])
    if name in _GONE:
        raise ModelError(
            f"the layer {config.get('name')!r} is a {name}, {_GONE[name]}: open the file with tf_keras, "
            "and export the model as a SavedModel"
        )
    if name in _RENAMED:
        name, config = _RENAMED[name](config)
    if name not in _AS_THEY_ARE:
        config = _known(name, config)
    values = {key: _value(key, value, inside or modern_layer) for key, value in config.items()}
    return {**layer, "class_name": name, "config": values}


def modern_input(config: Config) -> Config:
    """The configuration of an InputLayer as Keras 3 reads it."""
    kept = {key: config[key] for key in ("name", "dtype", "sparse", "ragged", "batch_shape") if config.get(key)}
    if "batch_input_shape" in config:
        kept["batch_shape"] = config["batch_input_shape"]
    return kept


def _known(name: str, config: Config) -> Config:
    """Without the arguments that Keras 3's class has not, where that changes nothing."""
    import keras

    known = getattr(keras.layers, name, None)
    if known is None:
        return config  # the user's own layer
    arguments = _arguments(known)
    dropped = {**_WITHOUT, **(dict.fromkeys(_KERNEL, _ANY) if name in _OTHER_KERNELS else {})}
    kept = {}
    for key, value in config.items():
        if key in arguments:
            kept[key] = value
        elif key not in dropped or (dropped[key] is not _ANY and value != dropped[key]):
            raise ModelError(
                f"the layer {config.get('name')!r} ({name}) has {key}={value!r}, which Keras 3 has not: "
                "open the file with tf_keras, and export the model as a SavedModel"
            )
    return kept


def _arguments(layer: type) -> set[str]:
    own = [each for each in layer.__mro__ if "__init__" in vars(each)]
    return _BASE.union(*(inspect.signature(each.__init__).parameters for each in own))  # type: ignore[misc]


def _value(key: str, value: Any, inside: Translate) -> Any:
    if key.endswith("activation") and _function_name(value) == "hard_sigmoid":
        return _HARD_SIGMOID
    if key == "dtype" and isinstance(value, dict):
        return value["config"]["name"]
    if key in _LAYERS and isinstance(value, (dict, list)):
        return inside(value) if isinstance(value, dict) else [inside(each) for each in value]
    if key == "axis" and isinstance(value, list) and len(value) == 1:
        return value[0]
    return value


def _function_name(value: Any) -> Any:
    return value.get("config") if isinstance(value, dict) else value


def _leaky_relu(config: Config) -> tuple[str, Config]:
    made = {**config, "negative_slope": config.get("alpha", config.get("negative_slope"))}
    made.pop("alpha", None)
    return "LeakyReLU", made


def _thresholded_relu(config: Config) -> tuple[str, Config]:
    made = {**config, "threshold": config["theta"]}
    del made["theta"]
    return "ReLU", made


def _sync_batch_normalization(config: Config) -> tuple[str, Config]:
    return "BatchNormalization", {**config, "synchronized": True}


_RENAMED: dict[str, Callable[[Config], tuple[str, Config]]] = {
    "LeakyReLU": _leaky_relu,
    "ThresholdedReLU": _thresholded_relu,
    "SyncBatchNormalization": _sync_batch_normalization,
    "BatchNormalizationV1": lambda config: ("BatchNormalization", config),
}
