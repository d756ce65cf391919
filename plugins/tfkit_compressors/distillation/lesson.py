"""Lesson: what a student is to learn from its teachers, output by output."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from tfkit.errors import ModelError
from tfkit_compressors.distillation.heads import REGRESSION, Head, heads, output_names, per_output
from tfkit_compressors.distillation.losses import SoftTargets
from tfkit_compressors.distillation.taps import Taps
from tfkit_compressors.distillation.teachers import SOURCE, Teacher, logits, require_same
from tfkit_compressors.distillation.tensors import mask_of, with_mask
from tfkit_compressors.schemas import Distill


class Lesson:
    """The teachers' answers, and the student's distance from them.

    Args:
        student: A compiled model.
        teachers: Keras models, or "source" for the student with a copy of its present weights.
        settings: The parameters of distill.

    Raises:
        ModelError: The student cannot learn from a teacher; the text says why.
    """

    def __init__(self, student: keras.Model, teachers: Sequence[Any], settings: Distill) -> None:
        self._student = student.name
        self._names = output_names(student)
        self._heads = [each and _with_task(each, settings.task, student) for each in heads(student)]
        self._temperature = settings.temperature
        self._taps: Taps | None = None
        # A teacher that is the student itself would learn with it.
        self._teachers = [
            Teacher.as_it_is(student) if each is student or each == SOURCE else Teacher(each) for each in teachers
        ]
        for teacher in self._teachers:
            teacher.check(student, self._heads)

    @property
    def reduction(self) -> str | None:
        """How the student's first loss is reduced over rows."""
        return next((head.reduction for head in self._heads if head), "sum_over_batch_size")

    def tap(self, names: Sequence[str]) -> Taps:
        """Has `answers` give the outputs of some of the teacher's layers too, and returns those layers.

        Raises:
            ModelError: There are several teachers, or no such layer.
        """
        if len(self._teachers) > 1:
            raise ModelError(f"features are those of one teacher; got {len(self._teachers)} teachers")
        self._taps = Taps(self._teachers[0].model, names)
        return self._taps

    def answers(self, x: Any) -> tuple[list[Any], list[Any]]:
        """The teachers' softened answers to a batch, averaged, and the features that are tapped.

        Returns:
            For each output a tensor of shape (batch, …, classes), None for one that has no loss; and a tensor for
            each tapped layer. No gradient goes through them.
        """
        with self._taps or contextlib.nullcontext():
            found = [each.answers(each(x), self._heads, self._temperature) for each in self._teachers]
        means = [None if each[0] is None else _mean(each) for each in zip(*found)]
        return means, self._taps.outputs() if self._taps else []

    def loss(self, answers: Sequence[Any], y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The distillation loss of a batch: each output's, weighted as the student's losses are.

        Args:
            answers: What `answers` gave.
            y: The labels; where a loss ignores a class, its rows do not count.
            y_pred: What the student gave.
            sample_weight: As for `fit`.
        """
        outputs = keras.tree.flatten(y_pred)
        if len(outputs) != len(self._heads):
            raise ModelError(f"student {self._student!r} gives {len(outputs)} outputs for {len(self._heads)} losses")
        weights = per_output(sample_weight, self._names)
        labels = per_output(y, self._names)
        columns = zip(self._heads, answers, outputs, labels, weights)
        return sum(self._one(*column) for column in columns if column[0] is not None)

    def _one(self, head: Head, answer: Any, output: Any, labels: Any, weight: Any) -> Any:
        require_same(answer.shape, output.shape, head.name)
        found = output
        if head.task != REGRESSION:
            found = logits(output, str(head.task), head.is_logits, f"student {self._student!r}")
        mask = mask_of(output)
        if head.ignored is not None:
            counted = tf.reshape(labels, tf.shape(output)[:-1]) != tf.cast(head.ignored, labels.dtype)
            mask = counted if mask is None else tf.logical_and(mask, counted)
        loss = SoftTargets(str(head.task), self._temperature, head.reduction)
        return head.weight * loss(answer, with_mask(found, mask), weight)


def _mean(answers: Sequence[Any]) -> Any:
    return tf.stop_gradient(sum(answers) / len(answers))


def _with_task(head: Head, task: str, student: keras.Model) -> Head:
    if head.task is not None and task in ("auto", head.task):
        return head
    if task == "auto":
        raise ModelError(
            f"distill does not know what the loss {head.loss} of output {head.name!r} of student {student.name!r} is "
            "for: pass task='softmax', 'sigmoid' or 'regression'"
        )
    if head.task is not None:
        raise ModelError(
            f"task={task!r} contradicts the loss {head.loss} of output {head.name!r}, which is a {head.task}"
        )
    return replace(head, task=task)
