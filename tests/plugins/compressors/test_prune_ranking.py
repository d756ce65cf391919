"""What is ranked, and against what: in a kernel by TFMOT's own rule, over all kernels, or by units."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from prune_models import DATA, RNG, X, fit, prune, refused

import tfkit
from tfkit_compressors import tfmot
from tfkit_compressors.pruning.engine import engine, kth_largest


def test_a_constraint_of_the_users_comes_first():
    """One SGD step by hand: the constrained values are ranked, not the raw ones."""
    x, y = X[:, :4], (X @ RNG.normal(size=(16, 10))).astype("float32")
    start = RNG.normal(size=(4, 10)).astype("float32")
    kernel = keras.layers.Dense(10, use_bias=False, kernel_constraint="non_neg")
    model = keras.Sequential([keras.Input((4,)), kernel])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    kernel.kernel.assign(start)
    constraint = kernel.kernel.constraint
    seen = []
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(kernel.kernel.numpy()))
    model.fit(x, y, batch_size=48, shuffle=False, verbose=0, callbacks=[prune(0.75, begin=2, frequency=1), keep])
    gradient = 2 * x[:48].T @ (x[:48] @ start - y[:48]) / (48 * 10)
    allowed = np.maximum(start - 0.1 * gradient, 0)
    expected = np.where(allowed >= np.sort(allowed.ravel())[-10], allowed, 0)
    assert (np.sort(abs(start - 0.1 * gradient).ravel())[-10:] != np.sort(allowed.ravel())[-10:]).any()
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)
    assert kernel.kernel.constraint is constraint


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_masks_are_those_of_tfmots_own_sort(dtype):
    schedule = tfmot.pruning()[1].ConstantSparsity(0.7, 0)
    values = tf.cast(np.round(RNG.normal(size=(40, 30)), 1), dtype)  # Rounded: many are equal.
    step = tf.constant(0, tf.int64)
    for block in ([1, 1], [4, 4]):
        ours = engine()(lambda: step, [], schedule, block, "AVG")._maybe_update_block_mask(values)
        theirs = tfmot.pruning()[0].Pruning(lambda: step, [], schedule, block, "AVG")._maybe_update_block_mask(values)
        for left, right in zip(ours, theirs):
            np.testing.assert_array_equal(np.array(left, "float64"), np.array(right, "float64"))


@pytest.mark.parametrize("jit", [False, True])
def test_kth_largest_is_numpys(jit):
    values = abs(RNG.normal(size=500)).astype("float32") * 10.0 ** RNG.integers(-40, 38, 500).astype("float32")
    values[:7] = [0.0, 0.0, 1e-45, 3.4e38, np.inf, 1.0, 1.0]
    find = tf.function(kth_largest, jit_compile=jit)
    order = np.sort(values)[::-1]
    if jit:
        order = np.where(order < np.finfo("float32").tiny, 0, order)  # XLA flushes what is denormal.
    for k in (1, 2, 3, 100, 250, 400):
        assert find(tf.constant(values), tf.constant(k)).numpy() == order[k - 1]


# One threshold for all


def small(**compiled):
    """A layer of small weights, one of large ones, and outputs."""
    keras.utils.set_random_seed(0)
    first = keras.layers.Dense(12, activation="relu", name="first", kernel_initializer="glorot_normal")
    model = keras.Sequential(
        [
            keras.Input((16,)),
            first,
            keras.layers.Dense(20, activation="relu", name="second"),
            keras.layers.Dense(5, "softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False, **compiled)
    first.kernel.assign(0.2 * first.kernel)
    return model


def kernels_of(model):
    return [layer.kernel.numpy() for layer in model.layers]


def test_global_ranking_keeps_the_largest_of_all(tmp_path):
    model = small()
    before = kernels_of(model)
    together = np.sort(np.concatenate([abs(each).ravel() for each in before]))
    made = tfkit.create("compressor", "prune", sparsity=0.7, ranking="global").compress(
        model, DATA, epochs=0, directory=tmp_path
    )
    bound = together[round(0.7 * together.size)]
    for now, was in zip(kernels_of(model), before):
        np.testing.assert_array_equal(now, np.where(abs(was) >= bound, was, 0))
    first, second, _ = [float((each == 0).mean()) for each in kernels_of(model)]
    assert first > 0.8 > 0.6 > second
    assert made.notes == ()


@pytest.mark.parametrize("way", [{}, {"steps_per_execution": 4}, {"run_eagerly": True}])
def test_global_ranking_in_a_fit_is_exact_overall(way):
    model = small(**way)
    fit(model, prune(0.8, ranking="global"), epochs=1)
    found = np.concatenate([each.ravel() for each in kernels_of(model)])
    assert abs((found == 0).mean() - 0.8) < 1e-3
    assert len({round(float((each == 0).mean()), 2) for each in kernels_of(model)}) == 3


# Sparsity by layer


def test_layers_have_their_own_sparsity():
    model = small()
    fit(model, prune(0.5, layers={"first": 0.75, "second": 0}), epochs=1)
    assert [float((each == 0).mean()) for each in kernels_of(model)] == [0.75, 0.0, 0.5]


def test_the_last_name_that_fits_counts_and_the_rest_is_ranked_together(tmp_path):
    model = small()
    prune_all = tfkit.create(
        "compressor", "prune", sparsity=0.5, ranking="global", layers={"Dense": 0.25, "first": 0.75}
    )
    prune_all.compress(model, DATA, epochs=0, directory=tmp_path)
    assert [float((each == 0).mean()) for each in kernels_of(model)] == [0.75, 0.25, 0.25]


def test_a_layer_of_its_own_sparsity_is_ranked_alone_though_all_have_the_same(tmp_path):
    model = small()
    step = tfkit.create("compressor", "prune", sparsity=0.5, ranking="global", layers={"first": 0.5})
    step.compress(model, DATA, epochs=0, directory=tmp_path)
    first, *others = kernels_of(model)
    assert (first == 0).mean() == 0.5
    assert np.mean(np.concatenate([each.ravel() for each in others]) == 0) == 0.5


def test_a_nested_model_is_named_with_all_that_is_in_it(tmp_path):
    row = keras.Input((8,))
    inside = keras.Model(row, keras.layers.Dense(8)(keras.layers.Dense(8)(row)), name="inside")
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(8, name="out")(inside(inputs)))
    step = tfkit.create("compressor", "prune", sparsity=0.5, layers={"inside": 0.25})
    step.compress(model, DATA, epochs=0, directory=tmp_path)
    found = [float((each.numpy() == 0).mean()) for each in model.weights if each.name == "kernel"]
    assert found == [0.25, 0.25, 0.5]


def test_a_layer_grows_from_a_sparse_start_to_its_own_sparsity():
    model, seen = small(), []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(kernels_of(model)))
    params = {"initial_sparsity": 0.25, "begin": 1, "end": 11, "frequency": 5, "power": 1}
    fit(model, prune(0.5, layers={"first": 0.75}, **params), watch, epochs=1)
    found = [[round(float((each == 0).mean()), 2) for each in kernels[:2]] for kernels in seen]
    assert (found[0], found[5], found[-1]) == ([0.25, 0.25], [0.5, 0.38], [0.75, 0.5])


def test_a_layer_that_is_not_there_is_told(tmp_path):
    match = r"layers names 'frist', and no layer that is pruned has that name; did you mean 'first'\?"
    step = tfkit.create("compressor", "prune", sparsity=0.5, layers={"frist": 0.1})
    refused(tfkit.ModelError, match, step.compress, small(), DATA, epochs=0, directory=tmp_path)


# Units


def convolutions():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3, name="first")(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="batch", beta_initializer="ones")(x))
    x = keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="ones", name="second")(x)
    x = keras.layers.Dense(10, name="hidden")(keras.layers.Flatten()(x))
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(3, name="out")(x)))
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    return model


IMAGES = RNG.normal(size=(32, 6, 6, 3)).astype("float32")
IMAGE_DATA = tfkit.Data((IMAGES, RNG.integers(0, 3, 32)), batch_size=8)


@pytest.mark.parametrize("epochs", [0, 2])
def test_units_of_the_smallest_norm_are_zero_with_all_that_is_theirs(epochs, tmp_path):
    model = convolutions()
    norms = {name: np.linalg.norm(model.get_layer(name).kernel.numpy().reshape(-1, n), axis=0) for name, n in UNITS}
    step = tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit", frequency=2)
    assert step.compress(model, IMAGE_DATA, epochs=epochs, directory=tmp_path).notes == ()
    for name, units in UNITS:
        layer = model.get_layer(name)
        alive = (layer.kernel.numpy() != 0).reshape(-1, units).any(axis=0)
        assert (layer.kernel.numpy() != 0).reshape(-1, units).all(axis=0).sum() == alive.sum() == units // 2
        assert not layer.bias.numpy()[~alive].any()
        if epochs == 0:
            assert set(np.flatnonzero(alive)) == set(np.argsort(norms[name])[units // 2 :])
    batch, first = model.get_layer("batch"), model.get_layer("first").kernel.numpy()
    dead = ~first.any(axis=(0, 1, 2))
    assert not batch.gamma.numpy()[dead].any()
    assert not batch.beta.numpy()[dead].any()
    assert batch.beta.numpy()[~dead].all()
    assert model.get_layer("out").kernel.numpy().all()  # its units are the classes


UNITS = (("first", 8), ("second", 4), ("hidden", 10))


def test_shrink_takes_the_zero_units_out(tmp_path):
    model = convolutions()
    tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit").compress(
        model, IMAGE_DATA, epochs=0, directory=tmp_path
    )
    before = model.predict(IMAGES, verbose=0)
    made = tfkit.create("compressor", "shrink", ratio=0.5).compress(model, IMAGE_DATA, epochs=0, directory=tmp_path)
    assert [made.model.get_layer(name).kernel.shape[-1] for name, _ in UNITS] == [4, 2, 5]
    np.testing.assert_allclose(made.model.predict(IMAGES, verbose=0), before, atol=1e-6)


def series(*last):
    """Layers that give the outputs, behind a Dense layer of 6 units."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4))
    x = keras.layers.Dense(6, "relu", name="hidden")(inputs)
    for layer in last:
        x = layer(x, x) if isinstance(layer, keras.layers.MultiHeadAttention) else layer(x)
    return keras.Model(inputs, x)


