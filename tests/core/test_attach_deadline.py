"""A deadline ends the fits below it, and says whether it has."""

import time

import keras
import numpy as np
import pytest

from tfkit.attach.deadline import callbacks, deadline


@pytest.mark.parametrize(("seconds", "cut"), [(-1.0, True), (600.0, False)])
def test_a_fit_ends_after_the_batch_in_which_time_is_up(seconds, cut):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with deadline(time.monotonic() + seconds) as limit:
        model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, epochs=3, verbose=0, callbacks=callbacks())
    assert int(model.optimizer.iterations) == (1 if cut else 12)
    assert limit.reached is cut
    assert callbacks() == []
