"""Parameters of the exporters. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tfkit.parameters import Ge, Le

Endpoint = Literal["classify", "regress"]


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    signatures: Annotated[
        tuple[Endpoint, ...] | None, "Signatures over tf.Example besides predict; None for those that the model fits."
    ] = None
    warm_up: Annotated[int, Ge(0), Le(1000), "Warm-up requests at most, made of the sample's rows."] = 1000


@dataclass(frozen=True, kw_only=True)
class LiteRT:
    bits: Annotated[Literal[4, 8, 16] | None, "Bits of the weights; None for float32."] = None
    activations: Annotated[
        Literal[8, 16] | None, "Bits of what is computed, with ranges from the sample's rows; None for floats."
    ] = None


@dataclass(frozen=True, kw_only=True)
class Onnx:
    opset: Annotated[int | None, Ge(9), "Version of ONNX's operators; None for the converter's own choice."] = None


@dataclass(frozen=True, kw_only=True)
class OpenVino:
    half: Annotated[bool, "Whether weights are stored in float16."] = False
