"""Dropout rates of a built model for one fit, and dropout where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

import tfkit
from tfkit.attach.attached import Attached
from tfkit.attach.dropout import dropout_places
from tfkit.attach.variables import layers_in, layers_named
from tfkit.graph import Call, Tensor, flattened, has_graph
from tfkit.models import require_compiled
from tfkit_callbacks.noise.inserted import InsertedLayers


class DropoutRate(Attached):
    """Trains with this dropout rate wherever a model drops, and puts the rates that it had back after the fit.

    Dropout layers of any kind get it, and recurrent and attention layers that have a rate above 0. In a model with
    none of these, dropout stands before each layer with a kernel but the first ones: what it reads are the units of
    layers before it, after their activation. Saved in the fit, the model has the rates of the fit, and not
    what was inserted.

    Args:
        rate: Share of the units that are dropped, in [0, 1).
        exclude: Layers to leave as they are, with all that is in them, by name or type.
        seed: Of the dropout that is inserted.

    Attributes:
        dropped: Once a fit has begun: names of the layers whose rate was set, or that read through dropout.

    Raises:
        ModelError: When the fit begins, if the model is not built or not compiled, no layer has a name or type
            that is to be left out, or there is nowhere to drop.

    Example:
        >>> import numpy as np
        >>> layers = [keras.layers.Dense(8, "relu", name="hidden"), keras.layers.Dense(1, name="out")]
        >>> model = keras.Sequential([keras.Input((2,)), *layers])
        >>> model.compile("sgd", "mse")
        >>> dropout = DropoutRate(rate=0.5)
        >>> history = model.fit(np.ones((4, 2)), np.ones(4), callbacks=[dropout], verbose=0)
        >>> dropout.dropped
        ['out']
    """

    def __init__(self, *, rate: float, exclude: Sequence[str] = (), seed: int = 0) -> None:
        super().__init__()
        self.rate = rate
        self.exclude = tuple(exclude)
        self.seed = seed
        self.dropped: list[str] = []
        self._before: list[tuple[Any, str, float]] = []
        self._inserted = InsertedLayers()

    def install(self, model: keras.Model) -> None:
        left = {id(each) for each in layers_named(require_compiled(model), self.exclude)}
        self.dropped = []
        places = [place for place in dropout_places(model) if _can_drop(model, *place)]
        with model.distribute_strategy.scope():
            for layer, name, rate in places:
                if id(layer) not in left:
                    self._set(layer, name, rate)
            if not places and self.rate > 0:
                self._insert(model, left)
        self.random_states = self._inserted.states
        if not self.dropped and (places or self.rate > 0):
            raise tfkit.ModelError(
                f"dropout finds nowhere to drop in model {model.name!r}: it has no dropout layer and no layer with a "
                f"kernel after another{', but for those excluded' if left else ''}"
            )

    def uninstall(self, model: keras.Model) -> None:
        for layer, name, rate in self._before:
            setattr(layer, name, rate)
        self._before = []
        self._inserted.remove()
        self.random_states = ()

    def _set(self, layer: Any, name: str, rate: float) -> None:
        self.dropped.append(layer.name)
        if rate > 0:
            self._before.append((layer, name, rate))
            setattr(layer, name, self.rate)
        elif self.rate > 0:
            # Made with a rate of 0 it has nothing to draw by: another one of its kind stands before it.
            config = {**layer.get_config(), "rate": self.rate, "seed": self._next_seed(), "name": None}
            self._inserted.add(layer, type(layer).from_config(config))

    def _insert(self, model: keras.Model, left: set[int]) -> None:
        if not has_graph(model):
            raise tfkit.ModelError(
                f"dropout finds no dropout layer in model {model.name!r}, and inserts it into Functional and "
                f"Sequential models alone; it is a {type(model).__name__}: build it with keras.layers.Dropout"
            )
        for operation in _after_others(model):
            if id(operation) not in left:
                self.dropped.append(operation.name)
                dropout = keras.layers.Dropout(self.rate, seed=self._next_seed(), dtype=operation.dtype_policy)
                self._inserted.add(operation, dropout)

    def _next_seed(self) -> int:
        return self.seed + len(self._inserted.states)


def _can_drop(model: keras.Model, layer: Any, name: str, rate: float) -> bool:
    """Whether a rate is used: one of 0 is by a layer that the model calls itself, not by one inside another layer."""
    if rate > 0:
        return True
    return name == "rate" and has_graph(model) and any(call.operation is layer for call in flattened(model).calls)


def _after_others(model: keras.Model) -> list[keras.layers.Layer]:
    """Trainable layers with a kernel, of one input, that come after one with a kernel or embeddings."""
    graph = flattened(model)
    behind: set[Tensor] = set()
    found: dict[int, keras.layers.Layer] = {}
    never: set[int] = set()
    for call in graph.calls:
        operation = call.operation
        has_kernel = isinstance(operation, keras.layers.Layer) and bool(_kernels(operation))
        if has_kernel:
            (found.setdefault(id(operation), operation) if _can_read(call, behind) else never.add(id(operation)))
        if has_kernel or not behind.isdisjoint(call.inputs):
            behind.update(call.outputs)
    return [operation for key, operation in found.items() if key not in never]


def _can_read(call: Call, behind: set[Tensor]) -> bool:
    if len(call.inputs) != 1 or not any(each.trainable for each in _kernels(call.operation)):
        return False
    (tensor,) = call.inputs
    return tensor in behind and tf.as_dtype(tensor.dtype).is_floating


def _kernels(layer: keras.layers.Layer) -> list[Any]:
    """Its weights of two or more axes."""
    return [weight for each in layers_in(layer) for weight in each.weights if len(weight.shape) > 1]
