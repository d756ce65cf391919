"""Magnitude pruning."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from tfkit import Compressed, Data, ParameterError
from tfkit.attach.training import train
from tfkit.models import require_compiled
from tfkit_compressors import schemas, tfmot
from tfkit_compressors.pruning.callback import PruneCallback
from tfkit_compressors.pruning.chosen import chosen
from tfkit_compressors.pruning.masks import Masks, zeros_of


class Prune:
    """Sets the weights of smallest magnitude to zero, a growing share of every kernel while training goes on.

    The engine is TFMOT's: the same weights, batches and schedule give the masks that its
    `prune_low_magnitude` gives, without wrappers around layers. Touched are trainable variables named
    kernel, recurrent_kernel, embeddings and pointwise_kernel.

    A step is an optimizer update. In `callback()` steps are those of `optimizer.iterations`: on a model
    that has trained before, begin at `int(model.optimizer.iterations)`. In `compress` they count from
    the start of its own training.

    Sources: To prune, or not to prune, Zhu and Gupta 2017; TFMOT 0.8.1.

    Args:
        sparsity: Share of zeros in each kernel at the end, in [0, 1).
        schedule: "polynomial" grows from `initial_sparsity`; "constant" prunes to `sparsity` at once.
        initial_sparsity: Share of zeros at `begin`, for "polynomial".
        begin: First step at which masks may be updated.
        end: Last step; None for the last of the fit, where masks are updated whatever the frequency.
        frequency: Steps from one update of the masks to the next.
        power: Exponent of "polynomial".
        block_size: Height and width of the blocks that go together, in kernels of 2 dimensions.
        block_pooling: "AVG" or "MAX" of the magnitudes, which stands for a block.
        pattern: Such as "2:4", two zeros in every four consecutive inputs of a unit, as TFMOT counts;
            set at the first step from `begin` on, and kept.
        exclude: Layers to leave out, by name or type.
        depthwise: Whether depthwise kernels are pruned too.
        ranking: "layer" prunes every kernel to the sparsity; "global" takes the smallest weights of all
            kernels together, so that kernels of small weights lose more.
        layers: The sparsity of single layers instead, by name or type, such as `{"head": 0.2}`; of names
            that fit one layer the last counts.
        granularity: "weight", or "unit": the sparsity is the share of units of dense layers and channels of
            convolutions that become zero, those of the smallest Euclidean norm, with their bias and the gamma and
            beta of a BatchNormalization behind them. Units that are outputs of the model stay, and so do recurrent
            layers, attention and the depthwise half of separable convolutions. `shrink` takes zero units out of the
            model's shapes.

    Raises:
        ParameterError: If parameters do not go together.

    Example:
        >>> import numpy as np
        >>> inputs = keras.Input((8,))
        >>> model = keras.Model(inputs, keras.layers.Dense(4, name="out")(inputs))
        >>> data = Data((np.ones((4, 8)), np.ones((4, 4))))
        >>> _ = Prune(0.75).compress(model, data, epochs=0, directory=Path())
        >>> float((model.get_layer("out").kernel.numpy() == 0).mean())
        0.75
    """

    def __init__(
        self,
        sparsity: float,
        schedule: Literal["polynomial", "constant"] = "polynomial",
        initial_sparsity: float = 0.0,
        begin: int = 0,
        end: int | None = None,
        frequency: int = 100,
        power: float = 3,
        block_size: Sequence[int] = (1, 1),
        block_pooling: Literal["AVG", "MAX"] = "AVG",
        pattern: str | None = None,
        exclude: Sequence[str] = (),
        depthwise: bool = False,
        ranking: Literal["layer", "global"] = "layer",
        layers: Mapping[str, float] | None = None,
        granularity: Literal["weight", "unit"] = "weight",
    ) -> None:
        self.settings = schemas.Prune(
            sparsity=sparsity,
            schedule=schedule,
            initial_sparsity=initial_sparsity,
            begin=begin,
            end=end,
            frequency=frequency,
            power=power,
            block_size=(block_size[0], block_size[1]),
            block_pooling=block_pooling,
            pattern=pattern,
            exclude=tuple(exclude),
            depthwise=depthwise,
            ranking=ranking,
            layers=None if layers is None else dict(layers),
            granularity=granularity,
        )
        _check(self.settings)
        tfmot.pruning()

    def callback(self) -> PruneCallback:
        """The Keras callback that prunes within one `fit`."""
        return PruneCallback(self.settings)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Prunes a model while it trains on the train part.

        Args:
            model: A built model, compiled where epochs is not 0; it is changed.
            data: The train part is fitted.
            epochs: Epochs of training; 0 prunes to the target at once.
            directory: Not used.

        Raises:
            ModelError: If the model is not built or not compiled, has nothing to prune, or a kernel's shape
                does not go with the block size or the pattern.
        """
        if epochs == 0:
            return Compressed(model, notes=self._prune_once(model))
        require_compiled(model)
        callback = PruneCallback(
            _counted_from(self.settings, int(keras.ops.convert_to_numpy(model.optimizer.iterations)))
        )
        train(model, data, epochs, [callback])
        return Compressed(model, notes=callback.notes)

    def _prune_once(self, model: keras.Model) -> tuple[str, ...]:
        masks = Masks(chosen(model, self.settings), self.settings, model.distribute_strategy)
        masks.finish()
        masks.apply()
        return masks.missed()


def _counted_from(settings: schemas.Prune, updates: int) -> schemas.Prune:
    end = None if settings.end is None else settings.end + updates
    return dataclasses.replace(settings, begin=settings.begin + updates, end=end)


def _check(settings: schemas.Prune) -> None:
    if settings.end is not None and settings.end < settings.begin:
        raise _refusal("end", f"at least begin, which is {settings.begin}", settings.end)
    if min(settings.block_size) < 1:
        raise _refusal("block_size", "two ints >= 1", settings.block_size)
    for name, share in (settings.layers or {}).items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
            raise _refusal("layers", "sparsities in [0, 1) by layer", {name: share})
    structured = settings.pattern is not None or settings.block_size != (1, 1)
    if settings.granularity == "unit" and structured:
        raise _refusal("granularity", "'weight' where there are blocks or a pattern", "unit")
    if settings.granularity == "unit" and settings.depthwise:
        raise _refusal("granularity", "'weight' where depthwise kernels are pruned, which have no units", "unit")
    if settings.ranking == "global" and (structured or settings.granularity == "unit"):
        raise _refusal("ranking", "'layer' where there are blocks, a pattern or units", "global")
    if settings.pattern is None:
        return
    if not re.fullmatch(r"[0-9]+:[0-9]+", settings.pattern):
        raise _refusal("pattern", "zeros:values such as '2:4'", settings.pattern)
    zeros, group = zeros_of(settings.pattern)
    if not 0 < zeros < group:
        raise _refusal("pattern", "fewer zeros than values and at least one, such as '2:4'", settings.pattern)
    if settings.block_size != (1, 1):
        raise _refusal("block_size", f"(1, 1) where there is a pattern ({settings.pattern!r})", settings.block_size)


def _refusal(name: str, wanted: str, value: Any) -> ParameterError:
    return ParameterError(f"the parameter {name!r} of compressor 'prune' must be {wanted}; got {value!r}")
