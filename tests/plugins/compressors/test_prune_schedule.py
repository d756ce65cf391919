"""When masks are updated: Zhu and Gupta's polynomial, at TFMOT's steps."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from prune_models import DATA, STEPS, X, Y, fit, mlp, prune, zeros

import tfkit
from tfkit_compressors.pruning.prune import Prune


class Watch(keras.callbacks.Callback):
    """Keeps the zeros of the first kernel after each batch."""

    def __init__(self):
        super().__init__()
        self.zeros = []

    def on_train_batch_end(self, batch, logs=None):
        self.zeros.append(zeros(self.model)[0])


def expected_zeros(
    batch, size, *, sparsity, initial=0.0, begin=0, end, frequency, power=3, forced=True, every=1, ends=None
):
    """Zeros after a batch: those of the last step that was due, Zhu and Gupta's polynomial."""
    # Masks for a step are made after the update before it, those for an epoch's first step when that begins.
    done = batch // every
    is_end = batch % STEPS == 0 if ends is None else batch in ends
    upcoming = done if is_end else done + 1
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
        pytest.param({"frequency": 1}, marks=pytest.mark.nightly),
        {"frequency": 7},
        pytest.param({"frequency": 100}, marks=pytest.mark.nightly),
        pytest.param({"frequency": 5, "begin": 3, "power": 1, "initial_sparsity": 0.3}, marks=pytest.mark.nightly),
        {"frequency": 5, "begin": 2, "end": 17},
    ],
    ids=str,
)
def test_polynomial_is_followed_at_every_step(params):
    model, watch = mlp(), Watch()
    fit(model, prune(0.7, **params), watch)
    keys = {"initial_sparsity": "initial"}
    plan = {"end": 2 * STEPS, **{keys.get(name, name): value for name, value in params.items()}}
    forced = "end" not in params
    expected = [expected_zeros(b, 320, sparsity=0.7, forced=forced, **plan) for b in range(1, 2 * STEPS + 1)]
    assert watch.zeros == expected
    assert watch.zeros[-1] == 224


def test_a_step_is_an_update_under_gradient_accumulation():
    model, watch = mlp(keras.optimizers.Adam(0.01, gradient_accumulation_steps=3)), Watch()
    fit(model, prune(frequency=2, begin=1), watch)
    plan = {"sparsity": 0.8, "begin": 1, "end": 8, "frequency": 2, "every": 3}
    assert watch.zeros == [expected_zeros(batch, 320, **plan) for batch in range(1, 2 * STEPS + 1)]
    assert watch.zeros[-1] == 256


def test_the_last_batch_has_its_update_whatever_the_frequency():
    model = mlp()
    fit(model, prune(frequency=1000, schedule="constant"))
    assert zeros(model) == [256, 80]


def test_epochs_of_several_lengths_end_where_the_fit_does():
    model, watch, ends = mlp(), Watch(), (4, 12, 28)
    batches = tfkit.create("schedule", "batch-size", initial=24, factor=0.5)
    model.fit(**batches.fit_arguments(DATA, epochs=3), verbose=0, callbacks=[prune(frequency=3), watch])
    plan = {"sparsity": 0.8, "end": ends[-1], "frequency": 3, "ends": ends}
    assert watch.zeros == [expected_zeros(batch, 320, **plan) for batch in range(1, ends[-1] + 1)]
    assert watch.zeros[-1] == 256


def test_steps_go_on_from_fit_to_fit_as_if_it_were_one():
    whole, parts = mlp(), mlp()
    fit(whole, prune(frequency=3), epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(parts, prune(frequency=3, end=3 * STEPS), epochs=1)
    fit(parts, prune(frequency=3), epochs=3, initial_epoch=1)
    for left, right in zip(whole.get_weights(), parts.get_weights()):
        np.testing.assert_array_equal(left, right)


def test_zeros_stay_in_a_later_fit_whose_end_is_past():
    model = mlp()
    fit(model, prune(end=20))
    before = [layer.kernel.numpy() == 0 for layer in model.layers]
    with pytest.warns(UserWarning, match=r"end=20 is past.* 24 updates.*'net/hidden/kernel'.* 0\.8, 0\.8 was"):
        fit(model, prune(end=20))
    assert all(np.array_equal(layer.kernel.numpy() == 0, mask) for layer, mask in zip(model.layers, before))


def test_a_kernel_of_zeros_is_not_taken_for_pruned():
    model = mlp()
    fit(model, epochs=1)
    model.get_layer("out").kernel.assign(np.zeros((20, 5)))
    fit(model, prune(frequency=1), epochs=1)
    assert zeros(model) == [256, 80]


# Keras says so after every first epoch of unknown length, and goes on.
RAN_OUT = pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")


@RAN_OUT
@pytest.mark.parametrize("epochs", [2, 3])
def test_unknown_number_of_batches(epochs):
    model = mlp()
    unknown = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).filter(lambda x, y: True)
    model.fit(unknown, epochs=epochs, shuffle=False, verbose=0, callbacks=[prune()])
    assert zeros(model) == [256, 80]


@RAN_OUT
def test_unknown_number_of_batches_in_one_epoch_prunes_after_it_and_says_so():
    model = mlp()
    unknown = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).filter(lambda x, y: True)
    with pytest.warns(UserWarning, match="steps_per_epoch"):
        model.fit(unknown, shuffle=False, verbose=0, callbacks=[prune()])
    assert zeros(model) == [256, 80]


def test_compress_counts_from_its_own_start(tmp_path):
    """A model that has trained is pruned step by step, not at once because `begin` is long past."""
    model = mlp()
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
