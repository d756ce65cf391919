"""Areas under the ROC curve and the precision-recall curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit.errors import DataError, ParameterError
from tfkit_metrics import binned, ranking
from tfkit_metrics.averages import ratio
from tfkit_metrics.base import by_class
from tfkit_metrics.class_scores import Scored, probabilities
from tfkit_metrics.inputs import Batch
from tfkit_metrics.kept import Rows

AVERAGES = ("micro", "macro", "weighted", "binary", None)


class Ranked(Scored):
    """A score of how classes' scores order the rows, each class against the rest, averaged.

    All scores are kept, in host memory, and the result is exact, whatever range they are squeezed into. It is computed
    eagerly, as Keras does at the end of an epoch; a result in a graph, such as a progress bar shows, is exact on the
    first batch and then renewed whenever a tenth more rows have come. With `bins` memory is fixed, jit_compile and
    several workers are at home, and `error_bound` tells how far from exact the result may be.

    Args:
        average: "macro", the mean over the classes that occur in the labels (of a multi-label task over all labels
            whose score is defined); "weighted", by the weight of each class's rows; "micro", of all classes' columns
            as one; None, the score of each class, of shape (classes,). A task of two classes has one score, class
            1's, unless average is None; "binary" says so.
        bins: None to be exact, or a number of bins of log-odds.
        **classification: As `tfkit_metrics.base.Classification`; `threshold` changes nothing.

    Raises:
        ParameterError: If average is none of these; when rows are added, if predictions are class ids; without
            `bins` also under jit_compile or several workers.
    """

    # Of (positive, scores, weights), and of histograms.
    exact: Callable[..., float]
    approximate: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    # Whether a label that no row has counts in the mean over labels.
    counts_absent_labels = False

    def __init__(self, *, average: str | None = "macro", bins: int | None = None, **classification: Any) -> None:
        if average not in AVERAGES:
            raise ParameterError(f"average must be one of {', '.join(map(repr, AVERAGES))}; got {average!r}")
        self.average, self.bins, self.rows = average, bins, None
        super().__init__(**classification)
        if bins is None:
            self.rows = Rows(self.name, "pass bins=10000, or compile with jit_compile=False")

    def create_state(self, classes: int) -> None:
        if self.average == "binary" and (self.form.multi_label or classes != 2):
            raise ParameterError(f"average='binary' needs two classes; metric {self.form.owner!r} has {classes}")
        if self.bins is not None:
            # Weight of positive and of all rows.
            self.histogram = self.counts("histogram", (2, self._columns(classes), self.bins))

    def add(self, batch: Batch) -> None:
        if self.rows is not None:
            self.rows.add(batch.labels, self._scores(batch), batch.weights + batch.doubt)
            return
        chances, doubts = self._chances(batch)
        columns = self._columns(self.classes or chances.shape[-1])
        places = binned.bin_of(chances, self.bins) + self.bins * tf.range(columns)
        weights = tf.broadcast_to(batch.weights[:, None], tf.shape(places))
        mine = tf.where(_positive(batch.labels, columns, self.form.multi_label), weights, 0.0)
        added = tf.stack([by_class(each, places, columns * self.bins) for each in (mine, weights)])
        self.histogram.assign_add(tf.reshape(added, self.histogram.shape) + doubts)

    def result(self) -> tf.Tensor:
        if self.classes is None:
            return tf.constant(float("nan"), self.dtype)
        scores, support = self._kept_scores() if self.rows is not None else self._binned_scores()[::2]
        return tf.cast(self._averaged(scores, support), self.dtype)

    def error_bound(self) -> float | np.ndarray:
        """By how much the result may differ from the exact one: 0 without `bins`; an array where the result is one.

        For the area under the ROC curve it is half the share of pairs of a positive and a negative row that share a
        bin; for average precision see `tfkit_metrics.binned.average_precision`.
        """
        if self.rows is not None or self.classes is None:
            return 0.0
        _, bounds, support = self._binned_scores()
        found = self._averaged(bounds, support).numpy()
        return float(found) if found.ndim == 0 else found

    def reset_state(self) -> None:
        if self.rows is not None:
            self.rows.clear()
        super().reset_state()

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> Any:
        if self.rows is not None:
            raise DataError(
                f"metric {self.name!r} keeps its rows outside of variables: pass bins=… to use it stateless"
            )
        return super().stateless_update_state(metric_variables, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "average": self.average, "bins": self.bins}

    def _columns(self, classes: int) -> int:
        """Two classes have one column, that of class 1, unless the score of each is asked for."""
        return 1 if self._binary(classes) and self.average is not None else classes

    def _binary(self, classes: int) -> bool:
        return classes == 2 and not self.form.multi_label

    def _scores(self, batch: Batch) -> tf.Tensor:
        """What orders the rows: logits of one column do it as their sigmoid does, those of a softmax do not."""
        scores = batch.predictions
        if self.form.from_logits and not self.form.multi_label and scores.shape[-1] > 1:
            scores = probabilities(scores, batch.present, self.form)[0]
        return scores[:, -1:] if self._binary(self.classes) else scores

    def _chances(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        chances, doubts = probabilities(batch.predictions, batch.present, self.form)
        doubts = doubts + batch.doubt
        if not self._binary(self.classes):
            return chances, doubts
        chances = chances[:, -1:]
        return (tf.concat([1 - chances, chances], -1) if self.average is None else chances), doubts

    def _kept_scores(self) -> tuple[tf.Tensor, tf.Tensor]:
        scores, support = self.rows.compute(self._measure, (tf.float64, tf.float64))
        shape = (1 if self.average == "micro" else self._columns(self.classes),)
        return tf.ensure_shape(scores, shape), tf.ensure_shape(support, shape)

    def _measure(self, labels: Any = None, scores: Any = None, weights: Any = None) -> tuple[Any, Any]:
        """Scores and weights of the classes, each (columns,), of all rows."""
        columns = self._columns(self.classes)
        if labels is None or np.isnan(weights).any() or np.isnan(scores).any():
            return (np.full(1 if self.average == "micro" else columns, np.nan),) * 2
        if columns == 2 and scores.shape[1] == 1:
            scores = np.concatenate([-scores, scores], 1)
        differ = (weights != weights[:1]).any()
        tables = [(_belongs(labels, column, columns), scores[:, column]) for column in range(columns)]
        if self.average == "micro":
            tables = [tuple(np.concatenate(each) for each in zip(*tables))]
            weights = np.tile(weights, columns)
        found = [self.exact(positive, column, weights if differ else None) for positive, column in tables]
        return np.array(found), np.array([weights[positive].sum() for positive, _ in tables])

    def _binned_scores(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        positive, all_rows = tf.unstack(tf.convert_to_tensor(self.histogram))
        if self.average == "micro":
            positive, all_rows = (tf.reduce_sum(each, 0, keepdims=True) for each in (positive, all_rows))
        scores, bounds = self.approximate(positive, all_rows - positive)
        return scores, bounds, tf.reduce_sum(positive, -1)

    def _averaged(self, scores: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
        if self.average is None:
            return scores
        if scores.shape[0] == 1:
            return scores[0]
        weights = support if self.average == "weighted" else tf.cast(self._counted(scores, support), tf.float64)
        weighed = tf.where(tf.equal(weights, 0), tf.zeros_like(scores), scores * weights)
        return ratio(tf.reduce_sum(weighed), tf.reduce_sum(weights), float("nan"))

    def _counted(self, scores: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
        """Which classes count in the mean over classes; all where predictions were NaN."""
        if self.form.multi_label and self.counts_absent_labels:
            return tf.ones_like(scores, tf.bool)
        return tf.math.is_nan(support) | ((support > 0) & ~tf.math.is_nan(scores))


def _positive(labels: tf.Tensor, columns: int, multi_label: bool) -> tf.Tensor:
    """Whether each row is of each column's class, bool (m, columns)."""
    if multi_label:
        return labels
    return tf.equal(labels[:, None], tf.range(columns) if columns > 1 else tf.ones(1, tf.int32))


