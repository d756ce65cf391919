"""Taps: what layers inside a model give in one pass, read without a second pass."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Sequence
from typing import Any

import keras

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.errors import ModelError
from tfkit.graph import calls
from tfkit.parameters import suggest


class Taps:
    """Keeps the latest output of some layers of a model, while it is entered.

    A second model over the same layers would run them twice: twice the time, BatchNormalization updated
    twice, and another dropout than the one that made the predictions.

    Args:
        model: A Functional or Sequential model.
        names: Names of layers of it.

    Attributes:
        names: The names.
        shapes: The shape of each layer's output, batch first, None for lengths that vary.

    Raises:
        ModelError: There is no such layer, it is used more than once, or the model has no graph.
    """

    def __init__(self, model: keras.Model, names: Sequence[str]) -> None:
        found = [_call(model, name) for name in names]
        self.names = list(names)
        self.shapes = [tuple(call.outputs[0].shape) for call in found]
        self._layers = [call.operation for call in found]
        # Each replica of a mirrored step is traced in a thread of its own.
        self._latest = threading.local()

    def __enter__(self) -> Taps:
        with contextlib.ExitStack() as stack:
            for index, layer in enumerate(self._layers):
                tap = functools.partial(self._tapped, index)
                wrap_method(layer, "call", tap)
                stack.callback(remove_from_method, layer, "call", tap)
            self._installed = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._installed.close()

    def outputs(self) -> list[Any]:
        """The latest output of each layer, in the order of the names."""
        return [getattr(self._latest, str(index)) for index in range(len(self._layers))]

    def _tapped(self, index: int, call: Any, *args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        setattr(self._latest, str(index), output)
        return output


def _call(model: keras.Model, name: str) -> Any:
    """The one call of a layer in a model's graph."""
    steps = calls(model)
    found = [call for call in steps if call.operation.name == name]
    if not found:
        known = sorted({call.operation.name for call in steps})
        raise ModelError(f"features: model {model.name!r} has no layer {name!r}{suggest(name, known)}")
    if len(found) > 1 or len(found[0].outputs) > 1:
        what = "is used more than once" if len(found) > 1 else "gives several outputs"
        raise ModelError(f"features: layer {name!r} of model {model.name!r} {what}: name another")
    return found[0]
