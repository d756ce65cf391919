"""What Keras forgets of a training that goes on from a file; the test fails when Keras mends it."""

import keras
import numpy as np

from tfkit.attach.state import load_state, save_state


def make():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile("adam", "mse", run_eagerly=True)
    model.optimizer.build(model.trainable_variables)
    return model


def dropped(model):
    return np.asarray(model.layers[0](np.ones((1, 64)), training=True)).tolist()


def test_file_of_weights_lacks_the_state_of_dropouts_random_numbers(tmp_path):
    trained = make()
    trained.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    trained.save_weights(tmp_path / "m.weights.h5")
    save_state(trained, tmp_path / "m.npz", None)
    by_keras, by_tfkit = make(), make()
    by_keras.load_weights(tmp_path / "m.weights.h5")
    load_state(by_tfkit, tmp_path / "m.npz")
    expected = dropped(trained)
    assert dropped(by_keras) != expected
    assert dropped(by_tfkit) == expected
