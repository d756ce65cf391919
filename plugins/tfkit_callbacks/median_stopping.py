"""The median stopping rule."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tfkit_callbacks.trial_stopping import TrialStopping


class MedianStopping(TrialStopping):
    """Ends a trial whose best value so far is worse than the median of what the others had by then.

    By an epoch each other trial counts with the mean of its values up to that epoch, those that ended earlier
    not at all (Golovin et al., "Google Vizier", 2017, section 3.2.2).

    Args:
        monitor: What to watch, by its name in the logs.
        mode: "min", "max", or "auto", which asks the metric.
        min_epochs: Epochs that every trial gets.
        min_trials: Other trials that must have come as far before any is ended.

    Raises:
        ParameterError: As for `TrialStopping`.

    Example:
        >>> rule = MedianStopping(monitor="loss", min_trials=3)
        >>> rule.is_hopeless([0.9, 0.8], others=[[0.9, 0.5], [0.8, 0.4], [0.9, 0.9]])
        True
    """

    name = "median-stopping"

    def __init__(
        self, *, monitor: str = "val_loss", mode: str = "auto", min_epochs: int = 1, min_trials: int = 5
    ) -> None:
        super().__init__(monitor=monitor, mode=mode, min_epochs=min_epochs)
        self.min_trials = min_trials

    def is_hopeless(self, values: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
        epochs = len(values)
        means = [statistics.fmean(each[:epochs]) for each in others if len(each) >= epochs]
        return len(means) >= self.min_trials and min(values) > statistics.median(means)
