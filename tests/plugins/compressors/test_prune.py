"""Pruning inside a fit: the zeros are as many as asked, where they belong, and nothing else is left of it."""

import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit_compressors.kernels import kernels, layer_sparsity
from tfkit_compressors.pruning import tfmot
from tfkit_compressors.pruning.engine import engine, kth_largest
from tfkit_compressors.pruning.prune import Prune

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 16)).astype("float32")
Y = RNG.integers(0, 5, 96)
STEPS = 12  # of 8 rows, in an epoch
DATA = tfkit.Data((X, Y), batch_size=8)


def mlp(optimizer="adam", *, dtype=None, constraint=None, **compiled):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(20, activation="relu", name="hidden", dtype=dtype, kernel_constraint=constraint)
    model = keras.Sequential(
        [keras.Input((16,), name="x"), hidden, keras.layers.Dense(5, name="out", dtype=dtype)], name="net"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **compiled)
    return model


def prune(sparsity=0.8, **params):
    return tfkit.callback("compressor", "prune", sparsity=sparsity, **{"frequency": 4, **params})


def fit(model, *callbacks, epochs=2, **more):
    return model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **more)


def zeros(model):
    return [int((layer.kernel.numpy() == 0).sum()) for layer in model.layers if hasattr(layer, "kernel")]


class Watch(keras.callbacks.Callback):
    """Keeps the zeros of the first kernel after each batch."""

    def __init__(self):
        super().__init__()
        self.zeros = []

    def on_train_batch_end(self, batch, logs=None):
        self.zeros.append(zeros(self.model)[0])


# How a model trains

