"""Weights kept within a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tfkit import Compressed, Data
from tfkit_compressors.constrained import ConstrainedCallback, Held, constrain
from tfkit_compressors.kernels import kernels


class Clip:
    """Sets every kernel's weights beyond a bound to the bound, and keeps them there while the model trains.

    A few large weights make the steps of a quantized kernel coarse for all others: clipped first, it loses
    less. Touched are trainable kernels, recurrent, depthwise and pointwise ones too, and embeddings; biases and
    the parameters of normalizations stay.

    Args:
        value: The bound of a weight's magnitude.
        unit: "absolute", or "std": the bound is `value` standard deviations of each kernel's weights about their
            mean, as they are at the beginning. The bound itself is about zero, so that a kernel whose weights are
            far from it on one side wants "absolute".
        exclude: Layers to leave out, by name or type.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
        >>> _ = model.layers[0].kernel.assign([[3.0], [-0.25]])
        >>> _ = Clip(0.5).compress(model, Data(([[0.0, 0.0]], [0.0])), epochs=0, directory=Path())
        >>> model.layers[0].kernel.numpy().ravel().tolist()
        [0.5, -0.25]
    """

    def __init__(
        self, value: float, unit: Literal["absolute", "std"] = "absolute", exclude: Sequence[str] = ()
    ) -> None:
        self.value = value
        self.unit = unit
        self.exclude = tuple(exclude)

    def callback(self) -> ConstrainedCallback:
        """The Keras callback that clips within one `fit`."""
        return ConstrainedCallback(self._plan)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Clips a model, and trains it within the bounds.

        Args:
            model: A built model, compiled where epochs is not 0; it is changed.
            data: The train part is fitted.
            epochs: Epochs of training.
            directory: Not used.

        Raises:
            ModelError: If the model is not built or not compiled, or has nothing to clip.
        """
        chosen = self._kernels(model)
        beyond = sum(int((np.abs(kernel.numpy()) > self._bound(kernel)).sum()) for kernel in chosen)
        count = sum(int(np.prod(kernel.shape)) for kernel in chosen)
        constrain(model, data, self._plan, epochs)
        return Compressed(model, notes=(f"{beyond} of {count} weights were clipped",))

    def _plan(self, model: keras.Model) -> list[Held]:
        return [Held(kernel, _within(self._bound(kernel))) for kernel in self._kernels(model)]

    def _kernels(self, model: keras.Model) -> list[keras.Variable]:
        return kernels(model, exclude=self.exclude, depthwise=True, purpose="clip")

    def _bound(self, kernel: keras.Variable) -> float:
        return self.value if self.unit == "absolute" else self.value * float(np.std(kernel.numpy().astype("float64")))


def _within(bound: float) -> Callable[[Any], Any]:
    return lambda value: keras.ops.clip(value, -bound, bound)
