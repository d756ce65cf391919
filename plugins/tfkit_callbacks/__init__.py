"""Training callbacks: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_callbacks import schemas


@tfkit.hookimpl
def tfkit_callbacks() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="early-stopping",
        summary="Ends a fit that no longer improves and restores the best epoch's weights.",
        target="tfkit_callbacks.early_stopping:EarlyStopping",
        params=schemas.EarlyStopping,
        examples=({"monitor": "loss", "patience": 2}, {"monitor": "loss", "patience": 0, "mode": "min"}),
    )
    yield tfkit.Spec(
        name="asha",
        summary="Ends a trial of a search that is not among the best at the next rung (successive halving).",
        target="tfkit_callbacks.asha:SuccessiveHalving",
        params=schemas.SuccessiveHalving,
        examples=({"monitor": "loss"}, {"monitor": "loss", "mode": "min", "reduction_factor": 2}),
    )
    yield tfkit.Spec(
        name="median-stopping",
        summary="Ends a trial of a search that is worse than the median of the others by then.",
        target="tfkit_callbacks.median_stopping:MedianStopping",
        params=schemas.MedianStopping,
        examples=({"monitor": "loss"}, {"monitor": "loss", "mode": "min", "min_trials": 1}),
    )
