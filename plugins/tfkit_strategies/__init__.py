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
