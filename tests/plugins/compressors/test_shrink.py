"""The compressor shrink: what it ranks by, what it keeps, what it says and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit.flops import flops
from tfkit_compressors.shrinking import measured
from tfkit_compressors.shrinking.build import masked, shrunk
from tfkit_compressors.shrinking.plan import plan
from tfkit_compressors.shrinking.shrink import Shrink

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = RNG.integers(0, 3, 48)
DATA = tfkit.Data((X, Y), (X, Y), batch_size=16)


def mlp(units=(8, 8), *, name="net"):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(count, activation="relu", name=f"hidden{i}") for i, count in enumerate(units)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(3, name="out")], name=name)
    for layer in hidden:
        layer.bias.assign(RNG.uniform(0, 0.2, layer.units))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def shrink(model, ratio=0.5, data=DATA, epochs=0, **params):
    return tfkit.create("compressor", "shrink", ratio=ratio, **params).compress(
        model, data, epochs=epochs, directory=None
    )


def kept(model, made, layer="hidden0"):
    """The positions of the columns of a kernel that are still there."""
    before, after = (each.get_layer(layer).kernel.numpy() for each in (model, made.model))
    before = before[: len(after)] if layer == "hidden0" else before
    return [int(np.flatnonzero((before == column[:, None]).all(axis=0))[0]) for column in after.T]


def best(scores, count):
    return sorted(np.argsort(scores)[-count:].tolist())


# What goes


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


@pytest.mark.parametrize(("ratio", "left"), [(0.0, 8), (0.5, 4), (0.3, 6), (0.99, 1)])
def test_ratio_is_the_share_that_goes_and_one_unit_stays(ratio, left):
    made = shrink(mlp((8, 16)), ratio).model
    assert made.get_layer("hidden0").units == left
    assert made.get_layer("hidden1").units == max(1, round(16 * (1 - ratio)))
    assert made.output_shape == (None, 3)


@pytest.mark.parametrize(("multiple", "left"), [(4, [8, 4, 3]), (8, [8, 6, 3]), (1, [6, 3, 1])])
def test_counts_are_multiples_rounded_up(multiple, left):
    made = shrink(mlp((12, 6, 3)), 0.5, multiple_of=multiple)
    assert [made.model.get_layer(f"hidden{i}").units for i in range(3)] == left
    if multiple > 1:
        whole = "hidden2" if multiple == 4 else "hidden1; hidden2"
        assert f"whole, since counts stay multiples of {multiple}: {whole}" in made.notes


def test_both_directions_lose_as_many_units_under_a_budget():
    keras.utils.set_random_seed(0)
    both = layers.Bidirectional(layers.LSTM(8))
    model = keras.Sequential([keras.Input((5, 6)), both, layers.Dense(12), layers.Dense(3)])
    both.forward_layer.cell.kernel.assign(10 * both.forward_layer.cell.kernel)
    data = tfkit.Data((RNG.normal(size=(8, 5, 6)), RNG.integers(0, 3, 8)))
    made = shrink(model, 0.9, data, budget=0.5).model
    assert made.layers[0].forward_layer.units == made.layers[0].backward_layer.units < 8
    assert made.count_params() <= 0.5 * model.count_params()


# Budgets


@pytest.mark.parametrize("cost", ["parameters", "bytes", "flops"])
def test_a_budget_is_kept_and_hardly_more_goes(cost):
    model = mlp((24, 40, 16))
    made = shrink(model, 0.9, budget=0.4, cost=cost)
    count = flops if cost == "flops" else keras.Model.count_params
    assert 0.37 < count(made.model) / count(model) <= 0.4
    assert any(note.startswith(f"{cost}: 0.3") or note.startswith(f"{cost}: 0.4") for note in made.notes)


@pytest.mark.slow
def test_a_latency_budget_is_measured():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((512,)), layers.Dense(1024), layers.Dense(1024), layers.Dense(3)])
    data = tfkit.Data((RNG.normal(size=(4, 512)).astype("float32"), np.zeros(4)))
    made = shrink(model, 0.95, data, budget=0.7, cost="latency")
    assert made.model.count_params() < model.count_params()
    assert next(note for note in made.notes if note.startswith("latency: "))


def test_a_budget_ranks_over_the_whole_model_up_to_the_ratio():
    model = mlp((16, 16))
    model.get_layer("hidden0").kernel.assign(np.ones((6, 16)))  # all alike, no one below the mean
    made = shrink(model, 0.75, budget=0.85).model
    assert (made.get_layer("hidden0").units, 4 <= made.get_layer("hidden1").units < 16) == (16, True)


def test_a_budget_that_cannot_be_kept_is_refused():
    with pytest.raises(tfkit.ParameterError, match=r"loses 0.1 of its units parameters are 0.8\d+ of the source's"):
        shrink(mlp(), 0.1, budget=0.2)


# The step of latency


def test_the_step_is_read_from_a_table():
    avx512 = {16: 0.030, 20: 0.068, 24: 0.080, 28: 0.09, 32: 0.079, 40: 0.187, 48: 0.224}
    assert measured.step_of(avx512) == 16
    avx2 = {8: 1.0, 12: 3.0, 16: 3.5, 20: 6.0, 24: 6.2, 28: 9.0, 32: 9.3, 40: 12.0, 48: 15.0}
    assert measured.step_of(avx2) == 8


@pytest.mark.slow
def test_auto_measures_this_machine_once():
    table = dict(measured.latencies())
    assert list(table) == list(measured._WIDTHS)
    assert 0 < table[8] < table[48]
    model = mlp((64,))
    made = shrink(model, 0.4, multiple_of="auto")
    step = measured.step_of(table)
    assert made.model.get_layer("hidden0").units == -(-round(64 * 0.6) // step) * step
    assert f"multiple_of='auto' is {step} here" in made.notes[1]


def test_without_a_measurement_it_takes_eight_and_says_so(monkeypatch):
    def fail():
        raise tfkit.ConversionError("no time")

    monkeypatch.setattr(measured, "latencies", fail)
    assert measured.best_multiple() == (8, "multiple_of='auto' could not be measured (no time); 8 is taken")


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


def test_it_is_no_callback():
    with pytest.raises(tfkit.TfkitError, match="works on a trained model, not inside fit"):
        tfkit.callback("compressor", "shrink", ratio=0.5)


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


# Bad input


def subclassed():
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__(name="hidden")
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Hidden()
    model(X[:1])
    return model


class Closed(layers.Layer):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)

    def call(self, x):
        return x


def closed():
    hidden = [layers.Dense(4), Closed(object(), name="mine"), layers.Dense(4)]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(2)])


BAD_MODELS = {
    "subclassed": (subclassed, r"'hidden' is a subclassed model \(Hidden\), whose graph .*: build it as a Functional"),
    "not built": (lambda: keras.Sequential([layers.Dense(2)], name="net"), "'net' is not built"),
    "no model": (lambda: layers.Dense(2), "expected a Keras 3 model"),
    "no kernels": (lambda: keras.Sequential([keras.Input((6,)), layers.ReLU()], name="net"), "it has no kernels"),
    "one layer": (
        lambda: keras.Sequential([keras.Input((6,)), layers.Dense(2, name="out")], name="net"),
        "'net' has nothing to shrink: out stays: it is an output of the model",
    ),
    "cannot be cloned": (closed, r"layer 'mine' \(Closed\) cannot be made anew from its config"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_models_that_cannot_be_shrunk_are_refused_by_name(name):
    make, text = BAD_MODELS[name]
    with pytest.raises(tfkit.ModelError, match=text):
        Shrink(0.5).compress(make(), DATA, epochs=0, directory=None)


def test_training_and_gradients_need_a_compiled_model():
    plain = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(3)], name="plain")
    for params, epochs in (({"importance": "taylor"}, 0), ({}, 1)):
        with pytest.raises(tfkit.ModelError, match="'plain' is not compiled"):
            shrink(plain, epochs=epochs, **params)


def test_weights_that_are_nan_rank_nothing():
    model = mlp()
    model.get_layer("hidden0").kernel.assign(np.full((6, 8), np.nan))
    with pytest.raises(tfkit.ModelError, match="the weights of hidden0 hold NaN or infinity"):
        shrink(model)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "needs 'ratio'"),
        ({"ratio": 1.0}, "'ratio' of compressor 'shrink' must be a float >= 0 and < 1; got 1.0"),
        ({"ratio": -0.1}, "'ratio' of compressor 'shrink' must be a float >= 0 and < 1; got -0.1"),
        ({"ratio": 0.5, "importance": "size"}, "'importance' of compressor 'shrink' must be 'l2' or 'l1'"),
        ({"ratio": 0.5, "multiple_of": 0}, "'multiple_of' of compressor 'shrink' must be an int >= 1 or 'auto'; got 0"),
        ({"ratio": 0.5, "budget": 1.5}, "'budget' of compressor 'shrink' must be a float > 0 and < 1 or None; got 1.5"),
        ({"ratio": 0.5, "cost": "money"}, "'cost' of compressor 'shrink' must be 'parameters' or 'bytes'"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "shrink", **params)
