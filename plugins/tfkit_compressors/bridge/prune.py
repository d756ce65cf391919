"""TFMOT's own pruning of a Keras 3 model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfkit import Compressed, Data
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.replay import to_tf_keras
from tfkit_compressors.bridge.training import fit
from tfkit_compressors.bridge.wrapped import flat_layers, wrapped_clone


class TfmotPrune:
    """Prunes with TFMOT's `prune_low_magnitude` on a tf_keras twin of the model, and brings the weights back.

    For a comparison with TFMOT, or for who must use it; compressor `prune` does the same in Keras 3, takes
    every layer, and needs no tf_keras.

    Args:
        sparsity: Share of zeros in each kernel at the end.
        initial_sparsity: Share of zeros at the beginning, from which TFMOT's polynomial of power 3 rises.
        frequency: Steps from one update of the masks to the next at most; it has to divide those of the training.

    Raises:
        ModuleNotFoundError: TFMOT or tf_keras is not installed.
    """

    def __init__(self, sparsity: float, initial_sparsity: float = 0.0, frequency: int = 100) -> None:
        self.sparsity = sparsity
        self.initial_sparsity = initial_sparsity
        self.frequency = frequency
        self._api = tfmot.api().sparsity.keras

    def compress(self, model: Any, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Prunes a model while its twin trains on the train part.

        Args:
            model: A built Functional or Sequential model, compiled where epochs is not 0; its weights are changed.
            data: The train part is fitted.
            epochs: Epochs of training; 0 prunes to the target at once.
            directory: Not used.

        Raises:
            ModelError: A layer, the optimizer or the loss is refused by tf_keras or TFMOT; the text names it.
            VerificationError: The twin computes something else than the model.
        """
        bridge = to_tf_keras(model, data.sample(4))
        schedule = self._schedule(epochs, data)
        wrapped = wrapped_clone(
            bridge.legacy,
            lambda layer: self._api.prune_low_magnitude(layer, pruning_schedule=schedule),
            "prune_low_magnitude",
        )
        if epochs:
            fit(wrapped, model, data, epochs=epochs, callbacks=[self._api.UpdatePruningStep()])
        else:
            _prune_once(wrapped)
        notes = tuple(_missed(wrapped, self.sparsity))
        bridge.bring_back(self._api.strip_pruning(wrapped))
        return Compressed(model, notes=notes)

    def _schedule(self, epochs: int, data: Data) -> Any:
        """TFMOT's; its steps begin at 0, whatever the optimizer has counted."""
        if not epochs:
            return self._api.ConstantSparsity(self.sparsity, 0, frequency=1)
        batches = data.dataset("train")
        count = int(batches.cardinality())
        steps = epochs * (count if count >= 0 else sum(1 for _ in batches))
        # TFMOT updates masks at multiples of the frequency alone: the last step has to be one.
        frequency = next(each for each in range(min(self.frequency, steps), 0, -1) if steps % each == 0)
        return self._api.PolynomialDecay(self.initial_sparsity, self.sparsity, 0, steps, frequency=frequency)


def _pruned_layers(wrapped: Any) -> list[Any]:
    return [layer for layer in flat_layers(wrapped) if hasattr(layer, "pruning_obj")]


def _prune_once(wrapped: Any) -> None:
    for layer in _pruned_layers(wrapped):
        layer.pruning_step.assign(1)
        layer.pruning_obj.conditional_mask_update()
        layer.pruning_obj.weight_mask_op()


def _missed(wrapped: Any, sparsity: float) -> Iterator[str]:
    """A sentence for each sparsity that is more than 0.01 off the one asked for, as after a training cut short."""
    for layer in _pruned_layers(wrapped):
        for weight, mask, _ in layer.pruning_vars:
            share = 1 - float(mask.numpy().mean())
            if abs(share - sparsity) > 0.01:
                yield f"{weight.name!r} has a sparsity of {share:.4g}, {sparsity:.4g} was asked for"
