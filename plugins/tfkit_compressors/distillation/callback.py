"""DistillCallback: one `fit` of a student whose loss has the teacher's answers in it."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.attached import Attached
from tfkit.attach.methods import functions_of, remove_from_method, wrap_method
from tfkit.errors import ModelError
from tfkit.models import require_compiled
from tfkit_compressors.distillation.features import Features
from tfkit_compressors.distillation.lesson import Lesson
from tfkit_compressors.distillation.taps import Taps
from tfkit_compressors.schemas import Distill


class DistillCallback(Attached):
    """Puts alpha · loss + (1 − alpha) · distillation loss in the place of the student's loss.

    The student's own loss, optimizer and metrics are those it was compiled with; penalties of layers and
    regularizers count in full. `val_loss` is the student's own loss. The logs of an epoch have
    `student_loss`, `distillation_loss` and, with features, `feature_loss`.

    Args:
        settings: The parameters of distill.
        teachers: Keras models, or "source" for the student as it is when the fit begins.
        lesson: Answers of the teachers that were computed before; then the batches carry them.

    Raises:
        ModelError: When the fit begins or in its first step, if the student cannot learn from the teachers.
    """

    def __init__(self, settings: Distill, teachers: Sequence[Any], lesson: Lesson | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.teachers = list(teachers)
        self._prepared = lesson
        self._lesson: Any = None
        self._figures: dict[str, keras.metrics.Mean] = {}
        self._installed = contextlib.ExitStack()
        # The answers that came with a batch, by thread: replicas are traced in threads of their own.
        self._carried = threading.local()
        self._is_reached = False

    def install(self, model: keras.Model) -> None:
        _check(require_compiled(model))
        self._lesson = self._prepared or Lesson(model, self.teachers, self.settings)
        self._is_reached = False
        names = ["student_loss", "distillation_loss"] + ["feature_loss"] * bool(self.settings.features)
        with contextlib.ExitStack() as stack, model.distribute_strategy.scope():
            self._figures = {name: keras.metrics.Mean(name) for name in names}
            self._install_features(model, stack)
            _wrap(stack, model, "compute_loss", self._loss)
            if self._prepared is not None:
                _wrap(stack, model, "train_step", self._carrying_step)
            self._installed = stack.pop_all()

    def uninstall(self, model: keras.Model) -> None:
        self._installed.close()
        self._lesson = self._features = self._taps = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for figure in self._figures.values():
            figure.reset_state()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._is_reached:
            raise ModelError(
                f"the train_step of model {self.model.name!r} does not call self.compute_loss(x, y, y_pred, …), "
                "where distill adds the teacher's answers: call it there"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update({name: float(figure.result()) for name, figure in self._figures.items()})

    def _install_features(self, model: keras.Model, stack: contextlib.ExitStack) -> None:
        self._taps = self._features = None
        if not self.settings.features:
            return
        ours, theirs = zip(*self.settings.features)
        self._taps = stack.enter_context(Taps(model, ours))
        self._features = Features(self._taps, self._lesson.tap(theirs), self._lesson.reduction)

    def _carrying_step(self, step: Any, data: Any) -> Any:
        batch, self._carried.answers = data
        return step(batch)

    def _loss(
        self,
        compute_loss: Any,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        own = compute_loss(x, y, y_pred, sample_weight, training=training)
        if not training:
            return own
        self._is_reached = True
        penalties = _penalties(self.model)
        ours = self._taps.outputs() if self._taps else []
        answers, theirs = self._answers(x)
        taught = self._lesson.loss(answers, y, y_pred, sample_weight)
        alpha = self.settings.alpha
        total = alpha * own + (1 - alpha) * (taught + penalties)
        figures = {"student_loss": own, "distillation_loss": taught}
        if ours:
            figures["feature_loss"] = self._features(ours, theirs, sample_weight)
            total += self.settings.feature_weight * figures["feature_loss"]
        self._note(figures, y_pred)
        return total

    def _answers(self, x: Any) -> tuple[list[Any], list[Any]]:
        if self._prepared is not None:
            return [self._carried.answers], []
        if x is None:
            raise ModelError(
                f"the train_step of model {self.model.name!r} gives compute_loss no x, which the teacher reads: pass it"
            )
        return self._lesson.answers(x)

    def _note(self, figures: dict[str, Any], y_pred: Any) -> None:
        # Keras divides a loss by the number of replicas, whose gradients it adds.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        rows = tf.shape(keras.tree.flatten(y_pred)[0])[0]
        for name, value in figures.items():
            self._figures[name].update_state(value * replicas, sample_weight=rows)


def _check(model: keras.Model) -> None:
    around = functions_of(model, "compute_loss")
    if any(isinstance(getattr(each, "__self__", None), DistillCallback) for each in around):
        raise ModelError("two distill callbacks are in one fit: give one of them a list of teachers")
    if "training" not in inspect.signature(model.compute_loss).parameters:
        raise ModelError(
            f"the compute_loss of model {model.name!r} takes no argument 'training', so that training cannot be told "
            "from validation: add it"
        )


def _penalties(model: keras.Model) -> Any:
    """What regularizers and layers add to the loss."""
    return sum((model._aggregate_additional_loss(each) for each in model.losses), start=0.0)


def _wrap(stack: contextlib.ExitStack, model: keras.Model, name: str, function: Any) -> None:
    """Puts a function around a method of the model until the stack is closed."""
    wrap_method(model, name, function)
    stack.callback(remove_from_method, model, name, function)
