"""A shrunk model computes what the original computes with the same channels at zero, whatever ties them."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfkit
from tfkit.flops import flops
from tfkit_compressors.shrinking.budget import operations, parameters
from tfkit_compressors.shrinking.build import masked, shrunk
from tfkit_compressors.shrinking.parts import Parts
from tfkit_compressors.shrinking.plan import plan
from tfkit_compressors.shrinking.shrink import Shrink
from tfkit_compressors.shrinking.zeros import zero_units

RNG = np.random.default_rng(0)


def image(*shape):
    return keras.Input(shape or (8, 8, 3))


def convolved(x, filters, name=None, **kwargs):
    return layers.Conv2D(filters, 3, padding="same", name=name, **kwargs)(x)


def residual():
    x = given = image()
    x = trunk = layers.ReLU()(layers.BatchNormalization()(convolved(x, 8, "stem", use_bias=False)))
    x = layers.Add()([x, layers.BatchNormalization()(convolved(x, 8, "branch"))])
    x = layers.Maximum()([trunk, convolved(x, 8, "again", activation="sigmoid")])
    x = layers.GlobalMaxPooling2D()(layers.AveragePooling2D(2)(x))
    return keras.Model(given, layers.Dense(3, name="head")(x)), [("again branch stem", 8)]


def concatenated():
    x = given = image()
    x = layers.Concatenate()([convolved(x, 4, "left"), convolved(x, 6, "right")])
    x = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(x))
    x = layers.Concatenate()([x, convolved(x, 5, "third")])
    return keras.Model(given, convolved(x, 2, "head")), [("left", 4), ("right", 6), ("third", 5)]


def depthwise():
    x = given = image()
    x = convolved(x, 6, "stem")
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="each")(layers.ZeroPadding2D()(x))
    x = layers.SeparableConv2D(8, 3, depth_multiplier=2, name="separable")(x)
    x = layers.Conv2D(16, 3, groups=8, padding="same", name="as_many_groups")(layers.UpSampling2D()(x))
    x = layers.Conv2DTranspose(4, 2, strides=2, name="transposed")(layers.Cropping2D()(x))
    return keras.Model(given, convolved(x, 2, "head")), [("stem", 6), ("separable", 8), ("transposed", 4)]


def squeezed_and_excited():
    x = given = image()
    x = convolved(x, 8, "stem", activation="swish")
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(4, 1, activation="relu", name="squeeze")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    return keras.Model(given, convolved(layers.Multiply()([x, gate]), 2, "head")), [("excite stem", 8), ("squeeze", 4)]


def flattened():
    x = given = image()
    x = layers.MaxPooling2D(4)(convolved(x, 6, "stem"))
    x = layers.Flatten()(layers.Permute((2, 1, 3))(x)) + layers.Dense(24, name="tied")(layers.Flatten()(given))
    x = layers.Reshape((4, 6))(layers.Dropout(0.5)(x))
    return keras.Model(given, layers.Dense(2, name="head")(x)), [("stem tied", 6)]


def operators():
    x = given = image()
    left, right = convolved(x, 6, "left"), convolved(x, 6, "right")
    x = ops.relu(left * 2.0 - right) / (1.0 + ops.exp(-left))
    x = ops.mean(ops.transpose(x, (0, 3, 1, 2)), axis=(2, 3))
    x = ops.expand_dims(ops.tanh(x), 1)[:, 0]
    return keras.Model(given, layers.Dense(2, name="head")(x)), [("left right", 6)]


def volumes():
    x = given = image(4, 4, 4, 2)
    x = layers.Conv3D(6, 2, name="three")(x)
    x = layers.Conv3DTranspose(4, 2, name="back")(layers.Activation("gelu")(x))
    return keras.Model(given, layers.Dense(2, name="head")(layers.GlobalAveragePooling3D()(x))), [
        ("three", 6),
        ("back", 4),
    ]


def recurrent():
    x = given = keras.Input((6, 3))
    x = layers.LSTM(6, return_sequences=True, name="lstm")(layers.Conv1D(5, 3, name="conv")(x))
    x, state = layers.GRU(4, return_sequences=True, return_state=True, name="gru")(x)
    x = layers.SimpleRNN(4, name="simple")(x, initial_state=state)
    return keras.Model(given, layers.Dense(2, name="head")(x)), [("conv", 5), ("lstm", 6), ("gru simple", 4)]


def words():
    x = given = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 6, mask_zero=True, name="words")(x)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True, name="a"), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(6, activation="relu", name="step"), name="each")(x)
    x = layers.Bidirectional(layers.GRU(4, name="b"), merge_mode="sum")(x)
    model = keras.Model(given, layers.Dense(2, name="head")(x))
    return model, [("words", 6), ("forward_a", 5), ("backward_a", 5), ("step", 6), ("backward_b forward_b", 4)]


def across():
    """Recurrent layers that run along the channels of what is before them."""
    x = given = keras.Input((6, 3))
    x = layers.Permute((2, 1))(layers.Conv1D(6, 3, name="stem")(x))
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both")(x)
    x = layers.Permute((2, 1))(layers.Dense(4, name="step")(x))
    x = layers.Dense(7, name="free")(layers.GRU(3)(x))
    return keras.Model(given, layers.Dense(2, name="head")(x)), [("free", 7)]


def attention():
    x = given = keras.Input((6, 12))
    memory = layers.Dense(10, name="memory")(x)
    x = layers.Dense(8, name="stem")(x)
    attended = layers.MultiHeadAttention(4, 3, value_dim=2, name="heads")(x, memory)
    x = layers.MultiHeadAttention(1, 4, name="one")(layers.Add()([x, attended]), attended)
    model = keras.Model(given, layers.Dense(2, name="head")(x))
    return model, [("memory", 10), ("heads stem", 8), ("heads", 4), ("one", 4), ("one", 8)]


def transformer():
    x = given = keras.Input((6, 12))
    x = layers.Dense(8, name="stem")(x)
    x = layers.LayerNormalization(name="norm")(x + layers.MultiHeadAttention(4, 3, name="heads")(x, x))
    hidden = layers.Dense(16, activation="gelu", name="hidden")(x)
    x = layers.LayerNormalization(name="norm2")(x + layers.Dense(8, name="back")(hidden))
    return keras.Model(given, layers.Dense(2, name="head")(x[:, 0])), [("heads", 4), ("hidden", 16)]


def shared():
    x = given = keras.Input((5,))
    twice = layers.Dense(6, name="twice", activation="relu")
    left, right = twice(layers.Dense(4, name="left")(x)), twice(layers.Dense(4, name="right")(x))
    model = keras.Model(given, layers.Dense(2, name="head")(layers.Concatenate()([left, right])))
    return model, [("left right", 4), ("twice", 6)]


def several():
    left, right = keras.Input((5,), name="a"), keras.Input((4,), name="b")
    x = layers.Average()([layers.Dense(6, name="left")(left), layers.Dense(6, name="right")(right)])
    y = layers.Dense(8, name="middle")(x)
    outputs = {"one": layers.Dense(2, name="one")(x), "two": layers.Dense(3, name="two")(y), "raw": x + 1.0}
    return keras.Model({"a": left, "b": right}, outputs), [("middle", 8)]


def nested():
    inner_input = keras.Input((8,))
    inner = keras.Model(inner_input, layers.Dense(6, name="inside")(layers.ReLU()(inner_input)), name="inner")
    x = given = keras.Input((5,))
    x = inner(layers.Dense(8, name="left")(x)) - inner(layers.Dense(8, name="right")(x))
    backbone = keras.Model(given, x, name="backbone")
    model = keras.Sequential([keras.Input((5,)), backbone, layers.Dense(7, name="post"), layers.Dense(2, name="head")])
    return model, [("left right", 8), ("inside", 6), ("post", 7)]


def open_lengths():
    x = given = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D(keepdims=True)(convolved(x, 6, "stem"))
    x = layers.Reshape((-1, 6))(x)
    return keras.Model(given, layers.Dense(2, name="head")(x)), [("stem", 6)]


TOPOLOGIES = (residual, concatenated, depthwise, squeezed_and_excited, flattened, operators, volumes, recurrent, words)
TOPOLOGIES += (across, attention, transformer, shared, several, nested, open_lengths)


def disturbed(model):
    """Weights that are far from their start: statistics, scales and biases too."""
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(RNG.uniform(0.5, 2.0, weight.shape))
        elif weight.dtype == "float32":
            weight.assign(RNG.normal(0, 0.5, weight.shape))
    return model


def rows(model, count=3):
    def draw(tensor):
        shape = (count, *(7 if each is None else each for each in tensor.shape[1:]))
        return RNG.integers(0, 20, shape) if tensor.dtype == "int32" else RNG.normal(size=shape).astype("float32")

    if isinstance(model, keras.Sequential):
        return draw(model.inputs[0])
    return keras.tree.map_structure(draw, model.input)


def half(source):
    """A plan to remove a random half of each free group."""
    chosen = [RNG.permutation(group.units)[: len(group.units) // 2] for group in source.free]
    return source.without(np.concatenate(chosen))


def assert_equal_outputs(one, other, x, atol=1e-4):
    keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), one(x), other(x))


def counted(count):
    """A count, or why there is none, as where lengths vary."""
    try:
        return count()
    except tfkit.ModelError as error:
        return str(error)


@pytest.mark.parametrize("make", TOPOLOGIES, ids=lambda make: make.__name__)
def test_it_computes_what_the_masked_original_computes(make):
    keras.utils.set_random_seed(0)
    model, groups = make()
    before = disturbed(model).get_weights()
    source = plan(model)
    found = [(" ".join(sorted(group.layers)), len(group.units)) for group in source.free]
    assert sorted(found) == sorted(groups)
    smaller = half(source)
    small, zeroed, x = shrunk(smaller), masked(smaller), rows(model)
    assert parameters(smaller) == small.count_params() < model.count_params() == zeroed.count_params()
    assert counted(lambda: operations(smaller)) == counted(lambda: flops(small))
    assert_equal_outputs(small, zeroed, x)
    assert [each.name for each in small.layers] == [each.name for each in model.layers]
    changed = [
        np.abs(np.asarray(a) - np.asarray(b)).max()
        for a, b in zip(keras.tree.flatten(model(x)), keras.tree.flatten(zeroed(x)))
    ]
    assert max(changed) > 1e-2  # the equality is not that of outputs which nothing reaches
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "make", [residual, squeezed_and_excited, flattened, words, attention], ids=lambda m: m.__name__
)
def test_zero_channels_go_first_so_that_the_outputs_stay(make):
    keras.utils.set_random_seed(0)
    model = masked(half(plan(disturbed(make()[0]))))
    x = rows(model)
    made = Shrink(0.5, importance="l1").compress(model, tfkit.Data((x, np.zeros((3, 1)))), epochs=0, directory=None)
    assert made.model.count_params() < 0.8 * model.count_params()
    assert_equal_outputs(made.model, model, x)


DEAD, ALIVE = [0, 3, 4, 6], [1, 2, 5, 7]


def hand_made():
    """Filters that a norm of kernels ranks in the wrong order: those of ALIVE are small."""
    x = given = image()
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, name="first")(x))
    model = disturbed(keras.Model(given, layers.Dense(2)(layers.Flatten()(convolved(layers.ReLU()(x), 4, "second")))))
    multiply(model.get_layer("first").kernel, -1, ALIVE, 1e-3)
    return model


def multiply(weight, axis, positions, factor):
    value = weight.numpy()
    np.moveaxis(value, axis, 0)[positions] *= factor
    weight.assign(value)


def zero_all(model):
    zero_scale(model)
    for name in ("kernel", "bias"):
        multiply(getattr(model.get_layer("first"), name), -1, DEAD, 0)


def zero_scale(model):
    for name in ("gamma", "beta"):
        multiply(getattr(model.get_layer("norm"), name), 0, DEAD, 0)


def zero_readers(model):
    multiply(model.get_layer("second").kernel, 2, DEAD, 0)


@pytest.mark.parametrize("zero", [zero_all, zero_scale, zero_readers], ids=lambda zero: zero.__name__)
def test_filters_zeroed_by_hand_are_those_that_go(zero):
    model = hand_made()
    zero(model)
    x = rows(model)
    source = plan(model)
    first = next(group for group in source.free if group.layers == ("first",))
    assert_equal_outputs(shrunk(source.without(first.units[DEAD])), model, x)
    made = Shrink(0.5).compress(model, tfkit.Data((x, np.zeros((3, 1)))), epochs=0, directory=None).model
    np.testing.assert_array_equal(made.get_layer("first").kernel, model.get_layer("first").kernel.numpy()[..., ALIVE])


def test_what_an_offset_keeps_alive_is_no_zero_channel():
    model = hand_made()
    zero_all(model)
    model.get_layer("norm").beta.assign(np.ones(8))
    source = plan(model)
    assert not zero_units(source, Parts(source), tfkit.Data((rows(model), np.zeros((3, 1))))).any()
