"""The outputs of a compiled model: what each is a prediction of, and whether it is logits or probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tfkit.errors import ModelError
from tfkit_compressors.distillation.ends import end_activation

SOFTMAX, SIGMOID, REGRESSION = "softmax", "sigmoid", "regression"
_TASKS = {
    **dict.fromkeys(("sparse_categorical_crossentropy", "categorical_crossentropy", "kl_divergence"), SOFTMAX),
    "categorical_focal_crossentropy": SOFTMAX,
    **dict.fromkeys(("binary_crossentropy", "binary_focal_crossentropy"), SIGMOID),
    **dict.fromkeys(("mean_squared_error", "mean_absolute_error", "huber", "log_cosh"), REGRESSION),
    **dict.fromkeys(("mean_absolute_percentage_error", "mean_squared_logarithmic_error"), REGRESSION),
}


@dataclass(frozen=True)
class Head:
    """One output of a model.

    Attributes:
        name: Its name.
        task: "softmax" for one class of many, "sigmoid" for labels that are each true or not, "regression" for
            values, None where the loss says none of these.
        is_logits: Whether it is logits; None where that is not known.
        reduction: How its loss is reduced over rows, as Keras names it.
        weight: What its loss is multiplied by.
        ignored: The class id whose rows do not count, or None.
        loss: What its loss is called.
    """

    name: str
    task: str | None
    is_logits: bool | None
    reduction: str | None = "sum_over_batch_size"
    weight: float = 1.0
    ignored: int | None = None
    loss: str = ""


def heads(model: Any) -> list[Head | None]:
    """The outputs of a model, in the order of `keras.tree.flatten`; None for one that has no loss.

    Args:
        model: A built model; one that is not compiled has heads without a task.

    Raises:
        ModelError: A loss and the model's last activation contradict each other, or losses do not go with outputs.
    """
    names = output_names(model)
    if not model.compiled:
        return [Head(name, None, _by_activation(model, index)) for index, name in enumerate(names)]
    config = model._compile_config.config
    losses = _each(config.get("loss"), names, "loss", model)
    weights = _each(config.get("loss_weights"), names, "loss_weights", model)
    found = zip(names, losses, weights)
    return [None if loss is None else _head(model, i, name, loss, w) for i, (name, loss, w) in enumerate(found)]


def output_names(model: Any) -> list[str]:
    """The names of a model's outputs; a subclassed model is taken to have as many as its losses."""
    if isinstance(model, keras.Sequential) and model.layers:
        return [model.layers[-1].name]
    if getattr(model, "outputs", None):
        return sorted(model.output) if isinstance(model.output, dict) else list(model.output_names)
    loss = model.loss if model.compiled else None
    if isinstance(loss, dict):
        return sorted(loss)
    return [f"output_{i}" for i in range(len(loss))] if isinstance(loss, (list, tuple)) else ["output"]


def per_output(structure: Any, names: list[str]) -> list[Any]:
    """What a dict, a list or a single value says of each output; None for those that a dict leaves out."""
    if isinstance(structure, dict):
        return [structure.get(name) for name in names]
    if isinstance(structure, (list, tuple)):
        return list(structure)
    return [structure] * len(names)


def _each(structure: Any, names: list[str], what: str, model: Any) -> list[Any]:
    found = per_output(structure, names)
    if len(found) == len(names):
        return found
    raise ModelError(
        f"model {model.name!r} has {len(names)} outputs ({', '.join(names)}) and {len(found)} {what}: give one for each"
    )


def _head(model: Any, index: int, name: str, loss: Any, weight: float | None) -> Head:
    resolved, called = _resolved(model, index, loss)
    task = _TASKS.get(called)
    is_logits = _by_activation(model, index) if task is None else getattr(resolved, "from_logits", False)
    if task in (SOFTMAX, SIGMOID) and not is_logits and end_activation(model, index) == "linear":
        raise ModelError(
            f"the output {name!r} of model {model.name!r} ends without an activation, and its loss {called} takes it "
            "for probabilities: compile with from_logits=True, or end in a softmax or sigmoid"
        )
    if getattr(resolved, "axis", -1) != -1:
        raise ModelError(f"the loss {called} of output {name!r} has axis={resolved.axis}: distill takes the last, -1")
    return Head(
        name=name,
        task=task,
        is_logits=None if task == REGRESSION else is_logits,
        reduction=getattr(resolved, "reduction", "sum_over_batch_size"),
        weight=1.0 if weight is None else float(weight),
        ignored=getattr(resolved, "ignore_class", None),
        loss=called,
    )


def _resolved(model: Any, index: int, loss: Any) -> tuple[Any, str]:
    """The loss object and the name of its function."""
    if str(loss).lower() in ("crossentropy", "ce"):
        labels = getattr(model, "outputs", None) and model.outputs[index].shape[-1] == 1
        loss = "binary_crossentropy" if labels else "categorical_crossentropy"
    resolved = keras.losses.get(loss)
    function = getattr(resolved, "fn", resolved)
    return resolved, getattr(function, "__name__", type(function).__name__)


def _by_activation(model: Any, index: int) -> bool | None:
    known = {"linear": True, "softmax": False, "sigmoid": False}
    return known.get(end_activation(model, index) or "")
