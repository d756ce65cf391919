"""What a model was compiled with that fails under several replicas, done another way for one fit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.optimizers import batch_count
from tfkit.progress import say

_END_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


@contextlib.contextmanager
def traced_anew(model: keras.Model) -> Iterator[None]:
    """Within it a model evaluates and predicts by functions of its own, and after it by others.

    Keras keeps those it has made: they go by the steps of an execution, and the jit_compile, of that time.
    """
    model.test_function = model.predict_function = None
    try:
        yield
    finally:
        model.test_function = model.predict_function = None


@contextlib.contextmanager
def without_jit(model: keras.Model) -> Iterator[None]:
    """Within it a model is not compiled by XLA, which cannot do what replicas exchange."""
    before = model.jit_compile
    if before:
        say("strategy: jit_compile is off in this fit: XLA cannot compile what replicas exchange")
        model.jit_compile = False
    try:
        yield
    finally:
        model.jit_compile = before


class OneStepAtATime:
    """As a context manager it has the steps of an execution of a model taken one by one, as Keras's loop of them fails.

    Callbacks are told of batches as before, once an execution (keras issue 19246).

    Args:
        model: A compiled model.
        steps: Gives the steps of an epoch, None where they are not known.
    """

    def __init__(self, model: keras.Model, steps: Callable[[], int | None]) -> None:
        self.model = model
        self._steps = steps
        self._size = model.steps_per_execution
        self._left: int | None = None

    def begin_epoch(self) -> None:
        """Counts the steps of an epoch from its first."""
        self._left = self._steps()

    def __enter__(self) -> OneStepAtATime:
        if self._size > 1:
            say(f"strategy: the {self._size} steps of an execution are taken one by one in this fit: no faster than 1")
            self.model.steps_per_execution = 1
            wrap_method(self.model, "make_train_function", self._make)
        return self

    def __exit__(self, *_: object) -> None:
        remove_from_method(self.model, "make_train_function", self._make)
        self.model.steps_per_execution = self._size

    def _make(self, method: Callable[..., Any], force: bool = False) -> None:
        method(force=force)
        step = self.model.train_function
        if force:
            self.model.train_function = lambda iterator: self._take(step, iterator)

    def _take(self, step: Callable[[Any], Any], iterator: Any) -> Any:
        size = self._size if self._left is None else min(self._size, self._left)
        logs = self._counted(step, iterator)
        for _ in range(size - 1):
            try:
                logs = self._counted(step, iterator)
            except _END_OF_DATA:
                break
        if self._left is not None:
            self._left -= size
        return logs

    def _counted(self, step: Callable[[Any], Any], iterator: Any) -> Any:
        """One step. TensorFlow counts it before it asks for data: one that finds none is not to count."""
        if self._left is not None:
            return step(iterator)
        counter = batch_count(self.model.optimizer)
        before = keras.ops.convert_to_numpy(counter)
        try:
            return step(iterator)
        except _END_OF_DATA:
            counter.assign(before)
            raise
