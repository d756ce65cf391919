"""Bias correction: closed forms, and the means of a real 4-bit file."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit_compressors.quantization.bias import corrected, corrections

RNG = np.random.default_rng(0)
IMAGES = (load_digits().images / 16).astype("float32")[..., None]


def four(layer, kernel):
    return 4


def rounded(kernel):
    """4 bits, symmetric, a scale for each output channel."""
    step = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0) / 7
    return np.round(kernel / step) * step


def image_model(*inner, shape=(8, 8, 3)):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *inner])
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(RNG.uniform(0.5, 1.5, weight.shape))
    return model


def test_of_a_dense_layer_it_is_the_mean_input_times_the_rounding_error():
    layer = layers.Dense(5, "relu")
    model = image_model(layer, shape=(12,))
    x = RNG.uniform(size=(40, 12)).astype("float32")
    ((variable, bias),) = corrections(model, x, four)
    error = rounded(layer.kernel.numpy()) - layer.kernel.numpy()
    assert variable is layer.bias
    np.testing.assert_allclose(bias, layer.bias.numpy() - x.mean(axis=0) @ error, atol=1e-6)
    assert np.abs(bias - layer.bias.numpy()).max() > 0.01


def test_of_a_convolution_it_is_the_mean_patch_times_the_rounding_error():
    layer = layers.Conv2D(4, 3, activation="tanh")
    model = image_model(layer)
    x = RNG.uniform(size=(10, 8, 8, 3)).astype("float32")
    ((_, bias),) = corrections(model, x, four)
    patch = np.stack([[x[:, i : i + 6, j : j + 6].mean(axis=(0, 1, 2)) for j in range(3)] for i in range(3)])
    error = rounded(layer.kernel.numpy()) - layer.kernel.numpy()
    shift = np.einsum("ijc,ijco->o", patch, error)
    np.testing.assert_allclose(bias, layer.bias.numpy() - shift, atol=1e-6)


def test_without_a_bias_the_moving_mean_of_the_normalization_takes_it():
    layer, norm = layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()
    model = image_model(layer, norm)
    x = RNG.uniform(size=(10, 8, 8, 3)).astype("float32")
    wanted = model.predict(x, verbose=0).mean(axis=(0, 1, 2))
    kernel = layer.kernel.numpy()
    with corrected(model, x, four):
        np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
        layer.kernel.assign(rounded(kernel))
        np.testing.assert_allclose(model.predict(x, verbose=0).mean(axis=(0, 1, 2)), wanted, atol=1e-5)
        layer.kernel.assign(kernel)


def deep():
    return image_model(
        layers.Conv2D(8, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, activation="relu"),
        layers.SeparableConv2D(8, 3, padding="same"),
        layers.Flatten(),
        layers.Dense(16, "relu"),
        layers.Dense(5, "softmax", name="out"),
    )


def test_layer_after_layer_the_means_before_activations_are_those_of_the_model():
    """Whatever came before: the last layer's too, which local corrections of each layer alone would miss."""
    model, x = deep(), RNG.uniform(size=(30, 8, 8, 3)).astype("float32")
    scores = keras.Model(model.inputs, layers.Activation("linear")(model.layers[-2].output))
    out, before = model.get_layer("out"), model.get_weights()

    def mean_score():
        return (scores.predict(x, verbose=0) @ out.kernel.numpy() + out.bias.numpy()).mean(axis=0)

    def with_rounded_kernels():
        for weight in model.weights:
            if weight.name == "depthwise_kernel" or (len(weight.shape) == 4 and weight.shape[-1] == 1):
                flat = weight.numpy().reshape(9, -1)
                weight.assign(rounded(flat).reshape(weight.shape))
            elif len(weight.shape) > 1:
                weight.assign(rounded(weight.numpy()))
        return mean_score()

    wanted = mean_score()
    plain = with_rounded_kernels()
    model.set_weights(before)
    with corrected(model, x, four):
        now = model.get_weights()
        made = with_rounded_kernels()
        model.set_weights(now)
    np.testing.assert_allclose(made, wanted, atol=1e-4)
    assert np.abs(plain - wanted).max() > 0.01
    for one, other in zip(model.get_weights(), before):
        np.testing.assert_array_equal(one, other)


def test_shared_layers_and_those_without_a_place_for_it_stay():
    shared, inputs = layers.Dense(4), keras.Input((4,))
    x = layers.Dense(4, use_bias=False)(shared(shared(inputs)))
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(3))(layers.Reshape((1, 4))(x)))
    assert corrections(model, RNG.normal(size=(8, 4)), four) == []


def test_a_kernel_that_a_scale_before_it_goes_into_is_not_corrected():
    """The converter multiplies the two, and rounds another kernel than Keras has."""
    model = image_model(layers.Dense(6, use_bias=False), layers.BatchNormalization(), layers.Dense(4), shape=(5,))
    ((variable, _),) = corrections(model, RNG.normal(size=(8, 5)), four)
    assert variable is model.layers[1].moving_mean


def test_float16_is_refused():
    with pytest.raises(tfkit.ParameterError, match=r"'bias_correction' .* must be False where bits is 16"):
        tfkit.create("compressor", "quantize", bits=16, activations=None, bias_correction=True)


@pytest.mark.slow
@pytest.mark.nightly
def test_a_4_bit_file_has_the_means_of_the_model_and_is_nearer_to_it(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(24, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES[:1000], load_digits().target[:1000], epochs=3, verbose=0)
    before, data = model.get_weights(), tfkit.Data((IMAGES[:1000], load_digits().target[:1000]))
    shifts, errors = [], []
    for bias_correction in (False, True):
        quantize = tfkit.create("compressor", "quantize", bits=4, activations=None, bias_correction=bias_correction)
        made = quantize.compress(model, data, epochs=0, directory=tmp_path)
        rows = data.drawn("train", 100)
        difference = LiteRT(made.artifacts["litert"])(rows) - model.predict(rows, verbose=0)
        shifts.append(np.abs(difference.mean(axis=0)).max())
        errors.append(np.linalg.norm(difference))
    assert shifts[1] < shifts[0] / 4
    assert errors[1] < errors[0]
    for one, other in zip(model.get_weights(), before):
        np.testing.assert_array_equal(one, other)
