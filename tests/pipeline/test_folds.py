import numpy as np
import pytest
import tensorflow as tf
from sklearn.model_selection import KFold, RepeatedStratifiedKFold, ShuffleSplit, StratifiedKFold

import tfkit
from tfkit.pipeline.folds import digest, fold, folds

X = np.arange(60, dtype="float32").reshape(30, 2)
CLASSES = np.arange(30) % 3


def expected(splitter, y):
    return [(X[train], y[train], X[test], y[test]) for train, test in splitter.split(X, y)]


def check(data, cross_validation, wanted):
    found = [fold(data, rows) for rows in folds(data, cross_validation)]
    assert len(found) == len(wanted)
    for each, (x, y, held_x, held_y) in zip(found, wanted):
        for mine, theirs in zip((*each.train, *each.validation), (x, y, held_x, held_y)):
            np.testing.assert_array_equal(mine, theirs)
        assert each.test is None


@pytest.mark.parametrize("y", [CLASSES, CLASSES[:, None]])
def test_a_number_of_folds_is_stratified_for_class_ids(y):
    data = tfkit.Data((X, y), (X, y), (X, y), seed=3)
    check(data, 5, expected(StratifiedKFold(5, shuffle=True, random_state=3), y))


@pytest.mark.parametrize("y", [np.linspace(0, 1, 30), np.arange(30), np.eye(3)[CLASSES]])
def test_other_labels_are_not_stratified(y):
    check(tfkit.Data((X, y), seed=3), 5, expected(KFold(5, shuffle=True, random_state=3), y))


@pytest.mark.parametrize(
    "splitter",
    [
        RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0),
        ShuffleSplit(n_splits=3, test_size=0.2, random_state=0),
    ],
)
def test_scikit_learns_splitters_are_taken(splitter):
    check(tfkit.Data((X, CLASSES)), splitter, expected(splitter, CLASSES))


def test_weights_and_several_inputs_are_split_alike():
    data = tfkit.Data(({"a": X, "b": [CLASSES, X[:, 0]]}, CLASSES, X[:, 1]))
    x, y, weight = fold(data, folds(data, KFold(3))[0]).validation
    np.testing.assert_array_equal(x["b"][1], X[:10, 0])
    np.testing.assert_array_equal(y, CLASSES[:10])
    np.testing.assert_array_equal(weight, X[:10, 1])


def test_a_dataset_is_gathered():
    data = tfkit.Data(tf.data.Dataset.from_tensor_slices((X, CLASSES)).batch(7))
    check(data, KFold(3), expected(KFold(3), CLASSES))


@pytest.mark.parametrize("wrong", [1, True, "five", 2.5])
def test_what_is_no_splitter_is_refused(wrong):
    with pytest.raises(tfkit.ParameterError, match="number of folds >= 2 or one of scikit-learn's splitters; got"):
        folds(tfkit.Data((X, CLASSES)), wrong)


def test_more_folds_than_rows_are_refused():
    with pytest.raises(tfkit.DataError, match="cannot be split by cross_validation=31: Cannot have number of splits"):
        folds(tfkit.Data((X, CLASSES)), 31)


def test_a_digest_tells_folds_apart():
    data = tfkit.Data((X, CLASSES))
    splits = [folds(data, each) for each in (2, 3, KFold(3), KFold(3, shuffle=True, random_state=1))]
    assert len({digest(each) for each in splits}) == 4
    assert digest(folds(data, KFold(3))) == digest(splits[2])
    assert folds(data, None) == ()
