"""Which kernels of a model are fake-quantized, and to which grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from tfkit.attach.channels import channels_of
from tfkit.attach.variables import layers_named, named_variables
from tfkit.children.four_bits import SMALL
from tfkit.errors import ModelError
from tfkit.models import require_built
from tfkit_compressors.qat.grids import Grid
from tfkit_compressors.qat.kept import Kept
from tfkit_compressors.quantization.stored import EIGHT_BITS
from tfkit_compressors.schemas import Qat

# Names of kernels that LiteRT multiplies with, and of the table of an Embedding.
NAMES = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "embeddings")


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel that is fake-quantized.

    Attributes:
        variable: Its variable.
        layer: The layer that owns it, in a recurrent layer the cell.
        grid: The values that it can take.
        kept: Puts it back onto its zeros and clusters.
    """

    variable: keras.Variable
    layer: keras.layers.Layer
    grid: Grid
    kept: Kept

    def quantized(self, value: Any = None) -> Any:
        """The value that the model computes with in the place of one; None for the variable's own."""
        # `.value` would be in half precision inside a layer of mixed precision.
        return self.grid.rounded(self.kept(self.variable._value if value is None else value))


def chosen(model: keras.Model, settings: Qat, own: Mapping[int, int] = MappingProxyType({})) -> list[Kernel]:
    """The kernels that are fake-quantized, those of nested models, wrappers and shared layers once.

    Args:
        model: A built model.
        settings: The parameters of qat.
        own: Bits of single kernels, by the id of their variables.

    Raises:
        ModelError: The model is not built, has no such kernel, is quantized already, or has no layer that
            `layers` or `exclude` name.
    """
    _refuse_quantized(require_built(model))
    bits = _bits_of_layers(model, settings)
    found = [
        Kernel(variable, layer, *_grid(layer, name, variable, settings, {**bits, **own}))
        for layer, name, variable in _variables(model, settings)
    ]
    if found:
        return found
    names = ", ".join(sorted({name for _, name, _ in named_variables(model)})) or "none"
    raise ModelError(
        f"model {model.name!r} has nothing to quantize: no trainable {', '.join(NAMES[:-1])} or {NAMES[-1]}"
        f"{f' outside of exclude={settings.exclude!r}' if settings.exclude else ''}; "
        f"its trainable variables are: {names}"
    )


def _variables(model: keras.Model, settings: Qat) -> Iterator[tuple[Any, str, Any]]:
    for layer, name, variable in named_variables(model, settings.exclude):
        if name in NAMES:
            yield layer, name, variable


def _bits_of_layers(model: keras.Model, settings: Qat) -> dict[int, int]:
    """The bits that `layers` gives layers with all that is in them, by the layer's id; the first name counts."""
    found: dict[int, int] = {}
    for name, bits in (settings.layers or {}).items():
        for layer in layers_named(model, (name,)):
            found.setdefault(id(layer), bits)
    return found


def _grid(layer: Any, name: str, variable: Any, settings: Qat, own: Mapping[int, int]) -> tuple[Grid, Kept]:
    """The grid of a kernel; `own` has bits by the id of a variable, else of its layer."""
    kept = Kept(variable.numpy(), sparsity=settings.preserve_sparsity, clusters=settings.preserve_clusters)
    bits = own.get(id(variable), own.get(id(layer), settings.bits))
    if bits == 4 and not _stored_in_four(layer, name, variable, settings):
        bits = 8
    # Scales of several channels would make several values of one cluster's.
    channels = () if kept.is_clustered else channels_of(layer, name, len(variable.shape))
    return Grid(bits, channels), kept


def _stored_in_four(layer: Any, name: str, variable: Any, settings: Qat) -> bool:
    size = 1
    for length in variable.shape:
        size *= int(length)
    if size < SMALL or isinstance(layer, EIGHT_BITS) or name in ("depthwise_kernel", "embeddings"):
        return False
    if settings.activations is None:
        return True
    return type(layer) in (keras.layers.Dense, keras.layers.Conv2D)


def _refuse_quantized(model: keras.Model) -> None:
    names = [each.name for each in model._flatten_layers() if getattr(each, "quantization_mode", None)]
    if names:
        raise ModelError(
            f"model {model.name!r} is quantized by Keras already ({', '.join(names)}): give qat the model as it was "
            "before model.quantize()"
        )
