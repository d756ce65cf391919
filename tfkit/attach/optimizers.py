"""What an optimizer counts, whatever is wrapped around it."""

from __future__ import annotations

from typing import Any


def inner_optimizer(optimizer: Any) -> Any:
    """The optimizer that updates the weights: the one inside a `keras.optimizers.LossScaleOptimizer`."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def batch_count(optimizer: Any) -> Any:
    """The variable that counts batches; under gradient accumulation `optimizer.iterations` counts updates."""
    return inner_optimizer(optimizer)._iterations


def batches_per_update(optimizer: Any) -> int:
    """Batches whose gradients make one update: more than 1 under gradient accumulation."""
    return inner_optimizer(optimizer).gradient_accumulation_steps or 1
