"""Three repairs of Keras's trainer under a strategy, for the life of the process.

The one place that puts functions of its own into Keras's trainer, where it also tells of the models that are made.
All three errors come before a callback is asked, or out of its reach:

- before a fit, and before each evaluation in it, Keras reads a batch to build the model, also one that is built, and
  drops the iterator that has begun to read ahead. TensorFlow's iterator for the devices of a strategy now and then
  reads on in memory that was freed: the process dies of a segmentation fault, in one of fifty fits on a busy machine.
  Here nothing is read for a model that is built, and what is read for another comes from the dataset itself.
- Keras builds on the mean of the first batch over its replicas. Where they have different numbers of rows, as with 11
  rows over 2, that fails (`AddN … [6,4] != [5,4]`), and over several workers always (keras issue 20585). Here it is
  built on the first of this process's parts.
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
    """Puts the repairs in place; again, it does nothing."""
    trainer.TensorFlowTrainer._maybe_symbolic_build = _build_on_a_part
    trainer.reduce_per_replica = _reduce_over_workers


def repaired_for(strategy: _Strategy) -> _Strategy:
    """The strategy, with the repairs in place."""
    repair_keras()
    return strategy


def restore_keras() -> None:
    """Takes the repairs out: for tests that show what Keras does alone."""
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
    if model._distribute_strategy is None:
        return
    if model.distribute_strategy.num_replicas_in_sync > 1:
        check_optimizer_scope(model)
    if iterator is not None and not _is_built(model):
        data_batch = _first_part(model.distribute_strategy, iterator)
    with model.distribute_strategy.scope():
        model._symbolic_build(data_batch=data_batch)


def _is_built(model: keras.Model) -> bool:
    """Whether Keras would do without a batch: layers, metrics and loss have their variables."""
    compiled = [model._compile_metrics, model._compile_loss]
    return all(part is None or part.built for part in (*model._flatten_layers(), *compiled))


def _first_part(strategy: tf.distribute.Strategy, iterator: Any) -> Any:
    """The rows that this process's first replica would see first."""
    parts = getattr(iterator._distributed_dataset, "_cloned_datasets", None)
    if parts:
        iterator.data_adapter.on_epoch_begin()  # the workers of a PyDataset; the reset that follows ends them
        return next(iter(parts[0]))
    for _, _, batches in iterator:  # from a function of the user's own
        return keras.tree.map_structure(lambda each: strategy.experimental_local_results(each)[0], next(batches))
    return None


def _reduce_over_workers(values: Any, strategy: tf.distribute.Strategy, reduction: str) -> Any:
    if reduction in ("auto", "mean") and is_multi_worker(strategy):
        return keras.tree.map_structure(lambda each: strategy.reduce("MEAN", each, axis=None), values)
    return _kerases_reduce(values, strategy, reduction)
