"""How a Keras 2 file was compiled, as arguments of Keras 3's `compile`."""

from __future__ import annotations

import inspect
from typing import Any

Config = dict[str, Any]
_LEARNING_RATE = "lr"  # until Keras 2.3


def compile_arguments(training: Config) -> Config:
    """What to pass to `compile`; the optimizer begins anew, since Keras 3 counts its slots otherwise.

    Args:
        training: What `training_config` of the file holds.

    Raises:
        Exception: Whatever Keras raises for a name or a setting that it does not know.

    Example:
        >>> old = {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.0}}, "loss": "mse"}
        >>> float(compile_arguments(old)["optimizer"].learning_rate)
        0.5
    """
    return {
        "optimizer": _optimizer(training["optimizer_config"]),
        "loss": _mapped(_loss, training.get("loss")),
        "metrics": _mapped(_metric, training.get("metrics")),
        "weighted_metrics": _mapped(_metric, training.get("weighted_metrics")),
        "loss_weights": training.get("loss_weights"),
    }


def _optimizer(row: Config) -> Any:
    import keras

    config = dict(row["config"])
    config.setdefault("learning_rate", config.pop(_LEARNING_RATE, None))
    kind = getattr(keras.optimizers, row["class_name"].rpartition(">")[2])
    if isinstance(config["learning_rate"], dict):
        config["learning_rate"] = keras.optimizers.schedules.deserialize(config["learning_rate"])
    elif config.get("decay"):
        schedule = keras.optimizers.schedules.InverseTimeDecay
        config["learning_rate"] = schedule(config["learning_rate"], 1, config["decay"])
    return kind(**_known(kind, config))


def _loss(given: Any) -> Any:
    import keras

    if isinstance(given, str) or given is None:
        keras.losses.get(given)  # compile would find out in the first step that there is none of that name
        return given
    config = dict(given["config"])
    if config.get("reduction") in ("auto", None):
        config["reduction"] = "sum_over_batch_size"
    kind = getattr(keras.losses, given["class_name"])
    return kind(**_known(kind, config))


def _metric(given: Any) -> Any:
    import keras

    if isinstance(given, str) or given is None:
        return given
    config = given["config"]
    if given["class_name"] != "MeanMetricWrapper":
        return keras.metrics.deserialize(given)
    try:
        keras.metrics.get(config["name"])
    except ValueError:
        fn = config["fn"]
        return fn["config"] if isinstance(fn, dict) else fn
    return config["name"]


def _known(kind: type, config: Config) -> Config:
    known = inspect.signature(kind).parameters
    return {key: value for key, value in config.items() if key in known}


def _mapped(function: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_mapped(function, each) for each in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _mapped(function, each) for key, each in value.items()}
    return function(value)