def distributed():
    return keras.layers.TimeDistributed(keras.layers.Dense(4, name="out"), name="each")


@pytest.mark.parametrize(
    ("last", "out"),
    [
        (lambda: [distributed()], "each"),
        (lambda: [distributed(), keras.layers.Softmax()], "each"),
        (lambda: [keras.layers.SpectralNormalization(keras.layers.Dense(4, name="out"), name="each")], "each"),
        (lambda: [keras.layers.LSTM(4, name="out")], "out"),
        (lambda: [keras.layers.Bidirectional(keras.layers.GRU(2), name="out")], "out"),
        (lambda: [keras.layers.MultiHeadAttention(2, 2, name="out")], "out"),
    ],
    ids=["in time", "and softmax", "spectral", "lstm", "both ways", "attention"],
)
def test_units_of_outputs_stay_in_whatever_they_are_wrapped(last, out, tmp_path):
    model = series(*last())
    step = tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit")
    step.compress(model, None, epochs=0, directory=tmp_path)
    assert model.get_layer("hidden").kernel.numpy().any(axis=0).sum() == 3
    assert all(weight.numpy().all() for weight in model.get_layer(out).weights if weight.name == "kernel")


def test_a_depthwise_convolution_at_the_end_gives_the_units_of_what_is_before(tmp_path):
    image = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    x = keras.layers.Conv2D(4, 3, name="second")(x)
    model = keras.Model(image, keras.layers.DepthwiseConv2D(2)(x))
    step = tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit")
    step.compress(model, None, epochs=0, directory=tmp_path)
    alive = [model.get_layer(name).kernel.numpy().any(axis=(0, 1, 2)).sum() for name in ("first", "second")]
    assert alive == [2, 4]


