"""Students made from a teacher: widths, depths, and the weights that they can start from."""

import keras
import numpy as np
import pytest

import tfkit
from tfkit_compressors.distillation.student import start_from, student


def mlp(*units, inputs=12, out=5):
    layers = [keras.layers.Dense(each, "relu", name=f"d{i}") for i, each in enumerate(units)]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(out, "softmax", name="out")], name="t")


def resnet(blocks=3, filters=8, shared=False):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(filters, 3, padding="same", name="stem")(inputs)
    for i in range(blocks):
        y = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{i}")(x)
        y = keras.layers.BatchNormalization(name=f"norm{i}")(y)
        x = keras.layers.ReLU(name=f"relu{i}")(x + y)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="out")(x), name="resnet")


def names(model):
    return [layer.name for layer in model.layers if layer.weights]


def test_width_of_an_mlp():
    small = student(mlp(64, 32), width=0.25)
    assert [layer.units for layer in small.layers[1:]] == [16, 8, 5]
    assert small.count_params() == 12 * 16 + 16 + 16 * 8 + 8 + 8 * 5 + 5
    assert [layer.units for layer in student(mlp(64, 40), 0.3, multiple_of=8).layers[1:]] == [16, 16, 5]
    assert [layer.units for layer in student(mlp(3, 3), 0.01).layers[1:]] == [1, 1, 5]


def test_depth_keeps_the_first_of_each_stage():
    assert names(student(mlp(16, 16, 16, 16, 8, 8), 1.0, 0.5)) == ["d0", "d1", "d4", "out"]
    assert names(student(mlp(16, 16, 16), 1.0, 0.1)) == ["d0", "out"]
    assert names(student(mlp(12, 12, inputs=12, out=12), 1.0, 0.1)) == ["d0", "out"]
    assert names(student(mlp(16, 16), 1.0, 1.0)) == ["d0", "d1", "out"]


def test_residual_blocks():
    assert names(student(resnet(), 0.5, 1.0)) == names(resnet())
    small = student(resnet(), 0.5, 0.5)
    assert names(small) == ["stem", "conv0", "norm0", "out"]
    assert small.get_layer("conv0").filters == 4
    assert small.predict(np.ones((2, 8, 8, 3)), verbose=0).shape == (2, 4)


def recurrent():
    layers = [keras.layers.Embedding(20, 8), keras.layers.Bidirectional(keras.layers.LSTM(6, return_sequences=True))]
    layers += [keras.layers.GRU(8, return_sequences=True), keras.layers.GRU(8), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((7,)), *layers])


def attention():
    inputs = keras.Input((7, 8))
    x = keras.layers.Dense(16)(inputs)
    for _ in range(2):
        x = keras.layers.LayerNormalization()(x + keras.layers.MultiHeadAttention(2, 8)(x, x))
        x = x + keras.layers.Dense(16)(keras.layers.Dense(32, "gelu")(x))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))


def nested():
    body = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16, name="inside")], name="body")
    ends = keras.Sequential([keras.Input((16,)), keras.layers.Dense(8), keras.layers.Dense(3)], name="ends")
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(16), body, ends])


def several():
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((4,), name="b")}
    x = keras.layers.Concatenate()([keras.layers.Dense(8)(inputs["a"]), keras.layers.Dense(8)(inputs["b"])])
    return keras.Model(inputs, {"kind": keras.layers.Dense(3)(x), "value": keras.layers.Dense(1)(x)})


def decoder():
    layers = [keras.layers.Dense(4 * 4 * 8), keras.layers.Reshape((4, 4, 8)), keras.layers.Conv2DTranspose(4, 3)]
    return keras.Sequential([keras.Input((6,)), *layers, keras.layers.Conv2D(1, 1)])


def grouped():
    layers = [keras.layers.Conv2D(8, 3), keras.layers.Conv2D(8, 3, groups=8), keras.layers.Conv2D(12, 3, groups=4)]
    return keras.Sequential([keras.Input((9, 9, 2)), *layers, keras.layers.Flatten(), keras.layers.Dense(3)])


@pytest.mark.parametrize("make", [recurrent, attention, nested, several, decoder, grouped])
def test_architectures(make):
    teacher = make()
    for width, depth in ((0.5, 1.0), (0.5, 0.5)):
        small = student(teacher, width, depth)
        assert small.count_params() < 0.6 * teacher.count_params()
        assert [each.shape for each in small.outputs] == [each.shape for each in teacher.outputs]
        if make is several:
            assert list(small.output) == list(teacher.output)


def test_less_dropout():
    layers = [
        keras.layers.Dropout(0.4),
        keras.layers.LSTM(4, dropout=0.2, recurrent_dropout=0.1),
        keras.layers.Dense(2),
    ]
    teacher = keras.Sequential([keras.Input((3, 2)), *layers])
    for share in (1.0, 0.5):
        drop, lstm = student(teacher, 1.0, dropout=share).layers[1:3]
        assert (drop.rate, lstm.dropout, lstm.recurrent_dropout) == (0.4 * share, 0.2 * share, 0.1 * share)


def test_whole_width_and_depth_is_the_teachers_make():
    teacher = resnet()
    copy = student(teacher, 1.0, 1.0)
    assert len(start_from(copy, teacher)) == len(names(teacher))
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(copy(x), teacher(x), atol=1e-6)


def test_start_is_fresh_or_the_teachers():
    keras.utils.set_random_seed(0)
    teacher = resnet()
    fresh = student(teacher, 1.0, 0.5)
    assert not np.allclose(fresh.get_layer("conv0").kernel, teacher.get_layer("conv0").kernel)
    assert start_from(fresh, teacher) == ["stem", "conv0", "norm0", "out"]
    np.testing.assert_array_equal(fresh.get_layer("conv0").kernel, teacher.get_layer("conv0").kernel)
    inner = nested()
    assert "body/inside" in start_from(student(inner, 1.0, 1.0), inner)


def test_the_teacher_stays_as_it_is():
    teacher = resnet()
    before = teacher.get_weights(), teacher.get_config()
    student(teacher, 0.5, 0.5)
    assert teacher.get_config() == before[1]
    assert all(np.array_equal(*pair) for pair in zip(teacher.get_weights(), before[0]))


@pytest.mark.parametrize(
    "params", [{"width": 0}, {"width": 1.5}, {"depth": 0}, {"depth": -1}, {"multiple_of": 0}, {"dropout": 2}]
)
def test_bounds(params):
    with pytest.raises(tfkit.ParameterError, match=f"'{next(iter(params))}' of student must be"):
        student(mlp(8), **params)


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.built = True


def test_refusals():
    inputs = keras.Input((12,))
    skip = keras.Model(
        inputs, keras.layers.Dense(3)(keras.layers.Add(name="sum")([inputs, keras.layers.Dense(12)(inputs)]))
    )
    with pytest.raises(tfkit.ModelError, match=r"Add 'sum' does not go with width=0\.5"):
        student(skip)
    with pytest.raises(tfkit.ModelError, match="'own' is a subclassed model"):
        student(Own())
    with pytest.raises(tfkit.ModelError, match="is not built"):
        student(keras.Sequential([keras.layers.Dense(2)]))
    unknown = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x, name="own")])
    with pytest.raises(tfkit.ModelError, match="Lambda 'own' does not go with"):
        student(unknown)
