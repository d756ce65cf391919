"""Grid: the values that a kernel of few bits can take, and which of its axes have scales of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Grid:
    """Multiples of a scale, as many on either side of zero (symmetric, narrow range).

    Attributes:
        bits: Bits of a value, 4 or 8.
        channels: The axes whose entries have scales of their own; none for one scale.

    Example:
        >>> Grid(4, (1,)).rounded(tf.constant([[7.0, 3.5], [-2.6, 1.2]])).numpy().tolist()
        [[7.0, 3.5], [-3.0, 1.0]]
    """

    bits: int
    channels: tuple[int, ...]

    @property
    def levels(self) -> int:
        """The largest multiple of the scale: 127 of 8 bits, 7 of 4."""
        return int(2 ** (self.bits - 1) - 1)

    def limits(self, value: Any) -> Any:
        """The largest magnitude that shares each scale, of the value's rank."""
        shared = [axis for axis in range(len(value.shape)) if axis not in self.channels]
        return tf.reduce_max(tf.abs(value), axis=shared, keepdims=True)

    def rounded(self, value: Any) -> Any:
        """The nearest values of the grid; their gradient is the value's own (straight through)."""
        scale = self.limits(value) / self.levels
        safe = tf.where(scale > 0, scale, tf.ones_like(scale))
        return _straight_through(value, tf.round(value / safe) * safe)


@tf.custom_gradient
def _straight_through(value: Any, grid: Any) -> tuple[Any, Callable[[Any], Any]]:
    return tf.identity(grid), lambda upstream: (upstream, None)
