import re

import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit.nests import leaves, map_leaves

X = np.arange(40, dtype="float32").reshape(10, 4)
Y = np.arange(10)


def batches(x=X, y=Y, size=4):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


def with_value(value, row, column):
    x = X.copy()
    x[row, column] = value
    return x


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tfkit.Data(None), "the train part is None: pass (x, y) or a tf.data.Dataset of batches"),
        (lambda: tfkit.Data(X), "the train part must be (x, y), (x, y, sample_weight) or a tf.data.Dataset of batches"),
        (lambda: tfkit.Data((X,)), "of batches; got tuple of 1 items"),
        (lambda: tfkit.Data((X, Y, Y, Y)), "of batches; got tuple of 4 items"),
        (lambda: tfkit.Data(iter([X])), "of batches; got list_iterator"),
        (lambda: tfkit.Data((X, Y[:9])), "the train part's rows differ: x has 10, y has 9; give as many of each"),
        (lambda: tfkit.Data((X, Y), (X, Y, Y[:2])), "the validation part's rows differ: x has 10, y has 10, sample_w"),
        (
            lambda: tfkit.Data((X, Y), test=({"a": X, "b": X[1:]}, Y)),
            "the test part's rows differ: x has 10, x[1] has 9",
        ),
        (lambda: tfkit.Data((X[:0], Y[:0])), "the train part has no rows"),
        (lambda: tfkit.Data((X, 3)), "the train part's y has no rows: it is a single value"),
        (lambda: tfkit.Data((X, None)), "the train part's y has no rows: it is a single value"),
        (lambda: tfkit.Data(({}, Y)), "the train part's x holds no array: {}"),
        (lambda: tfkit.Data(([[1, 2], [3]], [0, 1])), "the train part's x is no array, since its rows differ in shape"),
        (
            lambda: tfkit.Data((with_value(np.nan, 7, 2), Y)),
            "the train part's x has 1 values that are nan, the first in row 7; remove or fill those rows",
        ),
        (
            lambda: tfkit.Data((X, Y), (with_value(np.inf, 3, 0), Y)),
            "the validation part's x has 1 values that are inf",
        ),
        (lambda: tfkit.Data(({"a": X, "b": with_value(np.nan, 4, 0)}, Y)), "values that are nan, the first in row 4"),
        (lambda: tfkit.Data((X, Y, np.full(10, np.nan))), "the train part's sample_weight has 10 values that are nan"),
        (
            lambda: tfkit.Data((X, [*range(9), None])),
            "the train part's y has None in row 9: make it an array of numbers",
        ),
        (lambda: tfkit.Data((["a", "b", 3.5], Y[:3], None)), "the train part's sample_weight has no rows"),
        (lambda: tfkit.Data((np.array(["a", 3.5], object), Y[:2])), "the train part's x has 3.5 in row 1: make it an"),
        (lambda: tfkit.Data((X, Y), batch_size=0), "batch_size must be an int >= 1; got 0"),
        (lambda: tfkit.Data((X, Y), batch_size=True), "batch_size must be an int >= 1; got True"),
        (lambda: tfkit.Data((X, Y), batch_size=2.0), "batch_size must be an int >= 1; got 2.0"),
        (lambda: tfkit.Data((X, Y), seed="a"), "seed must be an int >= 0; got 'a'"),
        (lambda: tfkit.Data((X, Y)).part("test"), "there is no 'test' part; the data has: train"),
        (lambda: tfkit.Data((X, Y), (X, Y)).part("tset"), "there is no 'tset' part; the data has: train, validation"),
        (lambda: tfkit.Data(batches().take(0)).arrays("train"), "the dataset yields no batches"),
    ],
)
def test_data_that_cannot_be_used_is_refused(make, text):
    with pytest.raises(tfkit.DataError, match=re.escape(text)) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_the_parts_come_back_as_arrays():
    data = tfkit.Data((X.tolist(), Y.tolist()), validation=(tf.constant(X), tf.constant(Y)))
    for part in ("train", "validation"):
        x, y = data.part(part)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)


