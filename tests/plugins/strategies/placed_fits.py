"""Fits of models whose layers are spread over devices: two_devices.py runs these."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6, 6, 1)).astype("float32")
Y = (X.sum(axis=(1, 2, 3)) > 0).astype("int32")
DEVICES = ("CPU:0", "CPU:1")


def model_of(strategy=None, **compiled):
    """Two branches that meet, normalization, dropout, a nested model and a penalty."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    with strategy.scope() if strategy else contextlib.nullcontext():
        inner = [
            layers.Dense(16, "relu", name="hidden", kernel_regularizer="l2"),
            layers.Dense(8, "tanh", name="small"),
        ]
        image = keras.Input((6, 6, 1))
        x = layers.Conv2D(4, 3, padding="same", name="first")(image)
        x = keras.ops.add(x, layers.ReLU()(layers.BatchNormalization(name="norm")(x)))
        x = layers.Dropout(0.3, seed=3)(layers.Flatten()(layers.Conv2D(8, 3, name="second")(x)))
        x = keras.Sequential([keras.Input((128,)), *inner])(x)
        model = keras.Model(image, layers.Dense(2, "softmax", name="last")(x))
        optimizer = keras.optimizers.Adam(0.01, clipnorm=1.0)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    return model


def fitted(model, *callbacks):
    data = {"validation_data": (X, Y), "batch_size": 8, "shuffle": False}
    return model.fit(X, Y, epochs=2, callbacks=list(callbacks), verbose=0, **data).history


def devices_of(variables):
    return {each.path: each.value.device.rpartition("device:")[2] for each in variables}


def as_on_one_device():
    plain = model_of()
    wanted = fitted(plain)
    strategy = tfkit.create("strategy", "layer-placement", devices=DEVICES)
    model = model_of(strategy)
    places = devices_of(model.weights)
    # Bytes of weights: first 160, norm 64, second 1184; hidden 8256, small 544, last 72.
    assert {path for path, device in places.items() if device == "CPU:0"} == {
        *("first/kernel", "first/bias", "second/kernel", "second/bias"),
        *(f"norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")),
    }
    assert set(places.values()) == {"CPU:0", "CPU:1"}
    history = fitted(model, tfkit.callback("strategy", "layer-placement", devices=DEVICES))
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    for found, value in zip(model.get_weights(), plain.get_weights()):
        np.testing.assert_allclose(found, value, rtol=0, atol=1e-6)
    slots = {path.partition("/")[2]: device for path, device in devices_of(model.optimizer.variables).items()}
    for path, device in places.items():
        if "moving" not in path:
            assert slots[f"{path.replace('/', '_')}_momentum"] == device


def gradients_where_their_layers_are():
    strategy = tfkit.create("strategy", "layer-placement", devices=DEVICES, balance="flops")
    with strategy.scope():
        layers = [keras.layers.Dense(4, "tanh", name="first"), keras.layers.Dense(4, "tanh", name="second")]
        model = keras.Sequential([keras.Input((4,)), *layers])

    def gradient(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x) ** 2)
        return tape.gradient(loss, [each.value for each in model.trainable_weights])

    step = tf.function(lambda x: strategy.run(gradient, args=(x,)))
    operations = step.get_concrete_function(tf.ones((2, 4))).graph.get_operations()
    kinds = [(each.type, each.device[-5:]) for each in operations if each.type in ("MatMul", "TanhGrad")]
    # Forward twice; backward through the second, by its weights and its input; and the first, by its weights.
    assert sorted(kinds) == [
        *[("MatMul", "CPU:0")] * 2, *[("MatMul", "CPU:1")] * 3, ("TanhGrad", "CPU:0"), ("TanhGrad", "CPU:1")
    ]  # fmt: skip


def refused():
    strategy = tfkit.create("strategy", "layer-placement", devices=DEVICES)
    with pytest.raises(tfkit.ModelError, match="is not built"), strategy.scope():
        keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(tfkit.DeviceNotFound, match="knows no device 'GPU:7'; there are: CPU:0, CPU:1"):
        tfkit.create("strategy", "layer-placement", devices=("CPU:0", "GPU:7"))
    with pytest.raises(tfkit.ParameterError, match="takes each device once; got CPU:1, cpu:1"):
        tfkit.create("strategy", "layer-placement", devices=("CPU:1", "cpu:1"))
