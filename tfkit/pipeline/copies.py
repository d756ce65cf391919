"""Copies of a compiled model, so that the one that was given stays as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tfkit.errors import ModelError
from tfkit.models import require_built, require_compiled
from tfkit.reasons import reason


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


def _saved_and_loaded(model: Any) -> Any:
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        try:
            model.save(path)
            return keras.models.load_model(path, compile=False)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(
                f"model {model.name!r} cannot be copied, since Keras cannot save and load it: {reason(error)}; "
                "register its custom layers with keras.saving.register_keras_serializable and give them get_config"
            ) from error


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