WAYS = {
    "eager": {"run_eagerly": True},
    "graph": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "several steps": {"jit_compile": False, "steps_per_execution": 8},
    "several steps, xla": {"jit_compile": True, "steps_per_execution": 8},
}
OPTIMIZERS = {
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "average": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "average, overwriting": lambda: keras.optimizers.SGD(0.01, use_ema=True, ema_overwrite_frequency=3),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


@pytest.mark.parametrize("way", WAYS)
def test_zeros_are_exact_however_the_step_runs(way):
    model = mlp(**WAYS[way])
    fit(model, prune())
    assert zeros(model) == [256, 80]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zeros_are_exact_with_any_optimizer(name):
    model = mlp(OPTIMIZERS[name](), jit_compile=False)
    fit(model, prune(frequency=2))
    assert zeros(model) == [256, 80]


def test_zeros_are_exact_in_mixed_precision():
    model = mlp(dtype="mixed_float16", jit_compile=False)
    fit(model, prune())
    assert zeros(model) == [256, 80]
    assert model.get_layer("hidden").kernel.dtype == "float32"


def test_all_ways_end_at_the_same_weights():
    found = {}
    for way in ("eager", "graph", "several steps"):
        model = mlp(**WAYS[way])
        fit(model, prune(), epochs=1)
        found[way] = model.get_weights()
    for weights in found.values():
        for left, right in zip(weights, found["graph"]):
            np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.slow
def test_two_replicas_hold_the_same_zeros_as_one_device():
    child = Path(__file__).with_name("prune_on_two_devices.py")
    done = subprocess.run([sys.executable, child], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["graph", "eager", "scaled"]


# When masks are updated


def expected_zeros(batch, size, *, sparsity, initial=0.0, begin=0, end, frequency, power=3, forced=True, every=1):
    """Zeros after a batch: those of the last step that was due, Zhu and Gupta's polynomial."""
    # Masks for a step are made after the update before it, those for an epoch's first step when that begins.
    done = batch // every
    upcoming = done if batch % STEPS == 0 else done + 1
    due = [s for s in range(begin, end + 1) if (s - begin) % frequency == 0 or (forced and s == end)]
    past = [step for step in due if 1 <= step <= upcoming]
    if not past:
        return 0
    left = 1 - (past[-1] - begin) / (end - begin)
    share = sparsity + (initial - sparsity) * left**power
    return size - max(round(size * (1 - share)), 1)


@pytest.mark.parametrize(
    "params",
    [
        {"frequency": 1},
        {"frequency": 7},
        {"frequency": 100},
        {"frequency": 5, "begin": 3, "power": 1, "initial_sparsity": 0.3},
        {"frequency": 5, "begin": 2, "end": 17},
    ],
    ids=str,
)
def test_polynomial_is_followed_at_every_step(params):
    model, watch = mlp(jit_compile=False), Watch()
    fit(model, prune(0.7, **params), watch)
    keys = {"initial_sparsity": "initial"}
    plan = {"end": 2 * STEPS, **{keys.get(name, name): value for name, value in params.items()}}
    forced = "end" not in params
    expected = [expected_zeros(b, 320, sparsity=0.7, forced=forced, **plan) for b in range(1, 2 * STEPS + 1)]
    assert watch.zeros == expected
    assert watch.zeros[-1] == 224


def test_a_step_is_an_update_under_gradient_accumulation():
    model, watch = mlp(keras.optimizers.Adam(0.01, gradient_accumulation_steps=3), jit_compile=False), Watch()
    fit(model, prune(frequency=2, begin=1), watch)
    plan = {"sparsity": 0.8, "begin": 1, "end": 8, "frequency": 2, "every": 3}
    assert watch.zeros == [expected_zeros(batch, 320, **plan) for batch in range(1, 2 * STEPS + 1)]
    assert watch.zeros[-1] == 256


def test_the_last_batch_has_its_update_whatever_the_frequency():
    model = mlp()
    fit(model, prune(frequency=1000, schedule="constant"))
    assert zeros(model) == [256, 80]


def test_steps_go_on_from_fit_to_fit_as_if_it_were_one():
    whole, parts = mlp(jit_compile=False), mlp(jit_compile=False)
    fit(whole, prune(frequency=3), epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(parts, prune(frequency=3, end=3 * STEPS), epochs=1)
    fit(parts, prune(frequency=3), epochs=3, initial_epoch=1)
    for left, right in zip(whole.get_weights(), parts.get_weights()):
        np.testing.assert_array_equal(left, right)


def test_zeros_stay_in_a_later_fit_whose_end_is_past():
    model = mlp(jit_compile=False)
    fit(model, prune(end=20))
    before = [layer.kernel.numpy() == 0 for layer in model.layers]
    with pytest.warns(UserWarning, match=r"end=20 is past.* 24 updates.*'net/hidden/kernel'.* 0\.8, 0\.8 was"):
        fit(model, prune(end=20))
    assert all(np.array_equal(layer.kernel.numpy() == 0, mask) for layer, mask in zip(model.layers, before))


def test_a_kernel_of_zeros_is_not_taken_for_pruned():
    model = mlp(jit_compile=False)
    fit(model, epochs=1)
    model.get_layer("out").kernel.assign(np.zeros((20, 5)))
    fit(model, prune(frequency=1), epochs=1)
    assert zeros(model) == [256, 80]


# Keras says so after every first epoch of unknown length, and goes on.
RAN_OUT = pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")


@RAN_OUT
@pytest.mark.parametrize("epochs", [2, 3])
def test_unknown_number_of_batches(epochs):
    model = mlp(jit_compile=False)
    unknown = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).filter(lambda x, y: True)
    model.fit(unknown, epochs=epochs, shuffle=False, verbose=0, callbacks=[prune()])
    assert zeros(model) == [256, 80]


@RAN_OUT
def test_unknown_number_of_batches_in_one_epoch_prunes_after_it_and_says_so():
    model = mlp(jit_compile=False)
    unknown = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).filter(lambda x, y: True)
    with pytest.warns(UserWarning, match="steps_per_epoch"):
        model.fit(unknown, shuffle=False, verbose=0, callbacks=[prune()])
    assert zeros(model) == [256, 80]


def test_skipped_updates_do_not_cost_the_last_one():
    """A loss scale that is too high skips updates: the optimizer counts fewer than there are batches."""
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=3e38)
    model = mlp(scaled, jit_compile=False)
    model.fit(100 * X, Y, batch_size=8, verbose=0, callbacks=[prune()])
    assert int(scaled.iterations) < STEPS
    assert zeros(model) == [256, 80]


