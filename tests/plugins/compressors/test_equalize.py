import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit_compressors.quantization.pairs import pairs

RNG = np.random.default_rng(0)
IMAGES = (load_digits().images / 16).astype("float32")[..., None]
Y = load_digits().target
DATA = tfkit.Data((IMAGES[:1200], Y[:1200]), (IMAGES[1200:], Y[1200:]))


def block(x, filters):
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(filters, 1, use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


@pytest.fixture(scope="module")
def model():
    """A MobileNet of digits whose channels are made uneven by factors of e to the second, of equal outputs."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
    x = layers.Flatten()(layers.MaxPooling2D()(block(x, 16)))
    model = keras.Model(inputs, layers.Dense(10)(layers.Dense(16, "relu")(x)), name="net")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES[:1200], Y[:1200], epochs=5, verbose=0)
    for pair in pairs(model):
        pair.rescale(np.exp(2 * RNG.normal(size=pair.ranges()[0].size)))
    return model


def fake_quantized(kernel):
    """8 bits, one scale for the whole tensor."""
    step = np.abs(kernel).max() / 127
    return np.round(kernel / step) * step


def test_outputs_stay_and_kernels_of_one_scale_come_nearer(model):
    before, weights = model.predict(IMAGES[1200:], verbose=0), model.get_weights()

    def error():
        kept = model.get_weights()
        model.set_weights([fake_quantized(each) if each.ndim > 1 else each for each in kept])
        outputs = model.predict(IMAGES[1200:], verbose=0)
        model.set_weights(kept)
        return np.linalg.norm(outputs - before) / np.linalg.norm(before)

    uneven = error()
    made = tfkit.create("compressor", "equalize").compress(model, DATA, epochs=0, directory=None)
    even, after = error(), model.predict(IMAGES[1200:], verbose=0)
    model.set_weights(weights)
    assert made.model is model
    assert made.notes[0].startswith("4 pairs of layers, ranges of channels ")
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert even < uneven / 3


@pytest.mark.slow
@pytest.mark.nightly
def test_int8_of_uneven_channels_fails_and_of_equalized_ones_agrees(model, tmp_path):
    quantize = tfkit.create("compressor", "quantize")
    with pytest.raises(tfkit.VerificationError, match="int8 file does not compute"):
        quantize.compress(model, DATA, epochs=0, directory=tmp_path)
    result = tfkit.compress(model, ["equalize", "quantize"], DATA, epochs=0, directory=tmp_path / "steps")
    assert result.table[-1]["agreement"] > 0.97
    rows = IMAGES[1200:]
    agreed = LiteRT(result.artifacts["litert"])(rows).argmax(-1) == model.predict(rows, verbose=0).argmax(-1)
    assert agreed.mean() > 0.97


def test_a_settled_pair_has_one_range_in_both_kernels(model):
    weights = model.get_weights()
    tfkit.create("compressor", "equalize").compress(model, DATA, epochs=0, directory=None)
    for pair in pairs(model):
        first, second = pair.ranges()
        live = (first > 0) & (second > 0)
        np.testing.assert_allclose(first[live], second[live], rtol=0.01)
    model.set_weights(weights)


def chain(*between, first=None, second=None):
    inputs = keras.Input((6, 6, 2))
    x = (first or layers.Conv2D(4, 3, name="one"))(inputs)
    for layer in between:
        x = layer(x)
    return keras.Model(inputs, (second or layers.Conv2D(3, 1, name="two"))(x))


@pytest.mark.parametrize(
    "joined",
    [
        lambda: chain(),
        lambda: chain(layers.LeakyReLU(), layers.MaxPooling2D(), layers.Dropout(0.5)),
        lambda: chain(
            layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D(), second=layers.Dense(3)
        ),
        lambda: chain(layers.ReLU(), layers.Flatten(), second=layers.Dense(3)),
        lambda: chain(layers.BatchNormalization(center=False), second=layers.DepthwiseConv2D(2, depth_multiplier=2)),
        lambda: chain(first=layers.DepthwiseConv2D(2, depth_multiplier=3, activation="relu")),
    ],
)
def test_any_scale_leaves_the_outputs_of_a_pair(joined):
    keras.utils.set_random_seed(1)
    model = joined()
    for weight in model.weights:
        if weight.name == "moving_variance" or len(weight.shape) == 1:
            weight.assign(RNG.uniform(0.5, 2, size=weight.shape))
    x = RNG.normal(size=(3, 6, 6, 2)).astype("float32")
    before = model.predict(x, verbose=0)
    (pair,) = pairs(model)
    pair.rescale(RNG.uniform(0.1, 10, size=pair.ranges()[0].size))
    np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", [False, True])
def test_a_channel_of_tiny_weights_keeps_its_bias_within_those_of_the_others(norm):
    keras.utils.set_random_seed(0)
    between = [layers.BatchNormalization(), layers.ReLU()] if norm else [layers.ReLU()]
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, use_bias=not norm, name="one"), *between, layers.Dense(3)]
    )
    one = model.get_layer("one")
    one.kernel.assign(one.kernel * np.array([1e-12, 1e-6, 1, 1, 1, 1]))
    bias = model.layers[1].beta if norm else one.bias
    bias.assign([0.3, 0.2, 0.1, -0.1, 0.0, 0.5])
    x = RNG.normal(size=(64, 4)).astype("float32")
    hidden = keras.Model(model.inputs, model.layers[-2].output)
    before, activations = model.predict(x, verbose=0), hidden.predict(x, verbose=0).max()
    tfkit.create("compressor", "equalize").compress(model, None, epochs=0, directory=None)
    np.testing.assert_allclose(model.predict(x, verbose=0), before, atol=1e-5)
    assert hidden.predict(x, verbose=0).max() < 3 * activations


def twice():
    layer, inputs = layers.Dense(2), keras.Input((2,))
    return keras.Model(inputs, layer(layer(inputs)))


def forked():
    inputs = keras.Input((2,))
    x = layers.Dense(2)(inputs)
    return keras.Model(inputs, layers.Dense(2)(x) + x)


@pytest.mark.parametrize(
    "apart",
    [
        lambda: chain(layers.ReLU(6.0)),
        lambda: chain(layers.Softmax()),
        lambda: chain(layers.BatchNormalization(scale=False)),
        lambda: chain(layers.ReLU(), layers.BatchNormalization()),
        lambda: chain(first=layers.Conv2D(4, 3, activation="sigmoid")),
        lambda: chain(second=layers.Conv2D(4, 1, groups=2)),
        twice,
        forked,
    ],
)
def test_layers_whose_scale_is_not_free_are_no_pair(apart):
    model = apart()
    assert pairs(model) == []
    made = tfkit.create("compressor", "equalize").compress(model, None, epochs=0, directory=None)
    assert made.notes == ("no two layers are joined so that the scale of channels is free",)


def within():
    row = keras.Input((4,))
    inside = keras.Model(row, layers.Dense(3)(layers.Dense(5, "relu")(row)), name="two")
    inputs = keras.Input((4,))
    return keras.Model(inputs, inside(inputs))


@pytest.mark.parametrize("make", [chain, within])
def test_excluded_layers_keep_their_weights(make):
    model = make()
    before = model.get_weights()
    tfkit.create("compressor", "equalize", exclude=("two",)).compress(model, None, epochs=0, directory=None)
    for one, other in zip(model.get_weights(), before):
        np.testing.assert_array_equal(one, other)
