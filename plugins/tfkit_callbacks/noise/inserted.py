"""InsertedLayers: layers that stand before operations of a built model for one fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from tfkit.attach.methods import remove_from_method, wrap_method


class InsertedLayers:
    """Random layers, such as Dropout, that operations of a model read through. The model does not know them.

    Attributes:
        states: The variables that they draw by.
    """

    def __init__(self) -> None:
        self._places: list[_Before] = []

    @property
    def states(self) -> list[Any]:
        return [each.layer.seed_generator.state for each in self._places]

    def add(self, operation: Any, layer: keras.layers.Layer, which: int = 0) -> None:
        """Has an operation read one of its inputs through a layer; its model has to be traced anew after that.

        Args:
            operation: A layer or another operation of a model.
            layer: A layer that draws at random in training.
            which: The number of the input, counted over the operation's positional arguments, flat.
        """
        place = _Before(operation, layer, which)
        wrap_method(operation, "call", place)
        self._places.append(place)

    def remove(self) -> None:
        """Takes all of them off."""
        for place in self._places:
            remove_from_method(place.operation, "call", place)
        self._places = []


class _Before:
    def __init__(self, operation: Any, layer: keras.layers.Layer, which: int) -> None:
        self.operation = operation
        self.layer = layer
        self.which = which

    def __call__(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        leaves: list[Any] = keras.tree.flatten(args)
        leaves[self.which] = self.layer(leaves[self.which])
        return call(*keras.tree.pack_sequence_as(args, leaves), **kwargs)


def positions(args: Iterable[Any], tensors: Iterable[Any]) -> list[int]:
    """Where tensors stand in an operation's positional arguments, flat, each once."""
    flat = keras.tree.flatten(tuple(args))
    return [next(i for i, leaf in enumerate(flat) if leaf is tensor) for tensor in tensors]