# What is ranked


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


# Which variables


def everything():
    inputs = keras.Input((6, 8))
    shared = keras.layers.Dense(8, name="shared")
    nested = keras.Sequential([keras.Input((6, 8)), keras.layers.Conv1D(8, 3, padding="same", name="conv")], name="in")
    x = nested(shared(shared(inputs)))
    x = keras.layers.MultiHeadAttention(2, 4, name="heads")(x, x)
    x = keras.layers.SeparableConv1D(8, 3, name="separable")(x)
    x = keras.layers.DepthwiseConv1D(3, name="depthwise")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(4, name="lstm"), name="both")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(x))
    model.compile("adam", "mse")
    return model


def names(found):
    return {variable.path for variable in found}


def test_kernels_of_all_layers_are_touched():
    model = everything()
    cells = {
        f"both/{way}_lstm/lstm_cell/{kernel}"
        for way in ("forward", "backward")
        for kernel in ("kernel", "recurrent_kernel")
    }
    heads = {f"heads/{part}/kernel" for part in ("query", "key", "value", "attention_output")}
    expected = {"shared/kernel", "in/conv/kernel", "separable/pointwise_kernel", "out/kernel"} | cells | heads
    assert names(kernels(model)) == expected
    depthwise = {"separable/depthwise_kernel", "depthwise/kernel"}
    assert names(kernels(model, depthwise=True)) == expected | depthwise
    assert layer_sparsity(model).keys() == expected | depthwise
    assert names(kernels(model, exclude=("MultiHeadAttention", "in", "LSTM"))) == expected - cells - heads - {
        "in/conv/kernel"
    }


@pytest.mark.slow
def test_all_of_them_are_pruned_exactly_and_no_others():
    model = everything()
    x = RNG.normal(size=(16, 6, 8)).astype("float32")
    model.fit(x, np.ones((16, 2)), batch_size=4, verbose=0, callbacks=[prune(0.5, exclude=("shared",))])
    shares = layer_sparsity(model)
    spared = {"shared/kernel", "separable/depthwise_kernel", "depthwise/kernel"}
    assert {name: share for name, share in shares.items() if share != 0.5} == dict.fromkeys(spared, 0.0)


def test_embeddings_and_a_subclassed_model():
    class Words(keras.Model):
        def __init__(self):
            super().__init__()
            self.words = keras.layers.Embedding(50, 8)
            self.out = keras.layers.Dense(2)

        def call(self, ids):
            return self.out(keras.ops.mean(self.words(ids), axis=1))

    ids, y = RNG.integers(0, 50, (40, 3)), np.ones((40, 2))
    model = Words()
    model.compile("adam", "mse")
    with pytest.raises(tfkit.ModelError, match=r"not built: .* call it once on a batch"):
        model.fit(ids, y, verbose=0, callbacks=[prune(0.5)])
    model(ids[:1])
    model.fit(ids, y, batch_size=4, verbose=0, callbacks=[prune(0.5)])
    assert (model.words.embeddings.numpy() == 0).mean() == 0.5
    assert (model.out.kernel.numpy() == 0).mean() == 0.5


def test_frozen_layers_are_left_alone():
    model = mlp()
    model.get_layer("hidden").trainable = False
    fit(model, prune())
    assert zeros(model) == [0, 80]


# What is said


def test_partial_blocks_are_told_with_both_figures():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, name="out")], name="net")
    model.compile("adam", "mse")
    callback = prune(0.8, block_size=(4, 4))
    with pytest.warns(UserWarning, match=r"'net/out/kernel' of shape \(64, 10\) .* 0\.7\d+, 0\.8 was asked for"):
        model.fit(np.ones((8, 64)), np.ones((8, 10)), verbose=0, callbacks=[callback])
    assert len(callback.notes) == 1
    reached = (model.layers[0].kernel.numpy() == 0).mean()
    assert f"a sparsity of {reached:.4g}," in callback.notes[0]


