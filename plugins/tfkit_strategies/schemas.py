"""Parameters of the strategies. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated

from tfkit.parameters import MinLen


@dataclass(frozen=True, kw_only=True)
class OneDevice:
    device: Annotated[str | None, "The device, such as 'GPU:0'; None for the first GPU, else the CPU."] = None


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    devices: Annotated[
        tuple[str, ...] | None, MinLen(1), "The devices, such as ('GPU:0', 'GPU:1'); None for all GPUs, else all CPUs."
    ] = None
