"""What shrink leaves: a model that trains, saves and is a step of compress, and groups that stay whole."""

import keras
import numpy as np
import pytest
from keras import layers
from shrink_models import DATA, RNG, X, mlp, shrink
from sklearn.datasets import load_digits

import tfkit
from tfkit_compressors.shrinking.build import masked, shrunk
from tfkit_compressors.shrinking.plan import plan

# What is left


@pytest.mark.slow
def test_what_is_left_is_compiled_and_trained_as_the_source():
    x, y = (load_digits().data / 16).astype("float32"), load_digits().target
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), layers.Dense(48, activation="relu"), layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.005), loss, metrics=["accuracy"])
    model.fit(x[:1200], y[:1200], epochs=6, verbose=0)
    data = tfkit.Data((x[:1200], y[:1200]), (x[1200:], y[1200:]))
    before, at_once, trained = (
        each.evaluate(x[1200:], y[1200:], verbose=0)[1]
        for each in (model, shrink(model, 0.75, data).model, shrink(model, 0.75, data, epochs=3).model)
    )
    assert at_once < trained - 0.05
    assert trained > before - 0.08
    made = shrink(model, 0.75, data, epochs=1).model
    assert float(made.optimizer.learning_rate) == pytest.approx(0.005)
    assert int(made.optimizer.iterations) == 38
    assert int(shrink(model, 0.75, data).model.optimizer.iterations) == 0


def test_a_plain_model_is_not_compiled_after_it_and_trainable_flags_stay():
    model = mlp()
    plain = keras.Sequential([keras.Input((6,)), *model.layers])
    plain.layers[0].trainable = False
    made = shrink(plain).model
    assert not made.compiled
    assert [layer.trainable for layer in made.layers] == [False, True, True]


def test_it_saves_and_loads(tmp_path):
    made = shrink(mlp()).model
    made.save(tmp_path / "small.keras")  # without a warning of an optimizer that was never built
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "small.keras")(X), made(X))


def test_it_is_a_step_of_compress():
    result = tfkit.compress(mlp((32,)), [("shrink", {"ratio": 0.5})], DATA, epochs=0)
    assert result.model.get_layer("hidden0").units == 16
    assert result.table[-1]["parameters"] == 16 * 7 + 17 * 3
    assert len(result.table[-1]["notes"]) == 1
    assert result.table[-1]["notes"][0] == "16 of 35 channels gone, 323 to 163 parameters"


# What stays, by name


class Own(layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=-1, keepdims=True)


STAYS = {
    "own layer": (Own(name="mine"), "mine (Own) is not known to shrink"),
    "layer norm": (layers.LayerNormalization(name="norm"), "norm (LayerNormalization) mixes channels"),
    "group norm": (layers.GroupNormalization(2, name="norm"), "norm (GroupNormalization) mixes channels"),
    "softmax": (layers.Activation("softmax", name="act"), "act (Activation) mixes channels by softmax"),
    "softmax layer": (layers.Softmax(name="soft"), "soft (Softmax) mixes channels"),
    "heads by reshape": (layers.Reshape((2, 4), name="split"), "split (Reshape) spreads channels over several axes"),
    "groups": (layers.Conv1D(4, 1, groups=2, name="grouped"), "grouped (Conv1D) has 2 groups of channels"),
    "constants": (layers.Rescaling([1.0] * 8, name="scale"), "scale (Rescaling) holds constants for each channel"),
    "attention": (None, "attend (Attention) is not known to shrink"),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_mixes_channels_keeps_its_group_and_is_named(name):
    layer, reason = STAYS[name]
    x = given = keras.Input((5, 6))
    x = layers.Dense(8, name="before")(layers.Dense(8, name="free")(x))
    if name == "heads by reshape":
        x = layers.GlobalAveragePooling1D()(x)
    x = layers.Attention(name="attend")([x, x]) if layer is None else layer(x)
    model = keras.Model(given, layers.Dense(2, name="out")(x))
    rows = RNG.normal(size=(4, 5, 6)).astype("float32")
    made = shrink(model, 0.5, tfkit.Data((rows, np.zeros((4, 5, 2)))))
    assert made.model.get_layer("before").units == 8
    assert made.model.get_layer("free").units == 4
    assert f"before stays: {reason}" in [note.replace("before; grouped", "before") for note in made.notes]
    source = plan(model)
    free = next(group for group in source.free if group.layers == ("free",))
    small = source.without(free.units[:4])
    np.testing.assert_allclose(shrunk(small)(rows), masked(small)(rows), atol=1e-5)


def test_channels_cut_apart_stay():
    x = given = keras.Input((6,))
    x = layers.Dense(8, name="before")(x)
    left, right = x[:, :4], x[:, 4:]
    model = keras.Model(given, layers.Dense(2)(left * right))
    assert plan(model).table[0]["stays"].endswith("takes channels apart")


def test_a_plan_says_in_words_what_it_would_do():
    source = plan(mlp((8, 4)))
    first = source.groups[0]
    assert str(source.without(first.units[:3])).splitlines() == [
        "units removed  layers",
        "    8       3  hidden0",
        "    4       0  hidden1",
        "    3       0  out: stays, it is an output of the model",
    ]
    with pytest.raises(tfkit.ModelError, match="all 8 units of hidden0 are to go: leave one at least"):
        source.without(first.units)
    with pytest.raises(tfkit.ModelError, match="units of out cannot be removed: it is an output of the model"):
        source.without(source.groups[2].units[:1])
