"""Parameters of the compressors. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tfkit.parameters import Ge, Gt, Lt


@dataclass(frozen=True, kw_only=True)
class Prune:
    sparsity: Annotated[float, Ge(0), Lt(1), "Share of zeros in each kernel at the end."]
    schedule: Annotated[
        Literal["polynomial", "constant"], "Whether the share grows from initial_sparsity or is there from `begin` on."
    ] = "polynomial"
    initial_sparsity: Annotated[float, Ge(0), Lt(1), "Share of zeros at `begin`, for polynomial."] = 0.0
    begin: Annotated[int, Ge(0), "Optimizer update from which on masks are updated."] = 0
    end: Annotated[int | None, Ge(1), "Last update of the masks; None for the last batch of the fit."] = None
    frequency: Annotated[int, Ge(1), "Optimizer updates from one update of the masks to the next."] = 100
    power: Annotated[float, Gt(0), "Exponent of polynomial."] = 3
    block_size: Annotated[tuple[int, int], "Height and width of blocks pruned together, in 2-D kernels."] = (1, 1)
    block_pooling: Annotated[Literal["AVG", "MAX"], "Magnitude that stands for a block."] = "AVG"
    pattern: Annotated[str | None, "Zeros in each group of consecutive inputs, such as '2:4'."] = None
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()
    depthwise: Annotated[bool, "Whether depthwise kernels are pruned too."] = False


@dataclass(frozen=True, kw_only=True)
class Quantize:
    bits: Annotated[int, "Bits of the weights: 8 or 16."] = 8
    activations: Annotated[int | None, "Bits of the activations: 8 or 16 with 8-bit weights, None for float."] = 8
    calibration: Annotated[int, Ge(1), "Rows of the train part that the ranges of activations are read from."] = 100
    timeout: Annotated[float, Gt(0), "Seconds that the converter may take."] = 600.0
