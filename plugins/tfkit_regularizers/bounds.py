"""Bounds that weights are brought back into after each update."""

from __future__ import annotations

from typing import Any

import keras

from tfkit import ParameterError


@keras.saving.register_keras_serializable(package="tfkit")
class MaxNorm(keras.constraints.Constraint):
    """Scales down the incoming weights of a unit (filter) whose Euclidean norm is above a bound; others stay.

    Keras's `MaxNorm` for kernels of any rank: there a convolution's norm is taken over one axis of the window unless
    the axes are given. Source: Srebro, Rennie and Jaakkola 2005.

    Args:
        value: The bound, finite and > 0.

    Example:
        >>> MaxNorm(value=1.0)(keras.ops.array([[3.0, 0.1], [4.0, 0.2]])).numpy().round(3).tolist()
        [[0.6000000238418579, 0.10000000149011612], [0.800000011920929, 0.20000000298023224]]
    """

    def __init__(self, *, value: float) -> None:
        self.value = value

    def __call__(self, weights: Any) -> Any:
        axes = tuple(range(len(weights.shape) - 1)) or (0,)
        return within_norm(weights, self.value, axes)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


@keras.saving.register_keras_serializable(package="tfkit")
class Clip(keras.constraints.Constraint):
    """Keeps weights within a magnitude, a variable within a Frobenius norm, or both, in that order.

    Args:
        value: The bound of a weight's magnitude, finite and > 0; None for none.
        norm: The bound of the norm of a whole variable, finite and > 0; None for none.

    Raises:
        ParameterError: If both are None.

    Example:
        >>> Clip(value=0.5)(keras.ops.array([[3.0], [-0.25]])).numpy().ravel().tolist()
        [0.5, -0.25]
        >>> Clip(norm=1.0)(keras.ops.array([[3.0], [4.0]])).numpy().ravel().round(3).tolist()
        [0.6000000238418579, 0.800000011920929]
    """

    def __init__(self, *, value: float | None = None, norm: float | None = None) -> None:
        if value is None and norm is None:
            raise ParameterError("regularizer 'clip' needs value= (of each weight) or norm= (of each variable)")
        self.value = value
        self.norm = norm

    def __call__(self, weights: Any) -> Any:
        if self.value is not None:
            weights = keras.ops.clip(weights, -self.value, self.value)
        if self.norm is not None:
            weights = within_norm(weights, self.norm, tuple(range(len(weights.shape))))
        return weights

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value, "norm": self.norm}


def within_norm(weights: Any, bound: float, axes: tuple[int, ...]) -> Any:
    """Weights scaled down where their Euclidean norm over some axes is above a bound, in their own dtype."""
    wide = keras.ops.cast(weights, "float32")  # squares of large weights overflow in float16
    norms = keras.ops.sqrt(keras.ops.sum(keras.ops.square(wide), axis=axes, keepdims=True))
    scale = bound / keras.ops.maximum(norms, bound)
    return keras.ops.cast(wide * scale, weights.dtype)
