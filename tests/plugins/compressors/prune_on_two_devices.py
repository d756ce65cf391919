"""What test_prune_ways.py runs in a process of its own, which has two logical CPU devices."""

import keras
import numpy as np
import tensorflow as tf

import tfkit

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
# One for all: a second one begins to count its collective operations anew, and meets those of the first.
MIRRORED = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 16)).astype("float32")
Y = RNG.integers(0, 5, 96)


def pruned(strategy, optimizer="SGD", scaled=False, **compiled):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(20, "relu"), keras.layers.Dense(5)])
        made = getattr(keras.optimizers, optimizer)(0.1)
        made = keras.optimizers.LossScaleOptimizer(made) if scaled else made
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(made, loss, **{"jit_compile": False, **compiled})
    callback = tfkit.callback("compressor", "prune", sparsity=0.8, frequency=3)
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[callback])
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]
    return model


def check(**options):
    model, plain = pruned(MIRRORED, **options), pruned(tf.distribute.get_strategy(), **options)
    for layer, wanted, count in zip(model.layers, plain.layers, (256, 80)):
        replicas = [each.numpy() for each in MIRRORED.experimental_local_results(layer.kernel.value)]
        assert len(replicas) == 2
        np.testing.assert_array_equal(*replicas)
        assert (replicas[0] == 0).sum() == count
        np.testing.assert_allclose(replicas[0], wanted.kernel.numpy(), atol=1e-5)


if __name__ == "__main__":
    check()
    print("graph")
    check(run_eagerly=True)
    print("eager")
    check(scaled=True)
    print("scaled")
