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
