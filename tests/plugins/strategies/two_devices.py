"""What test_strategies.py runs in a process of its own, which has two logical CPU devices."""

import sys

import guarded_fits
import guarded_losses
import keras
import numpy as np
import placed_fits
import tensorflow as tf
from keras.src.backend.tensorflow import trainer

import tfkit
from tfkit.formats.named_model import NamedModel

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

X = np.random.default_rng(0).random((32, 4), "float32")
Y = X @ np.array([[1.0], [-2.0], [3.0], [0.5]], "float32")


def devices(strategy):
    return [name.rpartition("device:")[2] for name in strategy.extended.worker_devices]


def refused(name, **params):
    try:
        tfkit.create("strategy", name, **params)
    except tfkit.ParameterError as error:
        return str(error)
    raise AssertionError(f"{name} took {params}")


def trained(strategy):
    """A model trained at a rate that grows too high, so that its third epoch is its best, and the history."""
    with strategy.scope():
        zeros = keras.layers.Dense(1, kernel_initializer="zeros", name="sum")
        model = keras.Sequential([keras.Input((4,), name="numbers"), zeros])
        model.compile(keras.optimizers.SGD(0.1), "mse")
    stop = tfkit.create("callback", "early-stopping", patience=2)
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 3 else 2.0)
    data = {"batch_size": 8, "shuffle": False, "validation_data": (X, Y), "verbose": 0}
    return model, model.fit(X, Y, epochs=50, callbacks=[rate, stop], **data).history


def main(folder):
    assert devices(tfkit.create("strategy", "mirrored", devices=("cpu:1",))) == ["CPU:1"]
    tfkit.callback("strategy", "mirrored", devices=("cpu:1",))
    assert devices(tfkit.create("strategy", "mirrored")) == ["CPU:0", "CPU:1"]
    assert trainer.reduce_per_replica.__module__ != trainer.__name__
    assert devices(tfkit.create("strategy", "one-device", device="/cpu:1")) == ["CPU:1"]
    assert devices(tfkit.create("strategy", "one-device", device="CPU")) == ["CPU:0"]
    print("names")

    there = "there are: CPU:0, CPU:1"
    assert refused("one-device", device="GPU:0") == f"strategy 'one-device' knows no device 'GPU:0'; {there}"
    assert refused("mirrored", devices=("CPU:0", "CPU:2")) == f"strategy 'mirrored' knows no device 'CPU:2'; {there}"
    assert refused("one-device", device="desk") == f"strategy 'one-device' knows no device 'desk'; {there}"
    assert refused("mirrored", devices=("CPU:1", "cpu:1")).endswith("takes each device once; got CPU:1, cpu:1")
    print("refused")

    plain, wanted = trained(tf.distribute.get_strategy())
    model, history = trained(tfkit.create("strategy", "mirrored"))
    for key, values in wanted.items():
        np.testing.assert_allclose(history[key], values, rtol=1e-4, err_msg=key)
    np.testing.assert_allclose(model.get_weights()[0], plain.get_weights()[0], rtol=1e-4)
    print("fit")

    assert np.argmin(history["val_loss"]) == 2
    assert len(history["loss"]) == 5
    loss = np.mean((X @ model.get_weights()[0] + model.get_weights()[1] - Y) ** 2)
    np.testing.assert_allclose(loss, min(history["val_loss"]), rtol=1e-4)
    print("stopped")

    exporter, named = tfkit.create("exporter", "saved-model"), NamedModel(model)
    exporter.write(named, folder, None)
    found = exporter.predict(folder, {"numbers": X})["sum"]
    np.testing.assert_allclose(found, X @ model.get_weights()[0] + model.get_weights()[1], rtol=1e-4, atol=1e-5)
    print("exported")

    guarded_fits.all_at_once()
    guarded_fits.evaluated_without_a_callback()
    print("guarded")
    guarded_fits.prevented()
    print("prevented")
    guarded_losses.as_on_one_device()
    guarded_losses.refused()
    print("losses")

    placed_fits.as_on_one_device()
    placed_fits.gradients_where_their_layers_are()
    print("placed")
    placed_fits.refused()
    print("whole")


def more():
    guarded_losses.evaluated_anew()
    guarded_losses.own_step_told()
    guarded_losses.more()
    print("more")


if __name__ == "__main__":
    from pathlib import Path

    if sys.argv[1] == "more":
        more()
    else:
        main(Path(sys.argv[1]))
