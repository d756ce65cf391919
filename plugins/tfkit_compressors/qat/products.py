"""A dense layer as one matrix product with its bias, which LiteRT computes in integers for input of any rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Matrix:
    """How the kernel of a dense layer is a matrix.

    Attributes:
        axes: Its axes in the order in which they are: those that are summed over, then those of the output.
        summed: How many are summed over; they are the last of the input, in that order.
        shape: The sizes of the output's axes after those that the input has too.
    """

    axes: tuple[int, ...]
    summed: int
    shape: tuple[int, ...]

    def of(self, kernel: Any) -> Any:
        """A kernel as that matrix."""
        return np.transpose(kernel, self.axes).reshape(-1, prod(self.shape))


def matrix(layer: Any) -> Matrix | None:
    """How the kernel of a Dense or EinsumDense is a matrix; None for other layers, and equations that are no product.

    Args:
        layer: A built layer.

    Example:
        >>> layer = keras.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")
        >>> layer.build((None, 8, 4))
        >>> matrix(layer)
        Matrix(axes=(0, 1, 2), summed=1, shape=(2, 3))
    """
    if getattr(layer, "lora_enabled", False):
        return None
    if type(layer) is keras.layers.Dense:
        return Matrix((0, 1), 1, (int(layer.kernel.shape[1]),))
    return _of_einsum(layer) if type(layer) is keras.layers.EinsumDense else None


def _of_einsum(layer: Any) -> Matrix | None:
    inputs, kernel, outputs = layer.equation.replace("->", ",").split(",")
    if "..." in layer.equation:
        if not (inputs.startswith("...") and outputs.startswith("...")):
            return None
        inputs, outputs = inputs[3:], outputs[3:]
    summed = "".join(letter for letter in inputs if letter in kernel)
    kept = inputs.removesuffix(summed)
    made = outputs.removeprefix(kept)
    is_product = inputs == kept + summed and outputs == kept + made and sorted(kernel) == sorted(summed + made)
    if not is_product or not summed or not made or not set(layer.bias_axes or "") <= set(made):
        return None
    axes = tuple(kernel.index(letter) for letter in summed + made)
    return Matrix(axes, len(summed), tuple(int(layer.kernel.shape[axis]) for axis in axes[len(summed) :]))


def as_product(layer: Any, found: Matrix, kernel: Callable[[], Any], addends: Sequence[Any]) -> Callable[[Any], Any]:
    """What computes a dense layer so.

    Args:
        layer: The layer, whose activation is applied where it has one at that time.
        found: How its kernel is a matrix.
        kernel: Gives that matrix in the graph that is being traced.
        addends: What is added before the activation, such as its bias; arrays that broadcast to the output's axes.
    """
    shift = sum(np.broadcast_to(each, found.shape).reshape(-1) for each in addends)

    def body(inputs: Any) -> Any:
        kept = len(inputs.shape) - found.summed
        flat = inputs if found.summed == 1 else reshaped(inputs, inputs, kept, (prod(inputs.shape[kept:]),))
        outputs = tf.matmul(flat, kernel())
        outputs = outputs + shift if addends else outputs
        outputs = outputs if layer.activation is None else layer.activation(outputs)
        return outputs if len(found.shape) == 1 else reshaped(outputs, inputs, kept, found.shape)

    return body


def reshaped(tensor: Any, like: Any, kept: int, sizes: tuple[int, ...]) -> Any:
    """A tensor with the first axes of another, of any length, and then axes of given sizes.

    Args:
        tensor: The tensor.
        like: The other one.
        kept: How many axes it takes of that, the batch's first.
        sizes: Sizes of the axes after them.
    """
    lengths = like.shape[1:kept]
    if None in lengths:
        return tf.reshape(tensor, tf.concat([tf.shape(like)[:kept], sizes], 0))
    return tf.reshape(tensor, [-1, *lengths, *sizes])
