"""Copies of a compiled model, so that the one that was given stays as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tfkit.errors import ModelError
from tfkit.formats.keras_quantized import saving_hint
from tfkit.models import require_built, require_compiled
from tfkit.reasons import reason

_REGISTER = "register its custom layers with keras.saving.register_keras_serializable and give them get_config"


def compiled_copy(model: Any) -> Any:
    """A model with the same weights, compiled the same way with an optimizer that has done no step.

    Args:
        model: A built and compiled Keras model.

    Raises:
        ModelError: It is not built or compiled, or Keras cannot save and load it; the text says which layer.
    """
    require_compiled(require_built(model))
    copied = _saved_and_loaded(model)
    copied.compile(**_fresh_arguments(model))
    return copied


def recompiled(model: Any, source: Any, *, decay_steps: int | None = None, scale: float = 1.0) -> Any:
    """The model, compiled as the source is, with an optimizer that has done no step.

    Args:
        model: A built model with the source's outputs.
        source: A compiled model.
        decay_steps: Updates over which the learning rate falls to 0 along a cosine; None for the source's own
            rate or schedule.
        scale: What the largest rate is multiplied by, where it decays.
    """
    arguments = _fresh_arguments(source)
    if decay_steps is not None:
        arguments["optimizer"] = _decaying(source.optimizer, decay_steps, scale)
    model.compile(**arguments)
    return model


def _decaying(optimizer: Any, steps: int, scale: float) -> Any:
    import keras

    config = optimizer.get_config()
    if "learning_rate" not in config:  # a wrapper, such as that of loss scaling
        return _fresh(optimizer)
    rate = scale * _largest_rate(config["learning_rate"], int(optimizer.iterations))
    return type(optimizer).from_config(
        {**config, "learning_rate": keras.optimizers.schedules.CosineDecay(rate, max(1, steps))}
    )


def _largest_rate(rate: Any, steps: int) -> float:
    """A rate, or the largest that a schedule has given so far: a cosine begins from it."""
    import keras

    if isinstance(rate, dict):
        rate = keras.optimizers.schedules.deserialize(rate)
    if not callable(rate):
        return float(rate)
    return max(float(rate(steps * part // 20)) for part in range(21))


def saved(model: Any, path: Path) -> Path:
    """Saves a compiled model; what has never trained loads with a warning unless its optimizer is built."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.save(path)
    return path


def _saved_and_loaded(model: Any) -> Any:
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        try:
            model.save(path)
            copied = keras.models.load_model(path, compile=False)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(
                f"model {model.name!r} cannot be copied, since Keras cannot save and load {_why_not(model, error)}"
            ) from error
    _require_vocabularies(model, copied)
    return copied


def _require_vocabularies(model: Any, copied: Any) -> None:
    """Raises where a copy has other words: Keras saves them as lines of text, so one with a line break becomes two."""
    for one, other in zip(model._flatten_layers(), copied._flatten_layers()):
        if hasattr(one, "get_vocabulary") and one.get_vocabulary() != other.get_vocabulary():
            raise ModelError(
                f"model {model.name!r} cannot be copied, since Keras saves the vocabulary of its layer {one.name!r} as "
                "lines of text, and words in it hold line breaks: give it the words as vocabulary=[…]"
            )


def _why_not(model: Any, error: Exception) -> str:
    """The layers that cannot be made from their own config, by name; else what the error says."""
    hint = saving_hint(model)
    if hint is not None:
        return f"it: {hint}"
    found = [f"its layer {each.name!r} ({type(each).__name__})" for each in model.layers if not _is_reloadable(each)]
    return f"{', '.join(found) or f'it: {reason(error)}'}; {_REGISTER}"


def _is_reloadable(layer: Any) -> bool:
    import keras

    try:
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    except (TypeError, ValueError, NotImplementedError):
        return False
    return True


def _fresh_arguments(model: Any) -> dict[str, Any]:
    """The arguments of the model's compile(), with a new optimizer and new metrics."""
    arguments = dict(model._compile_config.config)
    for name in ("optimizer", "metrics", "weighted_metrics"):
        arguments[name] = _fresh(arguments.get(name))
    return arguments


def _fresh(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _fresh(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fresh(each) for each in value]
    if hasattr(value, "get_config") and hasattr(type(value), "from_config"):
        return type(value).from_config(value.get_config())
    return value
