"""The l1 penalty by its proximal step: weights that do not matter become 0, and not only small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfkit import ModelError
from tfkit.attach.optimizers import batches_per_update, inner_optimizer


@keras.saving.register_keras_serializable(package="tfkit")
class ProximalL1(keras.constraints.Constraint):
    """Soft threshold by learning rate * `l1` after each update: `sign(w) * max(|w| - rate * l1, 0)`.

    The step of the iterative shrinkage-thresholding algorithm (Daubechies, Defrise and De Mol 2004). Adaptive
    optimizers have another rate for each weight; the threshold goes by the optimizer's own one there too.

    Args:
        l1: Factor of the sum of absolute values, finite and >= 0.
        learning_rate: The rate; None for that of the fit's optimizer at each step, which only
            `tfkit.callback("regularizer", "proximal-l1", …)` knows, and not a layer's `kernel_constraint`.

    Raises:
        ModelError: When called, without a rate.

    Example:
        >>> [round(each, 2) for each in ProximalL1(l1=0.5, learning_rate=0.1)(keras.ops.array([1.0, -0.03])).numpy()]
        [np.float32(0.95), np.float32(-0.0)]
    """

    def __init__(self, *, l1: float, learning_rate: float | None = None) -> None:
        self.l1 = l1
        self.learning_rate = learning_rate

    def __call__(self, value: Any) -> Any:
        if self.learning_rate is None:
            raise ModelError(
                "proximal-l1 does not know the learning rate here: pass learning_rate=, or use "
                "tfkit.callback('regularizer', 'proximal-l1', …)"
            )
        return soft_threshold(value, self.learning_rate * self.l1)

    def for_optimizer(self, optimizer: Any) -> Callable[[Any], Any]:
        """The same, at the rate of an optimizer; for the batches that make no update of it nothing is done."""
        if self.learning_rate is not None:
            return self
        inner, batches = inner_optimizer(optimizer), batches_per_update(optimizer)

        def shrink(value: Any) -> Any:
            threshold = keras.ops.cast(inner.learning_rate, value.dtype) * self.l1
            if batches > 1:
                updates = (inner._iterations + 1) % batches == 0  # counts batches; `iterations` is in updates
                threshold = threshold * keras.ops.cast(updates, value.dtype)
            return soft_threshold(value, threshold)

        return shrink

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "learning_rate": self.learning_rate}


def soft_threshold(value: Any, threshold: Any) -> Any:
    """Moves values towards 0 by a threshold, and no further.

    Example:
        >>> soft_threshold(keras.ops.array([3.0, -0.5]), 1.0).numpy().tolist()
        [2.0, -0.0]
    """
    return keras.ops.sign(value) * keras.ops.maximum(keras.ops.abs(value) - threshold, 0)