def test_early_stopping_keeps_what_was_reached_and_tells():
    model = mlp(jit_compile=False)
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)
    with pytest.warns(UserWarning, match=r"'net/hidden/kernel'.*of 0\.\d+, 0\.8 was.*; 'net/out/kernel'"):
        fit(model, prune(), stop, epochs=10)
    reached = 0.8 - 0.8 * (1 - 24 / 120) ** 3
    assert zeros(model)[0] == 320 - round(320 * (1 - reached))
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


def test_begin_after_the_end_of_the_fit_tells():
    model = mlp()
    with pytest.warns(UserWarning, match="of 0, 0.8 was asked for"):
        fit(model, prune(begin=1000))
    assert zeros(model) == [0, 0]


def test_no_warning_where_the_sparsity_is_reached(recwarn):
    fit(mlp(), prune())
    assert not [each for each in recwarn if issubclass(each.category, UserWarning)]


# What is left


def contents(model, path):
    """Everything that a saved model holds but its numbers."""
    model.save(path)
    with zipfile.ZipFile(path) as file:
        config = re.sub(rb'"shared_object_id": [0-9]+', b"", file.read("config.json"))
        with h5py.File(file.open("model.weights.h5")) as weights:
            shapes = {}
            weights.visititems(lambda name, item: shapes.update({name: getattr(item, "shape", None)}))
    return config, shapes


def test_nothing_is_left(tmp_path):
    plain, pruned = (mlp(keras.optimizers.Adam(name="adam"), constraint="max_norm") for _ in range(2))
    fit(plain)
    constraints = [variable.constraint for variable in pruned.variables]
    fit(pruned, prune())
    assert [variable.constraint for variable in pruned.variables] == constraints
    assert vars(pruned).keys() == vars(plain).keys()
    assert pruned.train_function is None
    assert [v.path for v in pruned.optimizer.variables] == [v.path for v in plain.optimizer.variables]
    assert contents(pruned, tmp_path / "pruned.keras") == contents(plain, tmp_path / "plain.keras")


def test_nothing_is_left_after_an_error():
    model = mlp()

    def fail(batch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, prune(), keras.callbacks.LambdaCallback(on_train_batch_end=fail))
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]
    fit(model, epochs=1)
    assert zeros(model) == [0, 0]


def test_a_callback_can_be_used_again():
    callback = prune()
    for _ in range(2):
        model = mlp()
        fit(model, callback)
        assert zeros(model) == [256, 80]


def test_a_fit_of_no_epochs_prunes_nothing():
    model = mlp()
    fit(model, prune(), epochs=0)
    assert zeros(model) == [0, 0]
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


def test_it_goes_with_other_parts_of_a_fit():
    model = mlp(jit_compile=False)
    fit(model, tfkit.callback("regularizer", "l2", l2=0.1), prune(), tfkit.callback("schedule", "constant", value=0.01))
    assert zeros(model) == [256, 80]
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


# The compressor


def test_compress_without_training_keeps_the_largest(tmp_path):
    model = mlp()
    before = model.get_layer("hidden").kernel.numpy()
    made = Prune(0.8).compress(model, DATA, epochs=0, directory=tmp_path)
    expected = np.where(abs(before) >= np.sort(abs(before).ravel())[-64], before, 0)
    np.testing.assert_array_equal(made.model.get_layer("hidden").kernel.numpy(), expected)
    assert made.notes == ()
    assert int(model.optimizer.iterations) == 0


