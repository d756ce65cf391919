"""R² and the correlations of Pearson and Spearman."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit.errors import DataError
from tfkit_metrics import ranking
from tfkit_metrics.kept import Rows
from tfkit_metrics.moments import Moments, merge_all, merged, moments, without_noise
from tfkit_metrics.regression import Numbers, Regression


class Comoments(Regression):
    """A number made of the moments of two columns; subclasses implement `pair` and `score`.

    Each replica of a strategy fills a part of the state of its own: parts can be added up, as Keras does to read
    a metric's variables, where means cannot.
    """

    def create_state(self, outputs: int) -> None:
        parts = tf.distribute.get_strategy().num_replicas_in_sync
        self.parts = self.counts("moments", (parts, len(Moments._fields), outputs))

    def pair(self, batch: Numbers) -> tuple[tf.Tensor, tf.Tensor]:
        """The two columns, float64 (m, outputs)."""
        raise NotImplementedError

    def score(self, found: Moments) -> tf.Tensor:
        """The score of each output, float64 (outputs,)."""
        raise NotImplementedError

    def add(self, batch: Numbers) -> None:
        context = tf.distribute.get_replica_context()
        replica = 0 if context is None else context.replica_id_in_sync_group
        parts = tf.convert_to_tensor(self.parts)
        mine = tf.reshape(tf.equal(tf.range(parts.shape[0]), replica), (-1, 1, 1))
        # Of a replica's own copy all other parts are zeros.
        before = Moments(*tf.unstack(tf.reduce_sum(parts, 0)))
        now = tf.stack(merged(before, moments(*self.pair(batch), batch.given)))
        self.parts.assign(tf.where(mine, now[None], tf.zeros_like(parts)))

    def result(self) -> tf.Tensor:
        if self.outputs is None:
            return tf.constant(float("nan"), self.dtype)
        found = merge_all(tf.convert_to_tensor(self.parts))
        defined = found.rows >= 2
        return tf.cast(tf.reduce_mean(tf.where(defined, self.score(found), float("nan"))), self.dtype)


@keras.saving.register_keras_serializable(package="tfkit")
class R2(Comoments):
    """R², the share of the labels' variance that predictions explain; at most 1. Arguments as `Streaming`.

    Of constant labels it is 1 where predictions equal them, else 0, as scikit-learn's; NaN of fewer than two rows.

    Example:
        >>> round(float(R2()(y_true=[1.0, 2.0, 3.0], y_pred=[1.0, 2.0, 4.0])), 4)
        0.5
    """

    def pair(self, batch: Numbers) -> tuple[tf.Tensor, tf.Tensor]:
        return batch.actual, batch.actual - batch.predicted

    def score(self, found: Moments) -> tf.Tensor:
        missed = found.spread_y + found.weight * tf.square(found.mean_y)
        spread = without_noise(found.spread_x, found.mean_x, found.weight)
        of_constant = tf.cast(tf.equal(missed, 0), tf.float64)
        return tf.where(tf.equal(spread, 0), of_constant, 1 - tf.math.divide_no_nan(missed, spread))


class Unweighted(Regression):
    """A metric that is not defined for rows of several weights."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Raises:
            DataError: If sample_weight is given.
        """
        if sample_weight is not None:
            raise DataError(f"metric {self.name!r} takes no sample_weight; give it rows that weigh alike")
        super().update_state(y_true, y_pred)


@keras.saving.register_keras_serializable(package="tfkit")
class Pearson(Unweighted, Comoments):
    """Pearson's correlation of labels and predictions, from -1 to 1. Takes no sample_weight. Arguments as `Streaming`.

    NaN where labels or predictions are constant, or of fewer than two rows.

    Example:
        >>> round(float(Pearson()(y_true=[1.0, 2.0, 3.0], y_pred=[1.0, 2.0, 4.0])), 4)
        0.982
    """

    def pair(self, batch: Numbers) -> tuple[tf.Tensor, tf.Tensor]:
        return batch.actual, batch.predicted

    def score(self, found: Moments) -> tf.Tensor:
        x = without_noise(found.spread_x, found.mean_x, found.weight)
        y = without_noise(found.spread_y, found.mean_y, found.weight)
        return tf.clip_by_value(found.together / (tf.sqrt(x) * tf.sqrt(y)), -1.0, 1.0)


@keras.saving.register_keras_serializable(package="tfkit")
class Spearman(Unweighted):
    """Pearson's correlation of the ranks of labels and predictions. Takes no sample_weight. Arguments as `Streaming`.

    Equal values share the mean of their ranks. All values are kept, in host memory; when it is computed, and where it
    cannot be, is as `tfkit_metrics.ranked.Ranked` without bins. NaN where labels or predictions are constant.

    Example:
        >>> float(Spearman()(y_true=[1.0, 2.0, 3.0], y_pred=[1.0, 20.0, 300.0]))
        1.0
    """

    def __init__(self, **streaming: Any) -> None:
        super().__init__(**streaming)
        self.rows = Rows(self.name, "compile with jit_compile=False, or take pearson")

    def create_state(self, outputs: int) -> None:
        """Nothing to create: rows are kept."""

    def add(self, batch: Numbers) -> None:
        self.rows.add(batch.actual, batch.predicted, batch.weights[:, 0])

    def result(self) -> tf.Tensor:
        (found,) = self.rows.compute(_spearman, (tf.float64,))
        return tf.cast(tf.ensure_shape(found, ()), self.dtype)

    def reset_state(self) -> None:
        self.rows.clear()

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> Any:
        raise DataError(f"metric {self.name!r} keeps its rows outside of variables: it cannot be used stateless")


def _spearman(actual: Any = None, predicted: Any = None, weights: Any = None) -> tuple[float]:
    if actual is None or np.isnan(actual).any() or np.isnan(predicted).any():
        return (float("nan"),)
    columns = zip(actual.T, predicted.T)
    return (float(np.mean([ranking.correlation(ranking.ranks(x), ranking.ranks(y)) for x, y in columns])),)