def test_a_unit_in_a_wrapper_takes_its_normalization_with_it(tmp_path):
    keras.utils.set_random_seed(0)
    wrapped = keras.layers.TimeDistributed(keras.layers.Dense(6, name="inner"), name="each")
    norm = keras.layers.BatchNormalization(beta_initializer="ones")
    model = keras.Sequential([keras.Input((5, 4)), wrapped, norm, keras.layers.LSTM(2)])
    step = tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit")
    step.compress(model, None, epochs=0, directory=tmp_path)
    alive = wrapped.layer.kernel.numpy().any(axis=0)
    assert alive.sum() == 3
    np.testing.assert_array_equal(norm.beta.numpy(), alive)


def test_units_of_separable_convolutions_are_those_of_the_pointwise_half(tmp_path):
    separable = keras.layers.SeparableConv2D(6, 3, depth_multiplier=2, name="separable", bias_initializer="ones")
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), separable, keras.layers.Flatten(), keras.layers.Dense(2, name="out")]
    )
    step = tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit")
    step.compress(model, None, epochs=0, directory=tmp_path)
    assert separable.pointwise_kernel.numpy().any(axis=(0, 1, 2)).sum() == separable.bias.numpy().sum() == 3
    assert separable.depthwise_kernel.numpy().all()
    match = "'granularity' of compressor 'prune' must be 'weight' where depthwise kernels are pruned"
    with pytest.raises(tfkit.ParameterError, match=match):
        tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit", depthwise=True)


def test_units_want_a_graph_and_something_to_prune(tmp_path):
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = keras.layers.Dense(5)

        def call(self, x):
            return self.out(x)

    model = Mine()
    model(X[:1])
    step = tfkit.create("compressor", "prune", sparsity=0.5, granularity="unit")
    refused(tfkit.ModelError, "subclassed", step.compress, model, DATA, epochs=0, directory=tmp_path)
    only = keras.Sequential([keras.Input((16,)), keras.layers.Dense(5), keras.layers.Softmax()])
    refused(tfkit.ModelError, "no units to prune", step.compress, only, DATA, epochs=0, directory=tmp_path)