def _belongs(labels: Any, column: int, columns: int) -> Any:
    if labels.ndim == 2:
        return labels[:, column] != 0
    return labels == (column if columns > 1 else 1)


@keras.saving.register_keras_serializable(package="tfkit")
class RocAuc(Ranked):
    """Area under the ROC curve, of each class against the rest. Arguments as `Ranked`.

    Equals scikit-learn's `roc_auc_score`, with multi_class="ovr" where there are more classes. A class that no row
    has, or every row, has no score: NaN with `average=None`, left out of the mean.

    Example:
        >>> float(RocAuc()(y_true=[0, 0, 1, 1], y_pred=[0.001, 0.004, 0.0035, 0.008]))
        0.75
    """

    exact = staticmethod(ranking.roc_auc)
    approximate = staticmethod(binned.roc_auc)


@keras.saving.register_keras_serializable(package="tfkit")
class AveragePrecision(Ranked):
    """Step-wise area under the precision-recall curve, of each class against the rest. Arguments as `Ranked`.

    Equals scikit-learn's `average_precision_score`. A class that no row has scores 0; it is left out of the mean, but
    a label of a multi-label task counts, as in scikit-learn.

    Example:
        >>> round(float(AveragePrecision()(y_true=[0, 0, 1, 1], y_pred=[0.1, 0.4, 0.35, 0.8])), 4)
        0.8333
    """

    exact = staticmethod(ranking.average_precision)
    approximate = staticmethod(binned.average_precision)
    counts_absent_labels = True
