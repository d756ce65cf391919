"""Averaged, the base of the metrics that score each class and average the scores."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfkit.errors import ParameterError
from tfkit_metrics.averages import AVERAGES, Counts
from tfkit_metrics.base import Classification, by_class
from tfkit_metrics.inputs import Batch


class ClassCounts(Classification):
    """Four float64 counts for each class; subclasses make `result` of them."""

    def create_state(self, classes: int) -> None:
        self.table = self.counts("counts", (len(Counts._fields), classes))

    def add(self, batch: Batch) -> None:
        count = _count_labels if self.form.multi_label else _count_classes
        counts = count(batch, self.table.shape[1])
        doubtful = (counts.hits + batch.doubt, counts.predicted + batch.doubt, counts.actual + batch.doubt)
        self.table.assign_add(tf.stack([*doubtful, counts.seen]))

    def class_counts(self) -> Counts:
        """The counts so far, float64 (classes,); of shape (0,) before the first batch where `num_classes` is None."""
        if self.classes is None:
            return Counts(*tf.zeros((len(Counts._fields), 0), tf.float64))
        return Counts(*tf.unstack(tf.convert_to_tensor(self.table)))


class Averaged(ClassCounts):
    """A score of each class, averaged.

    Subclasses implement `score`, a pure function of the counts.

    Args:
        average: "macro", the mean over the classes seen in labels or predictions (of a multi-label task, over
            all labels); "micro", of all counts together; "weighted", by the weight of each class's rows;
            "binary", class 1 of two; None, the score of each class, of shape (classes,).
        zero_division: Score of a class for which it is 0 / 0.
        **classification: As `tfkit_metrics.base.Classification`.

    Raises:
        ParameterError: If average is none of these, or "binary" where there are not two classes.
    """

    def __init__(self, *, average: str | None = "macro", zero_division: float = 0.0, **classification: Any) -> None:
        if average not in AVERAGES:
            raise ParameterError(f"average must be one of {', '.join(map(repr, AVERAGES))}; got {average!r}")
        super().__init__(**(_of_two_classes(**classification) if average == "binary" else classification))
        self.average = average
        self.zero_division = zero_division

    def score(self, counts: Counts) -> tf.Tensor:
        """The score of each class, or of their sum where the counts are scalars."""
        raise NotImplementedError

    def result(self) -> tf.Tensor:
        return tf.cast(AVERAGES[self.average](self.score, self.class_counts()), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "average": self.average, "zero_division": self.zero_division}


def _of_two_classes(
    *, num_classes: int | None = None, multi_label: bool = False, **classification: Any
) -> dict[str, Any]:
    if multi_label:
        raise ParameterError("average='binary' scores one of two classes; with multi_label=True take another average")
    if num_classes not in (None, 2):
        raise ParameterError(f"average='binary' needs two classes; got num_classes={num_classes}")
    return {**classification, "num_classes": 2}


def _count_classes(batch: Batch, classes: int) -> Counts:
    labels, predictions = batch.labels, batch.predictions
    # What is missed gets an id that is not counted.
    hit = tf.where(tf.equal(labels, predictions), labels, classes)
    given = [by_class(batch.given, ids, classes) for ids in (hit, predictions, labels)]
    if batch.given is None:
        return Counts(*given, given[1] + given[2])
    # Rows of weight 0 are seen too, but for those that are masked.
    present = None if batch.present is None else tf.cast(batch.present, tf.float64)
    return Counts(*given, by_class(present, predictions, classes) + by_class(present, labels, classes))


def _count_labels(batch: Batch, classes: int) -> Counts:
    weights = batch.weights[:, None]
    # Every label of a multi-label task counts as seen, as in scikit-learn.
    return Counts(
        tf.reduce_sum(tf.where(batch.labels & batch.predictions, weights, 0.0), axis=0),
        tf.reduce_sum(tf.where(batch.predictions, weights, 0.0), axis=0),
        tf.reduce_sum(tf.where(batch.labels, weights, 0.0), axis=0),
        tf.ones(classes, tf.float64),
    )
