"""Parameters of the strategies. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tfkit.parameters import MinLen


@dataclass(frozen=True, kw_only=True)
class OneDevice:
    device: Annotated[str | None, "The device, such as 'GPU:0'; None for the first GPU, else the CPU."] = None


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    devices: Annotated[
        tuple[str, ...] | None, MinLen(1), "The devices, such as ('GPU:0', 'GPU:1'); None for all GPUs, else all CPUs."
    ] = None


@dataclass(frozen=True, kw_only=True)
class Tpu:
    name: Annotated[
        str | None, "Name or address of the TPU, as TPUClusterResolver takes it; None asks the environment."
    ] = None


@dataclass(frozen=True, kw_only=True)
class LayerPlacement:
    devices: Annotated[
        tuple[str, ...], MinLen(1), "The devices in the order of the layers, such as ('GPU:0', 'GPU:1')."
    ]
    balance: Annotated[
        Literal["bytes", "flops"], "What is as equal as can be among the devices: bytes of weights, or operations."
    ] = "bytes"
