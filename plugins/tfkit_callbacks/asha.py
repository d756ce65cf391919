"""Asynchronous successive halving."""

from __future__ import annotations

from collections.abc import Sequence

from tfkit_callbacks.trial_stopping import TrialStopping


class SuccessiveHalving(TrialStopping):
    """Ends trials that are not among the best at one of a few rungs.

    The rungs are at min_epochs, min_epochs · reduction_factor, min_epochs · reduction_factor² … epochs. A trial
    that comes to a rung goes on if its best value so far is among the best 1/reduction_factor of all that have
    come there, or is the best where they are fewer; it never waits. This is ASHA in the form that stops
    trials and promotes none (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020).

    Args:
        monitor: What to watch, by its name in the logs.
        mode: "min", "max", or "auto", which asks the metric.
        min_epochs: Epochs that every trial gets: the first rung.
        reduction_factor: One in so many goes on at each rung.

    Raises:
        ParameterError: As for `TrialStopping`.

    Example:
        >>> rule = SuccessiveHalving(monitor="loss", reduction_factor=2)
        >>> rule.is_hopeless([0.5, 0.3], others=[[0.6, 0.4], [0.4, 0.2], [0.3, 0.25]])
        True
    """

    name = "asha"

    def __init__(
        self, *, monitor: str = "val_loss", mode: str = "auto", min_epochs: int = 1, reduction_factor: int = 3
    ) -> None:
        super().__init__(monitor=monitor, mode=mode, min_epochs=min_epochs)
        self.reduction_factor = reduction_factor

    def is_hopeless(self, values: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
        rung = len(values)
        there = [min(each[:rung]) for each in others if len(each) >= rung]
        go_on = max(1, (len(there) + 1) // self.reduction_factor)
        return sum(each < min(values) for each in there) >= go_on

    def judges(self, epochs: int) -> bool:
        rung = self.min_epochs
        while rung < epochs:
            rung *= self.reduction_factor
        return rung == epochs
