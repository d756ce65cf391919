"""Which units shrink removes: those that its importance ranks last."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from shrink_models import RNG, X, Y, best, kept, mlp, shrink

import tfkit


@pytest.mark.parametrize(("importance", "order"), [("l2", 2), ("l1", 1)])
def test_norms_of_kernels(importance, order):
    model = mlp()
    kernel = model.get_layer("hidden0").kernel.numpy()
    made = shrink(model, 0.5, importance=importance)
    assert kept(model, made) == best(np.linalg.norm(kernel, ord=order, axis=0), 4)


def test_taylor_is_gradient_times_weight_over_batches_of_the_train_part():
    model = mlp()
    layer = model.get_layer("hidden0")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    scores = np.zeros(8)
    data = tfkit.Data(tf.data.Dataset.from_tensor_slices((X, Y)).batch(16))
    for start in (0, 16, 32):
        with tf.GradientTape() as tape:
            value = loss(Y[start : start + 16], model(X[start : start + 16]))
        slopes = tape.gradient(value, [layer.kernel.value, layer.bias.value])
        scores += np.abs(slopes[0] * layer.kernel).sum(axis=0) + np.abs(slopes[1] * layer.bias)
    before = model.get_weights()
    assert kept(model, shrink(model, 0.5, data, importance="taylor")) == best(scores, 4)
    assert int(model.optimizer.iterations) == 0
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_activation_is_the_mean_magnitude_of_what_is_read():
    model = mlp()
    values = keras.Model(model.inputs[0], model.get_layer("hidden0").output)(X).numpy()
    assert kept(model, shrink(model, importance="activation")) == best(np.abs(values).mean(axis=0), 4)


def test_activation_is_that_of_rows_from_the_whole_train_part():
    model = mlp((8,))
    rare = np.zeros((6, 8), "float32")
    rare[0, 3] = 1  # of a part that is sorted, the first rows do not show what this unit is worth
    model.get_layer("hidden0").kernel.assign(np.where(np.arange(8) == 3, rare, model.get_layer("hidden0").kernel))
    model.get_layer("hidden0").bias.assign(np.zeros(8))
    rows = np.tile(X, (5, 1))
    rows[:, 0] = np.where(np.arange(len(rows)) < 100, 0, 100)
    data = tfkit.Data((rows, np.tile(Y, 5)))
    assert 3 in kept(model, shrink(model, 0.5, data, importance="activation"))


def scaled():
    keras.utils.set_random_seed(0)
    model = mlp()
    stack = [model.get_layer("hidden0"), layers.BatchNormalization(name="norm"), *model.layers[1:]]
    model = keras.Sequential([keras.Input((6,)), *stack], name="net")
    model.get_layer("norm").gamma.assign(RNG.normal(size=8))
    return model


def test_bn_scale_is_the_magnitude_of_gamma_and_l2_where_there_is_none():
    model = scaled()
    made = shrink(model, importance="bn-scale")
    assert kept(model, made) == best(np.abs(model.get_layer("norm").gamma.numpy()), 4)
    assert "hidden1: ranked by l2, since there is no 'bn-scale' of it" in made.notes


def test_a_function_of_ones_own_ranks_rows():
    model, shapes = mlp((8, 4)), []

    def largest(kernels):
        shapes.append([kernel.shape for kernel in kernels])
        return np.max([np.abs(kernel).max(axis=1) for kernel in kernels], axis=0)

    made = shrink(model, importance=largest)
    assert shapes == [[(8, 6)], [(4, 8)]]
    assert kept(model, made) == best(np.abs(model.get_layer("hidden0").kernel.numpy()).max(axis=0), 4)
    with pytest.raises(
        tfkit.ParameterError, match=r"a finite number for each of the 8 units of hidden0; got shape \(\)"
    ):
        shrink(model, importance=lambda kernels: 1.0)


def test_text_goes_through_and_its_layers_stay():
    read = layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    read.adapt(["good film", "bad film"])
    rest = [layers.Embedding(20, 8, name="words"), layers.GlobalAveragePooling1D(), layers.Dense(1, name="out")]
    model = keras.Sequential([keras.Input((1,), dtype="string"), read, *rest])
    texts = np.array([["good film"], ["bad"], ["film"]])
    data = tfkit.Data((texts, np.zeros((3, 1))))
    values = model.layers[1](read(texts)).numpy().mean(axis=1)
    made = shrink(model, 0.5, data, importance="activation").model
    chosen = best(np.abs(values).mean(axis=0), 4)
    np.testing.assert_array_equal(made.get_layer("words").embeddings, model.layers[1].embeddings.numpy()[:, chosen])
    assert made(texts).shape == (3, 1)


def test_several_inputs_by_name_are_read_too():
    inputs = {name: keras.Input((3,), name=name) for name in ("b", "a")}
    hidden = [layers.Dense(8, activation="relu", name=f"from_{name}")(x) for name, x in inputs.items()]
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(hidden)))
    model.compile("sgd", "mse")
    rows = {name: factor * RNG.normal(size=(6, 3)).astype("float32") for name, factor in (("a", 1), ("b", 100))}
    data = tfkit.Data((rows, np.zeros((6, 2))))
    for importance in ("activation", "taylor"):
        made = shrink(model, 0.5, data, importance=importance).model
        values = np.abs(np.maximum(rows["b"] @ model.get_layer("from_b").kernel.numpy(), 0)).mean(axis=0)
        assert made.get_layer("from_b").units == made.get_layer("from_a").units == 4
        if importance == "activation":
            kernel = model.get_layer("from_b").kernel.numpy()[:, best(values, 4)]
            np.testing.assert_array_equal(made.get_layer("from_b").kernel, kernel)
