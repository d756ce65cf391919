"""The losses of a compiled model: which crossentropy each is, functions around them, and what counts in their averages.

The one place that reads Keras's private list of losses.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.errors import ModelError

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


def require_loss(model: keras.Model) -> Any:
    """Returns what Keras makes of the loss that a model is compiled with.

    Raises:
        ModelError: It is compiled without one; the text says how to compile it.
    """
    compiled = model._compile_loss
    if compiled is None:
        raise ModelError(f"model {model.name!r} is compiled without a loss: call model.compile(optimizer=…, loss=…)")
    return compiled


def compiled_losses(model: keras.Model) -> list[CompiledLoss]:
    """The losses of a model that has computed one; Keras makes them with the first batch."""
    found = require_loss(model)._flat_losses
    return [CompiledLoss(tuple(each.path), each.loss, _weight(each.loss_weights)) for each in found]


def loss_trackers(model: keras.Model) -> list[keras.Metric]:
    """What logs the loss of each output of a model that has computed one; none where it has one output."""
    return list(model._compile_loss.metrics)


class _OnceBuilt:
    """What is put around parts of the compiled loss, now or as soon as Keras has made them."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._compiled = require_loss(model)
        self._around: list[tuple[Any, str, Function]] = []

    def install(self) -> None:
        """Puts it there."""
        wrap_method(self._compiled, "build", self._built)
        if self._compiled.built:
            self._wrap()

    def uninstall(self) -> None:
        """Takes it off."""
        remove_from_method(self._compiled, "build", self._built)
        for each in self._around:
            remove_from_method(*each)
        self._around = []

    def _built(self, build: Function, *args: Any) -> None:
        build(*args)
        self._wrap()

    def _wrap(self) -> None:
        raise NotImplementedError

    def _put(self, owner: Any, name: str, function: Function) -> None:
        wrap_method(owner, name, function)
        self._around.append((owner, name, function))


class LossesAround(_OnceBuilt):
    """Functions around the `call` of each loss of a model, which gives a loss for each row.

    Args:
        model: A compiled model.
        make: Called with a loss once Keras has made it; gives a function that is called as `function(call, y_true,
            y_pred)`, or raises a tfkit error where it can do nothing with the loss.

    Raises:
        ModelError: The model is compiled without a loss.
    """

    def __init__(self, model: keras.Model, make: Callable[[keras.Loss], Function]) -> None:
        super().__init__(model)
        self._make = make

    def _wrap(self) -> None:
        for each in compiled_losses(self._model):
            if all(each.loss is not loss for loss, *_ in self._around):  # one may be that of several outputs
                self._put(each.loss, "call", self._make(each.loss))


class LossShares(_OnceBuilt):
    """The share that a loss has in the averages of an epoch, which Keras keeps for each of several outputs.

    For a batch whose loss is computed in parts: Keras counts as many rows for each of them.

    Args:
        model: A model that is compiled with a loss.

    Raises:
        ModelError: It is compiled without one.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        # Replicas are traced in threads of their own.
        self._now = threading.local()

    @contextlib.contextmanager
    def share(self, share: Any) -> Iterator[None]:
        """Within it rows count as this share of a row, a scalar."""
        self._now.share = share
        try:
            yield
        finally:
            self._now.share = None

    def _wrap(self) -> None:
        for metric in loss_trackers(self._model):
            self._put(metric, "update_state", self._weighed)

    def _weighed(self, update: Function, value: Any, sample_weight: Any = None) -> Any:
        share = getattr(self._now, "share", None)
        if share is None:
            return update(value, sample_weight=sample_weight)
        # The number of rows, where it is known as the graph is made; else each batch counts as one.
        return update(value, sample_weight=share * (1 if sample_weight is None else sample_weight))


def _weight(weight: Any) -> float:
    return 1.0 if weight is None else float(weight)
