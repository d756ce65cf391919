"""Two repairs of Keras's trainer under strategies of several replicas, for the life of the process.

The one place that puts functions of its own into Keras's trainer, where it also tells of the models that are made.
Under a strategy of one replica, and where Keras is right, they do what Keras does. Both errors come before a callback
is asked, or out of its reach:

- before a fit Keras builds the model on the mean of the first batch over its replicas. Where they have different
  numbers of rows, as with 11 rows over 2, that fails (`AddN … [6,4] != [5,4]`), and over several workers always
  (keras issue 20585). Here it is built on the first of this process's parts.
- over several workers Keras takes the mean of logs along an axis that they do not have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import trainer

from tfkit.attach.replicas.preflight import check_optimizer_scope

_Strategy = TypeVar("_Strategy", bound=tf.distribute.Strategy)

_kerases_build = trainer.TensorFlowTrainer._maybe_symbolic_build
_kerases_reduce = trainer.reduce_per_replica


def repair_keras() -> None:
    """Puts both repairs in place; again, it does nothing."""
    trainer.TensorFlowTrainer._maybe_symbolic_build = _build_on_a_part
    trainer.reduce_per_replica = _reduce_over_workers


def repaired_for(strategy: _Strategy) -> _Strategy:
    """The strategy, with both repairs in place if it has several replicas."""
    if strategy.num_replicas_in_sync > 1:
        repair_keras()
    return strategy


def restore_keras() -> None:
    """Takes both repairs out: for tests that show what Keras does alone."""
    trainer.TensorFlowTrainer._maybe_symbolic_build = _kerases_build
    trainer.reduce_per_replica = _kerases_reduce


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether a strategy joins several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        strategy.extended._in_multi_worker_mode()
    )


@contextlib.contextmanager
def models_made() -> Iterator[list[keras.Model]]:
    """Gives a list that every Keras model which is made within is put on, when its making begins."""
    made: list[keras.Model] = []
    before = trainer.TensorFlowTrainer.__init__

    def begin(model: keras.Model) -> None:
        before(model)
        made.append(model)

    trainer.TensorFlowTrainer.__init__ = begin
    try:
        yield made
    finally:
        trainer.TensorFlowTrainer.__init__ = before


def _build_on_a_part(model: keras.Model, iterator: Any = None, data_batch: Any = None) -> None:
    strategy = model.distribute_strategy
    if model._distribute_strategy is None or strategy.num_replicas_in_sync == 1 or iterator is None:
        _kerases_build(model, iterator=iterator, data_batch=data_batch)
        return
    check_optimizer_scope(model)
    for _, _, batches in iterator:
        data_batch = keras.tree.map_structure(lambda each: strategy.experimental_local_results(each)[0], next(batches))
        break
    _kerases_build(model, data_batch=data_batch)


def _reduce_over_workers(values: Any, strategy: tf.distribute.Strategy, reduction: str) -> Any:
    if reduction in ("auto", "mean") and is_multi_worker(strategy):
        return keras.tree.map_structure(lambda each: strategy.reduce("MEAN", each, axis=None), values)
    return _kerases_reduce(values, strategy, reduction)