def test_compress_counts_from_its_own_start(tmp_path):
    """A model that has trained is pruned step by step, not at once because `begin` is long past."""
    model = mlp(jit_compile=False)
    fit(model)
    seen = []

    def tell(self, epoch, logs=None):
        seen.append(zeros(self.model)[0])

    end, made = keras.callbacks.History.on_epoch_end, None
    keras.callbacks.History.on_epoch_end = tell
    try:
        made = Prune(0.8, frequency=1).compress(model, DATA, epochs=3, directory=tmp_path)
    finally:
        keras.callbacks.History.on_epoch_end = end
    assert seen == [expected_zeros(b, 320, sparsity=0.8, end=36, frequency=1) for b in (12, 24, 36)]
    assert made.model is model
    assert isinstance(tfkit.create("compressor", "prune", sparsity=0.5), tfkit.Compressor)


def test_compress_notes_what_was_missed(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(8, 3, name="first")], name="net")
    made = Prune(0.5, pattern="2:4").compress(model, DATA, epochs=0, directory=tmp_path)
    (note,) = made.notes
    assert note == "'net/first/kernel' of shape (3, 3, 1, 8) has a sparsity of 0, 0.5 was asked for"


# What is refused


def refused(error, match, call, *args, **kwargs):
    with pytest.raises(error, match=match) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"sparsity": 1.0}, r"'sparsity' .*< 1; got 1.0"),
        ({"sparsity": -0.1}, r"'sparsity' .*>= 0"),
        ({"frequency": 0}, "'frequency'"),
        ({"schedule": "linear"}, "'polynomial' or 'constant'; got 'linear'"),
        ({"begin": 10, "end": 5}, "'end' .* at least begin, which is 10; got 5"),
        ({"block_size": (0, 4)}, "'block_size'"),
        ({"pattern": "4"}, "'pattern' .* such as '2:4'; got '4'"),
        ({"pattern": "4:4"}, "'pattern' .*fewer zeros"),
        ({"pattern": "2:4", "block_size": (2, 2)}, "'block_size' .*where there is a pattern"),
    ],
    ids=str,
)
def test_parameters_out_of_bounds(params, match):
    refused(tfkit.ParameterError, match, tfkit.create, "compressor", "prune", **{"sparsity": 0.5, **params})


def test_a_model_with_nothing_to_prune(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    model.compile("sgd", "mse")
    data = (np.ones((4, 4)), np.ones((4, 4)))
    match = "nothing to prune: .*its trainable variables are: beta, gamma"
    refused(tfkit.ModelError, match, Prune(0.5).compress, model, tfkit.Data(data), epochs=0, directory=tmp_path)
    refused(tfkit.ModelError, match, model.fit, *data, verbose=0, callbacks=[prune()])
    everywhere = r"outside of exclude=\('Dense',\)"
    refused(tfkit.ModelError, everywhere, fit, mlp(), prune(exclude=("Dense",)))


def test_a_model_that_is_not_built_or_not_compiled(tmp_path):
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    refused(tfkit.ModelError, "is not built", Prune(0.5).compress, unbuilt, DATA, epochs=0, directory=tmp_path)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(5)])
    refused(tfkit.ModelError, "is not compiled", Prune(0.5).compress, model, DATA, epochs=1, directory=tmp_path)


@pytest.mark.parametrize(
    ("params", "shape", "layer", "match"),
    [
        ({"pattern": "2:4"}, (8, 4), keras.layers.Conv1D, r"2 or 4 dimensions: .*exclude.*\(3, 4, 8\)"),
        ({"block_size": (2, 2)}, (8, 8, 4), keras.layers.Conv2D, r"2 dimensions: .*exclude.*\(3, 3, 4, 8\)"),
    ],
)
def test_kernels_of_another_shape(params, shape, layer, match, tmp_path):
    model = keras.Sequential([keras.Input(shape), layer(8, 3)])
    refused(tfkit.ModelError, match, Prune(0.5, **params).compress, model, DATA, epochs=0, directory=tmp_path)


def test_blocks_as_large_as_a_kernel(tmp_path):
    match = "more than one block"
    refused(tfkit.ModelError, match, Prune(0.5, block_size=(4, 8)).compress, mlp(), DATA, epochs=0, directory=tmp_path)
