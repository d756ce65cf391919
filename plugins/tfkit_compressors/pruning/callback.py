"""PruneCallback: prunes a model within one `fit`."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit.attach.epochs import steps_of
from tfkit_compressors.kernels import zero_share
from tfkit_compressors.pruning.chosen import chosen
from tfkit_compressors.pruning.masks import Masks
from tfkit_compressors.pruning.step import MaskedStep
from tfkit_compressors.schemas import Prune

_UNKNOWN = (
    "prune did not know the number of batches before the last one, so the model was pruned after it and not "
    "trained since: pass steps_per_epoch to fit, or train more than one epoch"
)


class PruneCallback(Attached):
    """Masks the kernels of smallest magnitude while a model trains; the zeros stay, nothing else does.

    A step is an update of the optimizer, counted by `optimizer.iterations`. A fit that begins after
    `begin` goes on where an earlier one stopped: the zeros that are there stay masked.

    Args:
        settings: The parameters of prune.

    Attributes:
        notes: After the fit, a sentence for each sparsity that was missed.

    Raises:
        ModelError: When the fit begins, if there is nothing to prune or a kernel's shape does not fit.
    """

    def __init__(self, settings: Prune) -> None:
        super().__init__()
        self.settings = settings
        self.notes: tuple[str, ...] = ()
        self._masks: Any = None
        self._step: Any = None
        self._begun: int | None = None
        self._last: int | None = None
        self._ended: Any = None

    def install(self, model: keras.Model) -> None:
        self._masks = Masks(chosen(model, self.settings), self.settings, model.distribute_strategy)
        self._step = MaskedStep(self._masks, model.optimizer, model.distribute_strategy)
        self._step.install()
        self.notes = ()
        self._begun = self._last = self._ended = None

    def uninstall(self, model: keras.Model) -> None:
        self._step.remove()
        self._ended = self._masks
        self._masks = self._step = self._begun = None

    def finish(self, model: keras.Model) -> None:
        # Another callback may have restored weights of an epoch with fewer zeros.
        self._ended.apply()
        self._ended = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seen = self._step.batches
        steps = self.params.get("steps") or (None if self._begun is None else seen - self._begun)
        if self._last is None:
            self._plan(seen, None if steps is None else seen + steps_of(steps, range(epoch, self.params["epochs"])))
        self._begun = seen
        self._step.end_epoch_at(None if steps is None else seen + steps_of(steps, range(epoch, epoch + 1)))
        self._masks.update_if_due(self._step.updates(seen) + 1)
        self._masks.apply()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._masks.apply()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._begun is not None:
            self._finish()
        super().on_train_end(logs)

    def _plan(self, seen: int, until: int | None) -> None:
        """Sets the timetable: when the fit begins, and again when the length of an epoch is known."""
        first = self._step.updates(seen) + 1
        self._last = None if until is None else self._step.updates(until)
        self._masks.plan(first, self._last)
        if self._begun is not None:
            self._retrace(self.model)
            return
        if first > max(1, self.settings.begin):
            self._masks.keep_zeros()
        if self.settings.end is not None and self.settings.end < first:
            self._tell_past(first - 1)

    def _finish(self) -> None:
        done = self._step.updates(self._step.batches)
        is_open = self.settings.end is None and not self.model.stop_training
        if is_open and done >= self.settings.begin and (self._last is None or done < self._last):
            self._masks.finish()
        self._masks.apply()
        if self.notes:
            return
        if is_open and self._last is None and self.settings.schedule == "polynomial":
            self._tell(_UNKNOWN)
        self._tell(*self._masks.missed())

    def _tell_past(self, done: int) -> None:
        kernel = self._masks.kernels[0]
        self._tell(
            f"prune's end={self.settings.end} is past, the optimizer has made {done} updates: no mask is updated; "
            f"{kernel.path!r} has a sparsity of {zero_share(kernel):.4g}, {self.settings.sparsity:.4g} was asked for"
        )

    def _tell(self, *sentences: str) -> None:
        self.notes += sentences
        if sentences:
            warnings.warn("; ".join(sentences), stacklevel=2)
