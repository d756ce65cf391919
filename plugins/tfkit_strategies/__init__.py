"""Distribution strategies, on which devices a model trains: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_strategies import schemas


@tfkit.hookimpl
def tfkit_strategies() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="one-device",
        summary="Everything on one device.",
        target="tfkit_strategies.one_device:one_device",
        params=schemas.OneDevice,
        examples=({}, {"device": "CPU:0"}),
    )
    yield tfkit.Spec(
        name="mirrored",
        summary="A copy of the model on each device of this machine, kept equal.",
        target="tfkit_strategies.mirrored:mirrored",
        params=schemas.Mirrored,
        examples=({}, {"devices": ("CPU:0",)}),
    )
    yield tfkit.Spec(
        name="multi-worker",
        summary="A copy of the model on each worker that TF_CONFIG names, kept equal.",
        target="tfkit_strategies.multi_worker:multi_worker",
        examples=({},),
    )
    yield tfkit.Spec(
        name="tpu",
        summary="A copy of the model on each core of a TPU.",
        target="tfkit_strategies.tpu:tpu",
        params=schemas.Tpu,
        examples=({},),
    )
    yield tfkit.Spec(
        name="layer-placement",
        summary="The layers of one model spread over devices, for a model too large for one.",
        target="tfkit_strategies.placement.strategy:LayerPlacement",
        params=schemas.LayerPlacement,
        examples=({"devices": ("CPU:0",)}, {"devices": ("CPU:0",), "balance": "flops"}),
    )
