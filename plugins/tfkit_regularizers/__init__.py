"""Regularizers, for a layer's argument or, by `tfkit.callback`, for a model that is built: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_regularizers import schemas


@tfkit.hookimpl
def tfkit_regularizers() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="l1",
        summary="l1 * the sum of the absolute weights.",
        target="tfkit_regularizers.penalties:l1_penalty",
        params=schemas.L1,
        examples=({"l1": 0.001},),
    )
    yield tfkit.Spec(
        name="l2",
        summary="l2 * the sum of the squared weights.",
        target="tfkit_regularizers.penalties:l2_penalty",
        params=schemas.L2,
        examples=({"l2": 0.001},),
    )
    yield tfkit.Spec(
        name="elastic-net",
        summary="l1 * the sum of the absolute weights + l2 * the sum of the squared weights.",
        target="tfkit_regularizers.penalties:elastic_net",
        params=schemas.ElasticNet,
        examples=({"l1": 0.001, "l2": 0.01}, {"l1": 0.0, "l2": 0.01}),
    )
