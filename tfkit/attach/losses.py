"""The losses of a compiled model: which crossentropy each is, and functions around them.

The one place that reads Keras's private list of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from tfkit.attach.methods import remove_from_method, wrap_method

Function = Callable[..., Any]

_LABELS: dict[str, Literal["ids", "one-hot", "binary"]] = {
    "sparse_categorical_crossentropy": "ids",
    "categorical_crossentropy": "one-hot",
    "categorical_focal_crossentropy": "one-hot",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
}


@dataclass(frozen=True)
class Crossentropy:
    """What a crossentropy is of.

    Attributes:
        labels: "ids" of classes, "one-hot" rows, or "binary" for labels that are each true or not.
        from_logits: Whether predictions are logits.
        axis: The axis of classes.
    """

    labels: Literal["ids", "one-hot", "binary"]
    from_logits: bool
    axis: int


def crossentropy_of(loss: keras.Loss) -> Crossentropy | None:
    """What a loss is of, if it is one of Keras's crossentropies, focal ones too; else None.

    Example:
        >>> crossentropy_of(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        Crossentropy(labels='ids', from_logits=True, axis=-1)
        >>> crossentropy_of(keras.losses.Huber()) is None
        True
    """
    labels = _LABELS.get(loss_name(loss))
    if labels is None:
        return None
    return Crossentropy(labels, bool(getattr(loss, "from_logits", False)), getattr(loss, "axis", -1))


def loss_name(loss: Any) -> str:
    """The name of the function that a loss computes, else of its class."""
    return str(getattr(getattr(loss, "fn", None), "__name__", type(loss).__name__))


def loss_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What `compute_loss` is called with, by the names of its arguments; those left out are missing.

    Example:
        >>> loss_arguments((1, 2, 3), {"training": False})
        {'x': 1, 'y': 2, 'y_pred': 3, 'training': False}
    """
    return dict(zip(("x", "y", "y_pred", "sample_weight", "training"), args)) | dict(kwargs)


def call_loss(compute_loss: Function, given: Mapping[str, Any], **changed: Any) -> Any:
    """Calls a `compute_loss` as Keras does, by position, so that its arguments may have other names.

    Args:
        compute_loss: The method.
        given: Arguments as from `loss_arguments`.
        **changed: Those that are others.
    """
    every = {**given, **changed}
    training = {"training": every["training"]} if "training" in every else {}
    return compute_loss(every.get("x"), every.get("y"), every.get("y_pred"), every.get("sample_weight"), **training)


@dataclass(frozen=True)
class CompiledLoss:
    """The loss of one output.

    Attributes:
        path: Where the output is in the model's outputs; empty for the only one.
        loss: It.
        weight: What it is multiplied by.
    """

    path: tuple[Any, ...]
    loss: keras.Loss
    weight: float

    def of(self, structure: Any) -> Any:
        """What a nest of the model's outputs, or of what belongs to each, has for this one."""
        for each in self.path:
            structure = structure[each] if keras.tree.is_nested(structure) else structure
        return structure


def compiled_losses(model: keras.Model) -> list[CompiledLoss]:
    """The losses of a model that has computed one; Keras makes them with the first batch."""
    found = model._compile_loss._flat_losses
    return [CompiledLoss(tuple(each.path), each.loss, _weight(each.loss_weights)) for each in found]


class LossesAround:
    """Functions around the `call` of each loss of a model, which gives a loss for each row.

    Args:
        model: A compiled model.
        make: Called with a loss once Keras has made it; gives a function that is called as `function(call, y_true,
            y_pred)`, or raises a tfkit error where it can do nothing with the loss.
    """

    def __init__(self, model: keras.Model, make: Callable[[keras.Loss], Function]) -> None:
        self._compiled = model._compile_loss
        self._make = make
        self._model = model
        self._around: list[tuple[keras.Loss, Function]] = []

    def install(self) -> None:
        """Puts them there, now or as soon as there are losses."""
        wrap_method(self._compiled, "build", self._built)
        if self._compiled.built:
            self._wrap()

    def uninstall(self) -> None:
        """Takes them off."""
        remove_from_method(self._compiled, "build", self._built)
        for loss, function in self._around:
            remove_from_method(loss, "call", function)
        self._around = []

    def _built(self, build: Function, *args: Any) -> None:
        build(*args)
        self._wrap()

    def _wrap(self) -> None:
        for each in compiled_losses(self._model):
            if any(each.loss is loss for loss, _ in self._around):
                continue  # one for several outputs
            function = self._make(each.loss)
            wrap_method(each.loss, "call", function)
            self._around.append((each.loss, function))


def _weight(weight: Any) -> float:
    return 1.0 if weight is None else float(weight)
