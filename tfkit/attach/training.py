"""One `fit` on the train part, as every part trains that makes a model better or smaller."""

from __future__ import annotations

from collections.abc import Iterable

import keras

from tfkit.attach import deadline
from tfkit.data import Data


def train(model: keras.Model, data: Data, epochs: int, callbacks: Iterable[keras.callbacks.Callback] = ()) -> None:
    """Fits a model on the train part, which shuffles itself, until a deadline that is set.

    Args:
        model: A compiled model; it is changed.
        data: The train part is fitted.
        epochs: Epochs of training.
        callbacks: Keras callbacks, in their order.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> train(model, Data((np.ones((6, 1)), np.ones(6)), batch_size=2), epochs=2)
        >>> int(model.optimizer.iterations)
        6
    """
    every = [*callbacks, *deadline.callbacks()]
    model.fit(data.dataset("train"), epochs=epochs, shuffle=False, callbacks=every, verbose=0)
