"""Pruning by a magnitude that is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfkit import Compressed, Data
from tfkit_compressors.constrained import ConstrainedCallback, Held, constrain
from tfkit_compressors.kernels import kernels, zero_share


class Threshold:
    """Sets the weights whose magnitude is below a value to zero, and keeps it so while the model trains.

    The weights that are below it at the beginning stay zero; those that come below it later become zero.
    How many that are is a matter of the model: the sparsity that was reached is in the notes. Compressor
    `prune` takes the share instead.

    Args:
        value: Weights of a smaller magnitude become zero.
        exclude: Layers to leave out, by name or type.
        depthwise: Whether depthwise kernels are pruned too.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
        >>> _ = model.layers[0].kernel.assign([[3.0], [-0.25]])
        >>> made = Threshold(0.5).compress(model, Data(([[0.0, 0.0]], [0.0])), epochs=0, directory=Path())
        >>> model.layers[0].kernel.numpy().ravel().tolist(), made.notes
        ([3.0, 0.0], ('a sparsity of 0.5 was reached, in single kernels 0.5 to 0.5',))
    """

    def __init__(self, value: float, exclude: Sequence[str] = (), depthwise: bool = False) -> None:
        self.value = value
        self.exclude = tuple(exclude)
        self.depthwise = depthwise

    def callback(self) -> ConstrainedCallback:
        """The Keras callback that prunes within one `fit`."""
        return ConstrainedCallback(self._plan)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Prunes a model, and trains it as long as it is told.

        Args:
            model: A built model, compiled where epochs is not 0; it is changed.
            data: The train part is fitted.
            epochs: Epochs of training; 0 prunes once.
            directory: Not used.

        Raises:
            ModelError: If the model is not built or not compiled, or has nothing to prune.
        """
        constrain(model, data, self._plan, epochs)
        return Compressed(model, notes=(_reached(self._kernels(model)),))

    def _plan(self, model: keras.Model) -> list[Held]:
        return [Held(kernel, _from(kernel, self.value)) for kernel in self._kernels(model)]

    def _kernels(self, model: keras.Model) -> list[keras.Variable]:
        return kernels(model, exclude=self.exclude, depthwise=self.depthwise)


def _from(kernel: keras.Variable, bound: float) -> Callable[[Any], Any]:
    """The constraint of a kernel: zero where it is small now, or becomes so."""
    mask = tf.Variable(tf.abs(kernel.value) >= bound, trainable=False)

    def constraint(value: Any) -> Any:
        value = tf.convert_to_tensor(value)
        return tf.where(tf.logical_and(mask, tf.abs(value) >= bound), value, tf.zeros([], value.dtype))

    return constraint


def _reached(found: list[keras.Variable]) -> str:
    shares = [zero_share(kernel) for kernel in found]
    sizes = [kernel.value.shape.num_elements() for kernel in found]
    overall = sum(share * size for share, size in zip(shares, sizes)) / sum(sizes)
    return f"a sparsity of {overall:.4g} was reached, in single kernels {min(shares):.4g} to {max(shares):.4g}"