def test_which_part_is_for_what():
    one, two, three = (tfkit.Data(*[(X, Y)] * parts) for parts in (1, 2, 3))
    assert (one.choosing, one.held_out) == ("train", "train")
    assert (two.choosing, two.held_out) == ("validation", "validation")
    assert (three.choosing, three.held_out) == ("validation", "test")
    assert three.without_test().held_out == "validation"
    assert three.without_test().rows("train") == 10


@pytest.mark.parametrize(
    "part",
    [
        (X, Y),
        (X, Y, np.ones(10)),
        ({"a": X, "b": X}, Y),
        ([X, X], Y),
        (X, {"one": Y, "two": Y}),
        batches(),
        batches({"a": X}),
    ],
    ids=["arrays", "weights", "dict", "list", "two outputs", "dataset", "dataset of dicts"],
)
def test_every_form_counts_gives_and_batches_its_rows(part):
    data = tfkit.Data(part, batch_size=4)
    assert data.rows("train") == 10
    first = data.arrays("train", 3)
    assert {len(leaf) for leaf in leaves(first)} == {3}
    np.testing.assert_array_equal(leaves(data.sample(2))[0], X[:2])
    np.testing.assert_array_equal(leaves(data.arrays("train"))[0], X)
    assert [len(leaves(batch)[0]) for batch in data.dataset("train")] == [4, 4, 2]
    assert data.head(5).rows("train") == 5


def rows_in_order(data, part="train", shuffle=None):
    return [int(value) for _, y in data.dataset(part, shuffle=shuffle) for value in y]


def test_the_train_part_alone_is_shuffled_and_anew_each_epoch():
    data = tfkit.Data((X, Y), validation=(X, Y), batch_size=3)
    assert rows_in_order(data, "validation") == list(range(10))
    assert rows_in_order(data, shuffle=False) == list(range(10))
    dataset = data.dataset("train")
    first, second = ([int(value) for _, y in dataset for value in y] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))


def test_the_seed_is_the_order():
    def order(seed):
        return rows_in_order(tfkit.Data((X, Y), seed=seed))

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_weights_stay_with_their_rows():
    data = tfkit.Data((X, Y, Y / 10), batch_size=3)
    for x, y, weights in data.dataset("train"):
        np.testing.assert_array_equal(x[:, 0], 4 * y)
        np.testing.assert_allclose(weights, y / 10)


def test_strings_are_data():
    data = tfkit.Data((["good", "bad"], [1, 0]))
    assert data.dataset("train").element_spec[0].dtype == tf.string
    assert list(data.arrays("train")[0]) == ["good", "bad"]


def test_a_dataset_stays_as_it_is():
    dataset = batches()
    assert tfkit.Data(dataset).dataset("train") is dataset


def test_data_is_frozen_and_compares_by_identity():
    data = tfkit.Data((X, Y))
    with pytest.raises(AttributeError):
        data.batch_size = 3
    assert data == data
    assert data != tfkit.Data((X.copy(), Y))
    assert data in {data}


def test_leaves_and_map_leaves_go_the_same_way():
    nest = {"b": [1, (2, 3)], "a": 4}
    assert leaves(nest) == [1, 2, 3, 4]
    assert map_leaves(lambda leaf: 10 * leaf, nest) == {"b": (10, (20, 30)), "a": 40}


def test_rows_are_drawn_from_all_of_a_part_by_the_datas_seed():
    x, y = np.arange(1000.0)[:, None], np.zeros(1000)
    rows = tfkit.Data((x, y), seed=3).drawn("train", 100)
    assert rows.shape == (100, 1)
    assert len(np.unique(rows)) == 100
    assert rows.min() < 50
    assert rows.max() > 950
    np.testing.assert_array_equal(rows, tfkit.Data((x, y), seed=3).drawn("train", 100))
    assert not np.array_equal(rows, tfkit.Data((x, y), seed=4).drawn("train", 100))
    pair = tfkit.Data(({"a": x, "b": -x}, y)).drawn("train", 10)
    np.testing.assert_array_equal(pair["a"], -pair["b"])
    assert len(tfkit.Data((x[:5], y[:5])).drawn("train", 100)) == 5
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
    np.testing.assert_array_equal(tfkit.Data(dataset).drawn("train", 40), x[:40])
