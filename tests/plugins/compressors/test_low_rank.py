import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit_compressors.factorization.svd import factors

RNG = np.random.default_rng(0)


def data(model, rows=16):
    shapes = [(rows, *each.shape[1:]) for each in model.inputs]
    x = tuple(RNG.normal(size=shape).astype("float32") for shape in shapes)
    return tfkit.Data((x if len(x) > 1 else x[0], np.zeros((rows, *model.output_shape[1:]))), batch_size=8)


def compress(model, epochs=0, **params):
    keras.utils.set_random_seed(0)
    return tfkit.create("compressor", "low-rank", **params).compress(model, data(model), epochs=epochs, directory=None)


def lower(layer, rank):
    """Gives a layer a kernel of an exact rank."""
    shape = layer.kernel.shape
    matrix = RNG.normal(size=(int(np.prod(shape[:-1])), rank)) @ RNG.normal(size=(rank, shape[-1])) / 10
    layer.kernel.assign(matrix.reshape(shape))


@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99])
def test_the_loss_is_that_of_the_dropped_singular_values_and_the_rank_the_least(energy):
    kernel = RNG.normal(size=(3, 3, 4, 20))
    found = factors(kernel, energy)
    matrix, product = kernel.reshape(36, 20), found.down.reshape(36, -1) @ found.up
    singular = np.linalg.svd(matrix, compute_uv=False)
    dropped = np.sqrt((singular[found.rank :] ** 2).sum())
    np.testing.assert_allclose(np.linalg.norm(matrix - product), dropped, rtol=1e-10)
    np.testing.assert_allclose(found.lost, dropped, rtol=1e-10)
    kept = np.cumsum(singular**2) / (singular**2).sum()
    assert kept[found.rank - 1] >= energy > (kept[found.rank - 2] if found.rank > 1 else 0)


def layers_of_every_kind():
    return [
        ((12,), layers.Dense(10, "relu")),
        ((5, 12), layers.Dense(10, use_bias=False)),
        ((9, 8), layers.Conv1D(12, 3, strides=2, padding="same")),
        ((9, 8), layers.Conv1D(12, 3, padding="causal", dilation_rate=2)),
        ((8, 7, 6), layers.Conv2D(12, (3, 2), strides=(1, 2), activation="tanh", padding="same")),
        ((8, 8, 6), layers.Conv2D(12, 3, dilation_rate=2, use_bias=False)),
        ((5, 5, 5, 4), layers.Conv3D(10, 3)),
    ]


@pytest.mark.parametrize(("shape", "layer"), layers_of_every_kind(), ids=lambda each: getattr(each, "name", str(each)))
def test_with_all_energy_an_exact_low_rank_is_found_and_nothing_lost(shape, layer):
    model = keras.Sequential([keras.Input(shape), layer])
    lower(layer, 2)
    if layer.use_bias:
        layer.bias.assign(RNG.normal(size=layer.bias.shape))
    x = RNG.normal(size=(4, *shape)).astype("float32")
    before, count = model.predict(x, verbose=0), model.count_params()
    made = compress(model, energy=1.0).model
    np.testing.assert_allclose(made.predict(x, verbose=0), before, atol=1e-5)
    assert made.count_params() < count
    assert [each.kernel.shape[-1] for each in made.layers] == [2, layer.kernel.shape[-1]]
    assert made.layers[-1].name == layer.name


def test_a_full_rank_is_left_and_the_notes_say_why():
    model = keras.Sequential([keras.Input((6, 8)), layers.LSTM(4, name="memory"), layers.Dense(12, name="out")])
    made = compress(model, energy=1.0)
    assert made.model is model
    assert made.notes == ("'memory' stays: LSTM", "'out' stays: rank 4 of 4 saves nothing")


def branched():
    inputs = keras.Input((8, 8, 3), name="image")
    shared = layers.Dense(16, "relu", name="shared")
    nested = keras.Sequential([keras.Input((6, 6, 16)), layers.Conv2D(16, 3, name="inner")], name="nested")
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(16, 3, name="first")(inputs))
    x = layers.Add()([shared(x), shared(shared(x))])
    x = layers.Flatten()(nested(x) * 2.0)
    model = keras.Model(inputs, [layers.Dense(3, name="a")(x), layers.Dense(2, name="b")(x)], name="net")
    for layer in (model.get_layer("first"), shared, nested.layers[0]):
        lower(layer, 2)
    return model


