import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit.attach.precision import computed_in
from tfkit.pipeline.layouts import layouts
from tfkit.pipeline.race import Race, Way

RNG = np.random.default_rng(0)
X = RNG.normal(size=(330, 6))
Y = RNG.integers(3, size=330)


def classifier(**compiled):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.2, seed=1)])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", **compiled)
    return model


def state(model):
    return [each.numpy() for each in (*model.variables, *model.optimizer.variables)]


def rows_of(fit, epochs=1):
    """What `fit` would train on, an array of x for each epoch."""
    return [np.concatenate([np.asarray(batch[0]) for batch in fit["x"]]) for _ in range(epochs)]


def in_order(rows):
    return rows[np.lexsort(rows.T)]


def test_settings_train_and_the_model_is_left_as_it_was():
    model = classifier(steps_per_execution=2)
    model.fit(X, Y, verbose=0)
    before = state(model)
    found = tfkit.autotune(model, tfkit.Data((X, Y)), seconds=0.5)
    for one, other in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (model.steps_per_execution, model.jit_compile) == (2, False)
    assert found.measured[found.way] > 0
    model.compile("adam", "sparse_categorical_crossentropy", **found.settings["compile"])
    model.fit(**found.settings["fit"], epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 2 * 11


@pytest.mark.parametrize("seed", [None, 0])
def test_gathered_rows_are_the_rows_once_an_epoch_in_new_orders(seed):
    if seed is not None:
        keras.utils.set_random_seed(seed)  # with which operations of a dataset begin anew each epoch
    weights = np.arange(330.0)
    fit = layouts(tfkit.Data((X, Y, weights)))["gathered"](32)
    assert int(fit["x"].cardinality()) == 11
    first = next(iter(fit["x"]))
    assert [each.dtype.name for each in first] == ["float32", "int64", "float32"]
    chosen = first[2].numpy().astype(int)
    np.testing.assert_array_equal(first[0], X[chosen].astype("float32"))
    np.testing.assert_array_equal(first[1], Y[chosen])
    one, other = rows_of(fit, 2)
    np.testing.assert_array_equal(in_order(one), in_order(X.astype("float32")))
    np.testing.assert_array_equal(in_order(other), in_order(one))
    assert (one != other).any()


def test_a_slow_dataset_is_cached():
    def slow(x, y):
        time.sleep(0.01)
        return x, y

    def batch(x, y):
        x, y = tf.numpy_function(slow, [x, y], (tf.float64, tf.int64))
        return tf.ensure_shape(x, (None, 6)), tf.ensure_shape(y, (None,))

    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(33).map(batch)
    found = tfkit.autotune(classifier(), dataset, seconds=8)
    assert found.way.layout == "cached"
    assert found.speedup > 1.3
    np.testing.assert_array_equal(rows_of(found.settings["fit"])[0], X)


def test_a_cache_that_takes_long_to_fill_is_left_out(monkeypatch):
    monkeypatch.setattr(Race, "_visit", lambda race, way: [0.01])
    found = tfkit.autotune(classifier(), tf.data.Dataset.from_tensor_slices((X, Y)).batch(33), seconds=10)
    assert found.left_out["cached"] == "a pass over all rows takes about 3 s; pass a larger seconds="


def test_what_differs_each_time_or_has_no_end_is_not_cached():
    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    for dataset in (rows.shuffle(330).batch(33), rows.batch(33).repeat(), rows.filter(lambda x, y: y > 0).batch(33)):
        assert list(layouts(tfkit.Data(dataset))) == ["dataset", "prefetched"]
    assert list(layouts(tfkit.Data(rows.batch(33)))) == ["dataset", "prefetched", "cached"]


def test_preprocessing_before_and_after_batches_and_once_for_all_is_the_same():
    found = layouts(tfkit.Data((X, Y)), lambda x: tf.cast(x, "float32") * 2 + 1)
    assert list(found) == ["mapped", "batched, then mapped", "mapped once"]
    for layout in found.values():
        rows = rows_of(layout(32))[0]
        np.testing.assert_allclose(in_order(rows), in_order((X * 2 + 1).astype("float32")), rtol=1e-5, atol=1e-6)


def test_preprocessing_that_takes_rows_or_draws_at_random():
    assert list(layouts(tfkit.Data((X, Y)), lambda x: tf.reshape(x, (6,)))) == ["mapped", "mapped once"]
    # Of a batch it takes the mean of all its rows: another thing, without an error.
    assert list(layouts(tfkit.Data((X, Y)), lambda x: x - tf.reduce_mean(x))) == ["mapped", "mapped once"]
    keras.utils.set_random_seed(0)  # draws are the same each time then, row by row
    seeds = keras.random.SeedGenerator(0)
    for draw in (
        lambda x: x + tf.random.normal((), dtype=x.dtype),
        lambda x: tf.where(tf.random.uniform(()) < 0.001, 0.0, tf.cast(x, "float32")),
        lambda x: x + keras.random.normal((6,), dtype=x.dtype, seed=seeds),
        lambda x: tf.numpy_function(np.negative, [x], x.dtype),
    ):
        assert list(layouts(tfkit.Data((X, Y)), draw)) == ["mapped"]


def test_preprocessing_of_a_batch_that_differs_in_some_rows_alone():
    """The largest value is the same in the first rows."""
    x = X.clip(-1, 1)
    x[:20, 0] = 1.0
    assert list(layouts(tfkit.Data((x, Y)), lambda x: x / tf.reduce_max(x))) == ["mapped", "mapped once"]


def test_preprocessing_of_several_inputs():
    found = layouts(tfkit.Data(({"a": X, "b": Y}, Y)), lambda x: x["a"] + tf.cast(x["b"], x["a"].dtype)[..., None])
    assert list(found) == ["mapped", "batched, then mapped", "mapped once"]


def test_a_dataset_that_does_not_know_its_length():
    """Ten batches of an epoch are two executions of 8 steps, the last of which has two: counted as two."""
    dataset = tf.data.Dataset.from_tensor_slices((X[:320], Y[:320])).filter(lambda x, y: y < 9).batch(32)
    race = Race(classifier(), tfkit.Data(dataset), layouts(tfkit.Data(dataset)), 10, lambda words: None)
    found = {}
    for count in (1, 8):
        way = Way("dataset", 32, count, False)
        found[count] = race.pace(way)
    assert found[8] < 3 * found[1]
    assert found[1] < 3 * found[8]
    assert tfkit.autotune(classifier(), dataset, seconds=1).way.layout in layouts(tfkit.Data(dataset))


def test_ragged_datasets_are_not_cached():
    ragged = tf.data.Dataset.from_tensors((tf.ragged.constant([[1.0], [1.0, 2.0]]), [0, 1]))
    assert list(layouts(tfkit.Data(ragged))) == ["dataset", "prefetched"]


def test_what_memory_does_not_hold_twice_is_not_gathered(monkeypatch):
    monkeypatch.setattr("tfkit.memory.left", lambda: X.nbytes)
    assert list(layouts(tfkit.Data((X, Y)))) == ["arrays"]


def test_ctrl_c_leaves_the_model_as_it_was(monkeypatch):
    def interrupted(watch):
        raise KeyboardInterrupt

    model = classifier(steps_per_execution=2)
    model.fit(X, Y, verbose=0)
    before, policy = state(model), model.layers[0].dtype_policy
    monkeypatch.setattr("tfkit.attach.stopwatch.Stopwatch._close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tfkit.autotune(model, (X, Y), seconds=1)
    for one, other in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (model.steps_per_execution, model.jit_compile, model.layers[0].dtype_policy) == (2, False, policy)


def test_what_wins_by_luck_is_not_returned(monkeypatch):
    """Each way looks twice as fast as the one before, until it is measured again beside the default."""
    calls = []

    def visit(race, way):
        calls.append(way)
        proving = len(calls) > 9  # the default alone, then two layouts, three counts of steps: each beside the best
        return [1.0 if proving or way == race.default else 0.5]

    monkeypatch.setattr(Race, "_visit", visit)
    found = tfkit.autotune(classifier(), (X, Y), seconds=1000)
    assert found.speedup == 1.0
    assert found.way == Way("arrays", 32, 1, False)
    assert found.settings["compile"] == {"steps_per_execution": 1, "jit_compile": False}
    np.testing.assert_array_equal(found.settings["fit"]["x"], X)
    assert "measured again it was 1.00 times as fast as the default" in " ".join(found.left_out.values())


def test_a_way_that_fails_is_left_out_and_the_default_is_not(monkeypatch):
    def visit(race, way):
        if way.steps_per_execution > 1 or way.jit_compile:
            raise tf.errors.InvalidArgumentError(None, None, "no kernel")
        return [0.001]

    monkeypatch.setattr(Race, "_visit", visit)
    found = tfkit.autotune(classifier(), (X, Y), seconds=1000)
    assert found.way.jit_compile is False
    assert sum("no kernel" in reason for reason in found.left_out.values()) == 2  # 8 steps, and jit

    def broken(race, way):
        raise ValueError("the loss does not take these labels")

    monkeypatch.setattr(Race, "_visit", broken)
    with pytest.raises(ValueError, match="does not take these labels"):
        tfkit.autotune(classifier(), (X, Y))


def test_an_eager_model_is_neither_compiled_nor_run_in_many_steps():
    found = tfkit.autotune(classifier(run_eagerly=True), (X, Y), seconds=0.5)
    assert {(way.steps_per_execution, way.jit_compile) for way in found.measured} == {(1, False)}
    assert "eagerly" in found.left_out["steps_per_execution, jit_compile"]


def test_larger_batches_and_precisions_when_asked_for(monkeypatch):
    def visit(race, way):
        seen.append(way)
        return [1.0 / way.batch_size]

    seen = []
    monkeypatch.setattr(Race, "_visit", visit)
    found = tfkit.autotune(classifier(), (X, Y), seconds=100, memory_mb=1000, precisions=["mixed_bfloat16"])
    assert {way.batch_size for way in seen} == {32, 64, 128, 256, 330}
    assert {way.precision for way in seen} == {None, "mixed_bfloat16"}
    assert found.way.batch_size == 330
    tfkit.autotune(classifier(), (X, Y), seconds=100)
    assert {way.batch_size for way in seen[-8:]} == {32}


def test_computed_in_is_for_the_block_alone():
    model = classifier()
    with computed_in(model, "mixed_bfloat16"):
        assert model(X[:2]).dtype == "bfloat16"
        assert {each.dtype for each in model.trainable_variables} == {"float32"}
    assert model(X[:2]).dtype == "float32"


@pytest.mark.parametrize("bound", ["seconds", "memory_mb"])
def test_bounds_are_above_zero(bound):
    with pytest.raises(tfkit.ParameterError, match=f"'{bound}' of autotune must be > 0; got 0"):
        tfkit.autotune(classifier(), (X, Y), **{bound: 0})


def test_what_cannot_be_tuned_is_told():
    with pytest.raises(tfkit.ParameterError, match="names no dtype policy: 'half'"):
        tfkit.autotune(classifier(), (X, Y), precisions=["half"])
    with pytest.raises(tfkit.ModelError, match="compile"):
        tfkit.autotune(keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)]), (X, Y))
    with pytest.raises(tfkit.DataError, match="a dataset has its own"):
        tfkit.autotune(classifier(), tf.data.Dataset.from_tensors((X, Y)), preprocess=lambda x: x)
