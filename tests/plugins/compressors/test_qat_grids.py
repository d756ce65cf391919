"""The grids of qat and where they are put: as TensorFlow rounds, where LiteRT has tensors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from qat_models import RNG, dense, fake_quantized

import tfkit
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.grids import Grid
from tfkit_compressors.qat.kept import Kept
from tfkit_compressors.qat.plan import planned
from tfkit_compressors.qat.weights import chosen
from tfkit_compressors.schemas import Qat as Settings


@pytest.mark.parametrize(("bits", "axis"), [(8, 3), (4, 3), (4, 2)])
def test_a_grid_is_tensorflows_fake_quantization(bits, axis):
    kernel = RNG.normal(size=(3, 3, 5, 7)).astype("float32")
    made = Grid(bits, (axis,)).rounded(tf.constant(kernel)).numpy()
    np.testing.assert_allclose(made, fake_quantized(kernel, bits, axis), atol=1e-6)


def test_the_gradient_passes_the_grid():
    kernel = tf.Variable(RNG.normal(size=(4, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(Grid(4, (1,)).rounded(kernel) * 3.0)
    np.testing.assert_array_equal(tape.gradient(loss, kernel), np.full((4, 3), 3.0))


def test_clusters_get_the_mean_of_their_gradients():
    kept = Kept(np.repeat([1.0, 2.0, 3.0], 4), sparsity=True, clusters=True)
    value = tf.Variable(np.repeat([1.0, 2.0, 3.0], 4).astype("float32"))
    weights = np.arange(12, dtype="float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(kept(value) * weights)
    expected = np.repeat(weights.reshape(3, 4).mean(1), 4)
    np.testing.assert_allclose(tape.gradient(loss, value), expected)


def test_sites_are_where_litert_has_tensors():
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(first))
    x = layers.Add(name="sum")([layers.Conv2D(4, 1, activation="swish", name="second")(x), x])
    x = layers.GlobalAveragePooling2D(name="mean")(layers.MaxPooling2D(name="pool")(x))
    sites, folds = planned(keras.Model(inputs, layers.Dense(2, activation="softmax", name="out")(x)))
    found = {site.operation.name: (site.inputs, site.before, site.outputs) for site in sites}
    assert found == {
        "first": ((0,), False, 0),
        "norm": ((), False, 0),
        "relu": ((), False, 1),
        "second": ((), True, 1),
        "sum": ((), False, 1),
        "mean": ((), False, 1),
        "out": ((), True, 1),
    }
    assert [(fold.layer.name, fold.norm.name) for fold in folds] == [("first", "norm")]


def test_batch_normalization_with_other_readers_is_not_folded():
    inputs = keras.Input((8,))
    x = layers.Dense(4, name="first")(inputs)
    y = layers.BatchNormalization()(x)
    sites, folds = planned(keras.Model(inputs, layers.Add()([x, y])))
    assert folds == []
    assert next(site.outputs for site in sites if site.operation.name == "first") == 1


def test_layers_have_bits_of_their_own():
    model = dense(units=128)
    kernels = chosen(model, Settings(bits=4, activations=None, layers={"hidden": 8}))
    assert [kernel.grid.bits for kernel in kernels] == [8, 4]
    assert [each.layer.name for each in chosen(model, Settings(exclude=("out",)))] == ["hidden"]
    with pytest.raises(tfkit.ModelError, match=r"'hiden'.*did you mean 'hidden'"):
        chosen(model, Settings(layers={"hiden": 4}))


def test_bits_of_a_nested_model_hold_for_all_in_it():
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(64, name="a"), layers.Dense(64, name="b")], name="inner")
    model = keras.Sequential([keras.Input((64,)), inner, layers.Dense(64, name="c")])
    settings = Settings(bits=8, activations=None, layers={"b": 8, "inner": 4})
    assert [(each.layer.name, each.grid.bits) for each in chosen(model, settings)] == [("a", 4), ("b", 8), ("c", 8)]


def test_only_ranges_that_are_used_have_variables():
    model, made = dense(), []

    def counted(create, **kwargs):
        made.append(create(**kwargs))
        return made[-1]

    with tf.variable_creator_scope(counted):
        FakeQuantization(model, Settings())
    # What `hidden` takes and gives, and the scores that the softmax of `out` takes: its own range is LiteRT's.
    assert len(made) == 3