def test_shared_and_nested_layers_of_a_functional_model_are_replaced_in_place(tmp_path):
    model = branched()
    x = RNG.normal(size=(4, 8, 8, 3)).astype("float32")
    before = model.predict(x, verbose=0)
    compressor = tfkit.create("compressor", "low-rank", energy=1.0, exclude=("a",))
    made = compressor.compress(model, tfkit.Data((x, (np.zeros((4, 3)), np.zeros((4, 2))))), epochs=0, directory=None)
    made.model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(again.predict(x, verbose=0), before):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert [layer.name for layer in made.model.get_layer("nested").layers] == ["inner_down", "inner"]
    assert [layer.name for layer in made.model.layers].count("shared") == 1
    assert "'a' stays: excluded" in made.notes
    assert "'shared' has rank 2 of 16, relative error" in " ".join(made.notes)


def test_a_nested_model_is_excluded_with_all_that_is_in_it():
    row = keras.Input((16,))
    inside = keras.Model(row, layers.Dense(16, name="deep")(row), name="inside")
    inputs = keras.Input((16,))
    model = keras.Model(inputs, layers.Dense(16, name="out")(inside(inputs)))
    for name in ("out", "inside"):
        lower(model.get_layer(name) if name == "out" else inside.get_layer("deep"), 2)
    made = compress(model, energy=1.0, exclude=("inside",))
    assert [layer.name for layer in made.model.get_layer("inside").layers][1:] == ["deep"]
    assert made.notes[0] == "'deep' stays: excluded"
    assert [layer.name for layer in made.model.layers][-2:] == ["out_down", "out"]


def test_what_is_said_of_the_kernel_is_said_of_neither_factor():
    """Both as a constraint of their own would forbid the negative factors of a kernel that is not negative."""
    layer = layers.Dense(
        10, kernel_constraint="non_neg", kernel_regularizer="l2", bias_regularizer="l1", bias_constraint="max_norm"
    )
    model = keras.Sequential([keras.Input((12,)), layer])
    layer.kernel.assign(np.outer(np.arange(1, 13), np.arange(1, 11)))
    made = compress(model, energy=1.0)
    down, up = made.model.layers
    assert down.kernel_constraint is down.kernel_regularizer is up.kernel_constraint is up.kernel_regularizer is None
    assert isinstance(up.bias_constraint, keras.constraints.MaxNorm)
    assert isinstance(up.bias_regularizer, keras.regularizers.L1)
    assert made.notes[0].endswith(", without its kernel_regularizer, without its kernel_constraint")


def test_a_frozen_layer_stays_and_the_notes_say_so():
    model = keras.Sequential([keras.Input((12,)), layers.Dense(10, name="frozen", trainable=False), layers.Dense(1)])
    lower(model.layers[0], 2)
    made = compress(model, energy=1.0)
    assert made.model is model
    assert made.notes[0] == "'frozen' stays: frozen"


def test_it_trains_on_with_the_models_own_optimizer_and_loss():
    model = keras.Sequential([keras.Input((16,)), layers.Dense(32, "relu"), layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    x = RNG.normal(size=(256, 16)).astype("float32")
    y = x[:, :4] * 2
    model.fit(x, y, epochs=20, verbose=0)
    source, losses = model.get_weights(), {}
    for epochs in (0, 10):
        model.set_weights(source)
        compressor = tfkit.create("compressor", "low-rank", energy=0.6)
        made = compressor.compress(model, tfkit.Data((x, y)), epochs=epochs, directory=None).model
        assert made.count_params() < model.count_params()
        assert made.optimizer is not model.optimizer
        assert made.optimizer.learning_rate == np.float32(0.05)
        losses[epochs] = made.evaluate(x, y, verbose=0)
    assert losses[10] < losses[0] - 0.1


def test_a_subclassed_model_is_refused_by_its_class():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.ones((1, 3)))
    with pytest.raises(tfkit.ModelError, match=r"'own' is a subclassed model \(Own\)"):
        tfkit.create("compressor", "low-rank").compress(model, None, epochs=0, directory=None)


@pytest.mark.parametrize("energy", [0, 1.1])
def test_energy_is_a_share(energy):
    with pytest.raises(tfkit.ParameterError, match="'energy' of compressor 'low-rank' must be a float > 0 and <= 1"):
        tfkit.create("compressor", "low-rank", energy=energy)
