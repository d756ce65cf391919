"""What test_strategy_traps.py runs in a process of its own: Keras without tfkit on two logical CPU devices."""

import contextlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

MENDED = "Keras has mended this: strike it off docs/upstream.md, and tfkit's repair in tfkit/attach/replicas"
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
MIRRORED = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def model_of(strategy=None, norm=False, optimizer=None, loss="mse", **compiled):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        layers = [keras.Input((4,)), *([keras.layers.BatchNormalization()] if norm else []), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=["mae"], **compiled)
    return model


def fitted(model, rows=20, batch_size=10):
    return model.fit(X[:rows], Y[:rows], batch_size=batch_size, shuffle=False, verbose=0).history


def distance(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one.get_weights(), other.get_weights()))


def central_storage_metrics():
    plain, model = model_of(), model_of(tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"], "CPU:0"))
    wanted, found = fitted(plain), fitted(model)
    assert distance(model, plain) < 1e-5
    assert abs(found["loss"][0] - wanted["loss"][0]) > 1e-3, MENDED


def statistics_of_each_replica_apart():
    plain, model = model_of(norm=True), model_of(MIRRORED, norm=True)
    fitted(plain), fitted(model)
    assert distance(model, plain) > 1e-3, MENDED
    mean = model.layers[0].moving_mean.value.values
    assert np.abs(mean[0].numpy() - mean[1].numpy()).max() > 1e-3, MENDED


def distribution_without_effect():
    mesh = keras.distribution.DeviceMesh((2,), ["batch"], ["cpu:0", "cpu:1"])
    keras.distribution.set_distribution(keras.distribution.DataParallel(device_mesh=mesh, auto_shard_dataset=False))
    model = model_of()
    keras.distribution.set_distribution(None)
    fitted(model)
    assert type(model.weights[0].value).__name__ == "ResourceVariable", MENDED
    assert not hasattr(model.weights[0].value, "values"), MENDED
    assert model.distribute_strategy.num_replicas_in_sync == 1, MENDED


def odd_first_batch():
    model = model_of(MIRRORED)
    with pytest.raises(tf.errors.InvalidArgumentError, match="AddN"):
        fitted(model, batch_size=11)
    with pytest.raises(tf.errors.InvalidArgumentError, match="AddN"):
        model.evaluate(X, Y, batch_size=11, verbose=0)


def rows_of_a_shorter_part_count_more():
    plain, model = model_of(), model_of(MIRRORED)
    fitted(plain, rows=11), fitted(model, rows=11)
    assert distance(model, plain) > 1e-3, MENDED


def two_strategies_of_the_same_devices():
    """Two MirroredStrategy of the same devices mix up what they exchange, where models differ."""
    other = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with other.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Shape mismatch in the collective"):
        fitted(model)


def fails(words, **built):
    with pytest.raises((tf.errors.InvalidArgumentError, RuntimeError), match=words):
        fitted(model_of(MIRRORED, **built))


def fitted_on_both(build, *data, **fit):
    """The distance of the weights after an epoch on one device and on two, and both histories."""
    keras.utils.set_random_seed(0)
    plain = build()
    with MIRRORED.scope():
        keras.utils.set_random_seed(0)
        model = build()
    wanted, found = (each.fit(*data, shuffle=False, verbose=0, **fit).history for each in (plain, model))
    return distance(model, plain), wanted, found


def differs(build, rows=20, **fit):
    assert fitted_on_both(build, X[:rows], Y[:rows], batch_size=10, **fit)[0] > 1e-3, MENDED


def clipping():
    differs(lambda: model_of(optimizer=keras.optimizers.SGD(0.1, clipnorm=0.5)))


def one_number(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


def losses_that_are_no_means_over_rows():
    differs(lambda: model_of(loss=one_number))
    differs(lambda: model_of(loss=keras.losses.Dice()))
    weighted = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    differs(lambda: model_of(loss=weighted), sample_weight=np.arange(20.0))


def masks():
    words, tags = RNG.integers(1, 7, size=(8, 5)), RNG.normal(size=(8, 5, 1)).astype("float32")
    words[:4, 1:] = 0

    def tagger():
        layers = [keras.layers.Embedding(7, 3, mask_zero=True), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((5,), dtype="int32"), *layers])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    assert fitted_on_both(tagger, words, tags, batch_size=8)[0] > 1e-3, MENDED


def logs_of_several_outputs():
    def build():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, [keras.layers.Dense(1, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs)])
        model.compile(keras.optimizers.SGD(0.0), ["mse", "mae"])
        return model

    apart, wanted, found = fitted_on_both(build, X[:11], [Y[:11], Y[:11]], batch_size=10)
    assert apart == 0
    assert found["loss"][0] == pytest.approx(wanted["loss"][0], rel=1e-5)
    assert abs(found["a_loss"][0] - wanted["a_loss"][0]) > 1e-3, MENDED


def accumulation():
    with MIRRORED.scope():
        optimizer = keras.optimizers.SGD(gradient_accumulation_steps=2)
    fails("merge_call", optimizer=optimizer)


def read_for_a_built_model(strategy):
    """How often `evaluate` begins a dataset under a strategy; the iterator of the first time is dropped at once."""
    begun = []

    def rows():
        begun.append(1)
        yield X[:10], Y[:10]
        yield X[10:], Y[10:]

    data = tf.data.Dataset.from_generator(rows, output_signature=(tf.TensorSpec((None, 4)), tf.TensorSpec((None, 1))))
    model = model_of(strategy)
    model.evaluate(X, Y, verbose=0)
    model.evaluate(data, verbose=0)
    return len(begun)


def a_batch_for_a_built_model():
    """Dropping that iterator kills the process now and then: it reads ahead in memory that was freed."""
    assert read_for_a_built_model(tf.distribute.OneDeviceStrategy("CPU:0")) == 2, MENDED


SHOWN = {
    "built": a_batch_for_a_built_model,
    "6": central_storage_metrics,
    "7": statistics_of_each_replica_apart,
    "8": distribution_without_effect,
    "28": odd_first_batch,
    "uneven": rows_of_a_shorter_part_count_more,
    "twice": two_strategies_of_the_same_devices,
    "clipping": clipping,
    "losses": losses_that_are_no_means_over_rows,
    "masks": masks,
    "outputs": logs_of_several_outputs,
    "jit": lambda: fails("Trying to access resource", jit_compile=True),
    "executions": lambda: fails("placeholder", steps_per_execution=2),
    "accumulation": accumulation,
    "optimizer": lambda: fails("Mixing different", optimizer=keras.optimizers.Adam()),
}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        SHOWN[name]()
        print(name)
