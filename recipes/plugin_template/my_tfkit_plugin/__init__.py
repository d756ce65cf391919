"""The table of the package. It imports no framework, so that listing plugins stays quick."""

from collections.abc import Iterator

import tfkit
from my_tfkit_plugin import schemas


@tfkit.hookimpl
def tfkit_schedules() -> Iterator[tfkit.Spec]:
    """The schedules of this package."""
    yield tfkit.Spec(
        name="triangular",
        summary="Rises from a low rate to a high one and falls again, over and over.",
        target="my_tfkit_plugin.triangular:Triangular",
        params=schemas.Triangular,
        examples=({"low": 0.001, "high": 0.1, "half": 10},),
    )


@tfkit.hookimpl
def tfkit_regularizers() -> Iterator[tfkit.Spec]:
    """The regularizers of this package."""
    yield tfkit.Spec(
        name="group-lasso",
        summary="The norm of each unit's incoming weights, which makes whole units vanish.",
        target="my_tfkit_plugin.group_lasso:GroupLasso",
        params=schemas.GroupLasso,
        examples=({"factor": 0.01}, {"factor": 0.01, "epsilon": 1e-6}),
    )
