"""Teachers: models that answer in inference mode, and change in nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import nothing_replaced
from tfkit.errors import ModelError, ParameterError
from tfkit.models import load_model, require_built
from tfkit_compressors.distillation.ends import end_activation
from tfkit_compressors.distillation.heads import REGRESSION, SIGMOID, SOFTMAX, Head, heads
from tfkit_compressors.distillation.losses import softened
from tfkit_compressors.distillation.tensors import log, noted_logits

SOURCE = "source"


def named_teachers(teacher: Any) -> list[Any]:
    """What the parameter `teacher` names: Keras models, and "source" for the student as it is at the beginning.

    Args:
        teacher: A Keras model, the path of one, "source", or a list of these.

    Raises:
        ParameterError: It is something else.
        ModelError: A file cannot be loaded, holds no Keras model, or a model is not built.
    """
    given = list(teacher) if isinstance(teacher, (list, tuple)) else [teacher]
    if not given:
        raise _refusal(teacher)
    return [_named(each) for each in given]


class Teacher:
    """A model that answers, with the weights it has now or with those it had.

    Args:
        model: A built Keras model. It is called in inference mode, and nothing that it computes is kept in it.
        values: Weights to answer with in place of its own, in the order of `model.weights`.
    """

    def __init__(self, model: keras.Model, values: Sequence[Any] | None = None) -> None:
        self.model = model
        self._values = values
        self._heads = heads(model)

    @classmethod
    def as_it_is(cls, model: keras.Model) -> Teacher:
        """A model with a copy of its present weights: neither what it learns later nor qat changes the teacher."""
        return cls(model, [tf.identity(weight.value) for weight in model.weights])

    def __call__(self, x: Any) -> list[Any]:
        """The outputs for a batch, flattened."""
        values = self._values or [weight.value for weight in self.model.weights]
        with nothing_replaced(), keras.StatelessScope(state_mapping=list(zip(self.model.weights, values))):
            return keras.tree.flatten(self.model(x, training=False))

    def check(self, student: keras.Model, learning: list[Head | None]) -> None:
        """Refuses a student that cannot learn from this teacher, as far as their graphs tell.

        Raises:
            ModelError: Inputs, outputs, classes or tasks differ; the text has both figures.
        """
        if len(self._heads) != len(learning):
            raise ModelError(
                f"teacher {self.model.name!r} has {len(self._heads)} outputs and student {student.name!r} "
                f"{len(learning)}: distill needs as many"
            )
        if getattr(self.model, "outputs", None) and getattr(student, "outputs", None):
            self._check_graphs(student, learning)

    def answers(self, outputs: list[Any], learning: list[Head | None], temperature: float) -> list[Any]:
        """Softened answers for each output that the student learns, None for the others.

        Args:
            outputs: What calling this teacher gave.
            learning: The student's outputs.
            temperature: As for `softened`.

        Raises:
            ModelError: It cannot be told whether an output is logits.
        """
        if len(outputs) != len(learning):
            raise ModelError(f"teacher {self.model.name!r} gives {len(outputs)} outputs, its student {len(learning)}")
        found = zip(outputs, learning, self._heads)
        return [
            student and softened(self._logits(o, student, own), student.task, temperature) for o, student, own in found
        ]

    def _logits(self, output: Any, head: Head, own: Head | None) -> Any:
        if head.task == REGRESSION:
            return output
        return logits(output, str(head.task), None if own is None else own.is_logits, f"teacher {self.model.name!r}")

    def _check_graphs(self, student: keras.Model, learning: list[Head | None]) -> None:
        theirs, ours = ([tuple(each.shape[1:]) for each in model.inputs] for model in (self.model, student))
        if len(theirs) != len(ours) or not all(_fits(*pair) for pair in zip(theirs, ours)):
            raise ModelError(
                f"teacher {self.model.name!r} takes inputs of shape {_told(theirs)} and student {student.name!r} of "
                f"{_told(ours)}: both read the same rows, so give both the same inputs"
            )
        for index, head in enumerate(learning):
            if head is not None:
                require_same(self.model.outputs[index].shape, student.outputs[index].shape, head.name)
                self._check_activation(student, index, head)

    def _check_activation(self, student: keras.Model, index: int, head: Head) -> None:
        ends = end_activation(self.model, index)
        if (
            ends in (SOFTMAX, SIGMOID)
            and head.task != REGRESSION
            and ends not in (head.task, end_activation(student, index))
        ):
            raise ModelError(
                f"teacher {self.model.name!r} ends in a {ends} and student {student.name!r} learns output "
                f"{head.name!r} by {head.loss}, a {head.task}: one picks a class, the other answers for each by itself"
            )


def logits(output: Any, task: str, is_logits: bool | None, owner: str) -> Any:
    """The logits of a classifier's output.

    Args:
        output: A tensor that a model gave.
        task: "softmax" or "sigmoid".
        is_logits: Whether it is logits, None where that is not known.
        owner: Whose it is, for the error's text.

    Raises:
        ModelError: It is not known.
    """
    noted = noted_logits(output)
    if noted is not None:
        return noted
    if is_logits is None:
        raise ModelError(
            f"distill cannot tell whether {owner} gives logits or probabilities: compile it with the loss that it "
            "was trained with"
        )
    if is_logits:
        return output
    # A constant is missing, which a softmax does not see.
    return log(output) if task == SOFTMAX else log(output) - log(1 - output)


def require_same(theirs: Sequence[int | None], ours: Sequence[int | None], name: str) -> None:
    """Refuses a teacher whose output has another shape.

    Args:
        theirs: Shape of the teacher's output, None for a size that is not known.
        ours: Shape of the student's.
        name: The output's name.

    Raises:
        ModelError: They differ; the text has both.
    """
    if _fits(tuple(theirs[1:]), tuple(ours[1:])):
        return
    if len(theirs) == len(ours) and _fits(tuple(theirs[1:-1]), tuple(ours[1:-1])):
        raise ModelError(
            f"teacher and student have different classes: {theirs[-1]} and {ours[-1]} in output {name!r}; "
            "give the student as many"
        )
    raise ModelError(f"the output {name!r} has shape {tuple(theirs)} in the teacher and {tuple(ours)} in the student")


def _named(teacher: Any) -> Any:
    if isinstance(teacher, str) and teacher == SOURCE:
        return SOURCE
    if isinstance(teacher, (str, Path)):
        loaded = load_model(teacher)
        if not isinstance(loaded, keras.Model):
            raise ModelError(f"{str(teacher)!r} holds no Keras model to be a teacher: give its .keras or .h5 file")
        return loaded
    if not isinstance(teacher, keras.Model):
        raise _refusal(teacher)
    return require_built(teacher)


def _refusal(teacher: Any) -> ParameterError:
    return ParameterError(
        "the parameter 'teacher' of compressor 'distill' must be a Keras model, the path of one, a list of these, or "
        f"'source' for the model as it is at the beginning; got {teacher!r}"
    )


def _fits(theirs: tuple[int | None, ...], ours: tuple[int | None, ...]) -> bool:
    return len(theirs) == len(ours) and all(a is None or b is None or a == b for a, b in zip(theirs, ours))


def _told(shapes: list[tuple[int | None, ...]]) -> str:
    return " and ".join(str(each) for each in shapes)
