"""What makes a trained model smaller or faster: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_compressors import schemas


@tfkit.hookimpl
def tfkit_compressors() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="prune",
        summary="Sets the weights of smallest magnitude to zero while the model trains (TFMOT's engine).",
        target="tfkit_compressors.pruning.prune:Prune",
        params=schemas.Prune,
        examples=(
            {"sparsity": 0.5, "frequency": 2},
            {"sparsity": 0.75, "schedule": "constant", "frequency": 4},
            {"sparsity": 0.5, "pattern": "2:4"},
        ),
    )
    yield tfkit.Spec(
        name="quantize",
        summary="Quantizes a trained model to a LiteRT file: int8, int16x8, dynamic-int8 or float16.",
        target="tfkit_compressors.quantization.quantize:Quantize",
        params=schemas.Quantize,
        examples=({"calibration": 32},),
    )
