"""Distillation of what a teacher knows into a student."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfkit import Compressed, Data
from tfkit.attach.training import train
from tfkit.data import is_dataset
from tfkit.models import require_built, require_compiled
from tfkit_compressors import schemas
from tfkit_compressors.distillation.callback import DistillCallback
from tfkit_compressors.distillation.lesson import Lesson
from tfkit_compressors.distillation.teachers import named_teachers
from tfkit_compressors.distillation.tensors import float32

_LARGEST = 2**28


class Distill:
    """Trains a model on the answers of a teacher beside the labels.

    The loss is alpha · own + (1 − alpha) · T² · KL(teacher ‖ student), both softened by the temperature T: own is the
    loss that the student was compiled with, which also says what its outputs are (classes, labels that are each
    true or not, or values, of which the mean squared difference is taken). Logits and probabilities are told apart.
    A teacher answers in inference mode and is not changed. Sample weights, masks, `loss_weights` and the reduction of
    the student's loss hold for the distillation loss too.

    Source: Distilling the knowledge in a neural network, Hinton, Vinyals and Dean 2015.

    Args:
        teacher: A Keras model, the path of one, a list of these whose softened answers are averaged, or "source" for
            the model as it is at the beginning (self-distillation, after pruning say).
        temperature: T, which softens classes: 1 leaves them as they are.
        alpha: Weight of the student's own loss, between 0 and 1.
        features: Pairs of layer names, the student's and the teacher's, whose outputs are to be alike; through a
            learned projection where they have other channels.
        feature_weight: Weight of the mean squared difference of features.
        task: What the outputs are where the loss does not say it: "softmax", "sigmoid" or "regression".

    Raises:
        ParameterError: The teacher is none of these.
        ModelError: A teacher's file cannot be loaded, or a teacher is not built.

    Example:
        >>> def model(units):
        ...     return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3)])
        >>> teacher, student = model(16), model(2)
        >>> student.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> data = Data((np.ones((8, 2)), np.zeros(8)))
        >>> made = Distill(teacher).compress(student, data, epochs=1, directory=Path())
        >>> made.model is student
        True
    """

    def __init__(
        self,
        teacher: Any = "source",
        temperature: float = 4.0,
        alpha: float = 0.1,
        features: Sequence[tuple[str, str]] = (),
        feature_weight: float = 1.0,
        task: Literal["auto", "softmax", "sigmoid", "regression"] = "auto",
    ) -> None:
        self.settings = schemas.Distill(
            teacher=teacher,
            temperature=temperature,
            alpha=alpha,
            features=tuple((ours, theirs) for ours, theirs in features),
            feature_weight=feature_weight,
            task=task,
        )
        self.teachers = named_teachers(teacher)

    def callback(self) -> DistillCallback:
        """The Keras callback that distills within one `fit`."""
        return DistillCallback(self.settings, self.teachers)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Trains a student on the train part.

        Where that is arrays and several epochs long, the teacher answers each row once, beforehand, as long as
        the answers to all rows take 256 MiB at most.

        Args:
            model: The student, built and compiled; it is changed.
            data: The train part is fitted.
            epochs: Epochs of training; 0 trains nothing.
            directory: Not used.

        Raises:
            ModelError: The student is not built or not compiled, or cannot learn from the teacher.
        """
        if epochs == 0:
            require_built(model)
            return Compressed(model, notes=("distill trains nothing in 0 epochs",))
        callback = self.callback()
        if self._can_prepare(require_compiled(model), data, epochs):
            lesson = Lesson(model, self.teachers, self.settings)
            callback = DistillCallback(self.settings, self.teachers, lesson)
            data = _with_answers(data, lesson)
        train(model, data, epochs, [callback])
        return Compressed(model)

    def _can_prepare(self, model: keras.Model, data: Data, epochs: int) -> bool:
        if epochs == 1 or self.settings.features:
            return False
        is_plain = not is_dataset(data.train) and all(isinstance(each, np.ndarray) for each in data.train)
        # Keras builds a model of a strategy's scope on a first batch, which must then be (x, y).
        is_alone = model.distribute_strategy is tf.distribute.get_strategy()
        return is_plain and is_alone and _answer_bytes(model, data) <= _LARGEST


def _answer_bytes(model: keras.Model, data: Data) -> int:
    """Bytes of a teacher's answers to all rows of the train part, which have the shape of the student's."""
    outputs = keras.tree.flatten(model(tf.convert_to_tensor(data.train[0][:1]), training=False))
    return data.rows("train") * sum(each.shape.num_elements() * float32(each).dtype.size for each in outputs)


def _with_answers(data: Data, lesson: Lesson) -> Data:
    """Data whose train part's batches are `((x, y), answers)`, in the order they would have without answers."""

    @tf.function(reduce_retracing=True, autograph=False)
    def answer(x: Any) -> Any:
        return lesson.answers(x)[0][0]

    batches = tf.data.Dataset.from_tensor_slices(data.train[0]).batch(data.batch_size)
    answers = np.concatenate([answer(x).numpy() for x in batches])
    return dataclasses.replace(data, train=(data.train, answers), validation=None, test=None)
