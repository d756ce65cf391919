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
    yield tfkit.Spec(
        name="orthogonal",
        summary="factor * the mean absolute cosine between two units, or filters of a convolution.",
        target="tfkit_regularizers.orthogonal:Orthogonal",
        params=schemas.Orthogonal,
        examples=({"factor": 0.01},),
    )
    yield tfkit.Spec(
        name="proximal-l1",
        summary="Soft threshold by learning rate * l1 after each step: true zeros.",
        target="tfkit_regularizers.proximal:ProximalL1",
        params=schemas.ProximalL1,
        examples=({"l1": 0.001, "learning_rate": 0.1},),
    )
    yield tfkit.Spec(
        name="max-norm",
        summary="Keeps the norm of the incoming weights of each unit or filter within a bound.",
        target="tfkit_regularizers.bounds:MaxNorm",
        params=schemas.MaxNorm,
        examples=({"value": 1.0},),
    )
    yield tfkit.Spec(
        name="clip",
        summary="Keeps weights within a magnitude, or each variable within a norm.",
        target="tfkit_regularizers.bounds:Clip",
        params=schemas.Clip,
        examples=({"value": 0.5}, {"norm": 1.0}),
    )
    yield tfkit.Spec(
        name="spectral",
        summary="Divides a kernel by its largest singular value after each step.",
        target="tfkit_regularizers.spectral:Spectral",
        params=schemas.Spectral,
        examples=({},),
    )
