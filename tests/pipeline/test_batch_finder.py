import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6)).astype("float32")
Y = RNG.integers(3, size=300)


def classifier(width=8):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(width, "relu"), keras.layers.Dropout(0.2, seed=1)])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=2)
    return model


def state(model):
    return [each.numpy() for each in (*model.variables, *model.optimizer.variables)]


def test_sizes_double_up_to_the_rows_and_the_model_is_left_as_it_was():
    model = classifier()
    model.fit(X, Y, verbose=0)
    before = state(model)
    found = tfkit.find_batch_size(model, tfkit.Data((X, Y)))
    assert [each.size for each in found.measured] == [8, 16, 32, 64, 128, 256, 300]
    assert found.stopped_by == "rows"
    fastest = max(each.rows_per_second for each in found.measured)
    fast = [each.size for each in found.measured if each.rows_per_second >= 0.9 * fastest]
    assert found.suggested == fast[0]
    for each in found.measured:
        assert each.rows_per_second == pytest.approx(1e3 * each.size / each.step_ms)
    for one, other in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.steps_per_execution == 2


@pytest.mark.nightly
def test_memory_bounds_it():
    """A layer of 20000 units holds 16 rows of them in 1.3 MB, and 300 in 24 MB, several times over."""
    model = classifier(width=20000)
    free = tfkit.find_batch_size(model, (X, Y), seconds=60)
    sizes = [each.memory_mb for each in free.measured]
    assert sizes == sorted(sizes)
    assert sizes[-1] - sizes[1] > 24
    bound = (sizes[-1] + sizes[0]) / 2
    bounded = tfkit.find_batch_size(classifier(width=20000), (X, Y), memory_mb=bound, seconds=60)
    assert all(each.memory_mb <= bound for each in bounded.measured)


def test_a_bound_below_the_smallest_size_is_told():
    with pytest.raises(tfkit.ModelError, match=r"a batch of 8 rows needs more memory than there is: memory_mb=0\.001"):
        tfkit.find_batch_size(classifier(width=20000), (X, Y), memory_mb=0.001)


def test_maximum_seconds_and_datasets():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(7)
    found = tfkit.find_batch_size(classifier(), dataset, maximum=20)
    assert [each.size for each in found.measured] == [8, 16, 20]
    assert found.stopped_by == "maximum"
    found = tfkit.find_batch_size(classifier(), (X, Y), seconds=1e-9)
    assert [each.size for each in found.measured] == [8]
    assert found.stopped_by == "seconds"


@pytest.mark.parametrize("bound", ["memory_mb", "seconds", "maximum"])
def test_bounds_of_nothing_are_refused(bound):
    with pytest.raises(tfkit.ParameterError, match=f"'{bound}' of find_batch_size must be > 0; got 0"):
        tfkit.find_batch_size(classifier(), (X, Y), **{bound: 0})


def test_a_fit_afterwards_takes_its_steps():
    model = classifier()
    tfkit.find_batch_size(model, (X, Y), maximum=8)
    model.fit(X, Y, batch_size=50, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 12
