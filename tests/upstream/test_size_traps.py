import keras
import numpy as np

import tfkit


def test_trap_19_a_keras_file_counts_the_optimizers_slots(tmp_path):
    sizes = {}
    for optimizer in ("sgd", "adam"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64), keras.layers.Dense(8)])
        model.compile(optimizer, "mse")
        model.fit(np.zeros((8, 64)), np.zeros((8, 8)), verbose=0)
        path = tmp_path / f"{optimizer}.keras"
        model.save(path)
        sizes[optimizer] = path.stat().st_size, tfkit.measure(path, np.zeros((1, 64), "float32"), repeats=1).bytes
    slots = 2 * 4 * (64 * 64 + 64 + 64 * 8 + 8)
    assert sizes["adam"][0] - sizes["sgd"][0] > 0.9 * slots, "Keras saves no slots any more: tfkit.sizes can go"
    assert abs(sizes["adam"][1] - sizes["sgd"][1]) < 0.05 * slots
