"""Attached, the base of every callback that changes a model for one `fit`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

# How a finite dataset says that it is at its end; not a failure.
_END_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


class Attached(keras.callbacks.Callback):
    """Installs something on the model when training begins and removes it when training ends.

    It ends with the last epoch, with an exception in a training step or with Ctrl-C there; where
    another callback raises, what is left is removed when this callback is used again.

    Subclasses implement `install` and `uninstall`. The train function is traced anew after both:
    Keras keeps the old graph otherwise and the change would have no effect.
    """

    def __init__(self) -> None:
        super().__init__()
        self._installed_on: keras.Model | None = None

    def install(self, model: keras.Model) -> None:
        """Changes the model. Called once, before the first step; the optimizer is built."""
        raise NotImplementedError

    def uninstall(self, model: keras.Model) -> None:
        """Puts back everything that `install` changed."""
        raise NotImplementedError

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._remove()
        self.install(self.model)
        self._installed_on = self.model
        self.model.make_train_function(force=True)
        self._guard(self.model)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._remove()

    def _remove(self) -> None:
        model, self._installed_on = self._installed_on, None
        if model is None:
            return
        self.uninstall(model)
        model.train_function = None

    def _guard(self, model: keras.Model) -> None:
        """Takes everything off when a step raises, since Keras then calls no callback."""
        step = model.train_function

        def guarded(iterator: Any) -> Any:
            try:
                return step(iterator)
            except _END_OF_DATA:
                raise
            except BaseException:
                self._remove()
                raise

        model.train_function = guarded
