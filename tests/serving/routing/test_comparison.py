"""When two versions' answers count as the same."""

import json

import ml_dtypes
import numpy as np
import pytest

from tfkit_serving.routing.classes import Classes, classes_of
from tfkit_serving.routing.comparison import agreeing, rows
from tfkit_serving.servables.framing import PREFIX, Packed, decode, encode


def strings(*texts):
    return np.array(texts, object)


def same(one, other, *classes):
    return agreeing(one, other, *classes).tolist()


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (np.float32([1, 2]), np.float32([1.0005, 2.01]), [True, False]),
        (np.float32([[1, 2], [3, 4]]), np.float32([[1, 2], [3, 5]]), [True, False]),
        (np.float32([np.nan, np.inf]), np.float32([np.nan, -np.inf]), [True, False]),
        (np.float32([0, 0]), np.float32([1e-7, 1e-3]), [True, False]),
        (np.array([1, 1], ml_dtypes.bfloat16), np.array([1, 1.5], ml_dtypes.bfloat16), [True, False]),
        (np.int64([2000, 2000]), np.int64([2000, 2001]), [True, False]),
        (np.array([True, False]), np.array([True, True]), [True, False]),
        (strings(b"a", b"b"), strings(b"a", b"c"), [True, False]),
        (np.float32([1, 2]), np.float64([1, 2]), [False, False]),
        (np.float32([1, 2]), np.float32([[1], [2]]), [False, False]),
        (np.float32(1), np.float32(1), [True]),
        (np.zeros((0, 3)), np.zeros((0, 3)), [True]),
    ],
)
def test_values_are_compared_row_by_row(one, other, agree):
    assert same({"y": np.asarray(one)}, {"y": np.asarray(other)}) == agree


def test_a_row_agrees_in_all_outputs_or_not():
    one = {"a": np.float32([1, 2, 3]), "b": np.int32([1, 2, 3])}
    assert same(one, {"a": np.float32([1, 2, 4]), "b": np.int32([0, 2, 3])}) == [False, True, False]
    assert same(one, {"a": one["a"]}) == [False, False, False]
    assert same({**one, "c": np.float32(7)}, {**one, "c": np.float32(8)}) == [False]  # no rows in common


CAT_OR_DOG = Classes("p", ("cat", "dog"))
SURE, UNSURE, OTHER = [0.99, 0.01], [0.51, 0.49], [0.4, 0.6]


def test_classifiers_are_compared_by_class():
    one, other = {"p": np.float32([SURE, SURE])}, {"p": np.float32([UNSURE, OTHER])}
    assert same(one, other) == [False, False]
    assert same(one, other, CAT_OR_DOG, CAT_OR_DOG) == [True, False]
    # The other version has the classes the other way round, or is no classifier.
    assert same(one, other, CAT_OR_DOG, Classes("p", ("dog", "cat"))) == [False, True]
    assert same(one, other, CAT_OR_DOG, None) == [False, False]
    assert same({"q": np.float32([1])}, {"q": np.float32([1])}, CAT_OR_DOG, CAT_OR_DOG) == [True]  # no scores asked


def test_scores_that_are_no_numbers_agree_with_themselves_alone():
    one, other = {"p": np.float32([SURE, [np.nan, 0.1]])}, {"p": np.float32([[np.nan, 0.1]] * 2)}
    assert same(one, other, CAT_OR_DOG, CAT_OR_DOG) == [False, True]


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_score_is_that_of_the_second_class(shape):
    one, other = np.float32([0.1, 0.4, 0.6, 0.9]).reshape(shape), np.float32([0.4, 0.6, 0.4, 0.6]).reshape(shape)
    assert same({"p": one}, {"p": other}, CAT_OR_DOG, CAT_OR_DOG) == [True, False, False, True]
    logits = Classes("p", ("cat", "dog"), logits=True)
    assert same({"p": one}, {"p": other}, logits, logits) == [True] * 4


def test_a_classification_signature_names_the_classes_itself():
    one = {"classes": strings([b"a", b"b"]).reshape(1, 2), "scores": np.float32([[0.9, 0.1]])}
    other = {"classes": strings([b"b", b"a"]).reshape(1, 2), "scores": np.float32([[0.2, 0.8]])}
    assert same(one, other) == [True]
    assert same(one, {**other, "scores": np.float32([[0.8, 0.2]])}) == [False]


def sidecar(folder, **content):
    outputs = [{"name": "n", "dtype": "int64", "shape": [None]}, {"name": "p", "dtype": "float32", "shape": [None, 2]}]
    signature = {"inputs": [], "outputs": outputs}
    (folder / "tfkit.json").write_text(json.dumps({"files": {}, "format": "x", "signature": signature, **content}))


def test_classes_are_read_from_tfkit_json(tmp_path):
    assert classes_of(tmp_path) is None
    sidecar(tmp_path, task="classification", labels=["cat", "dog"], scores="logits")
    assert classes_of(tmp_path) == Classes("p", ("cat", "dog"), logits=True)
    sidecar(tmp_path, task="classification", labels=None)
    assert classes_of(tmp_path) == Classes("p")
    sidecar(tmp_path, task="regression")
    assert classes_of(tmp_path) is None


def test_the_rows_of_a_long_frame_are_counted_without_reading_it():
    arrays = {"x": np.zeros((3, 8000)), "s": strings(b"a", b"b", b"c")}
    frame = b"".join(encode({}, arrays))
    _, header = PREFIX.unpack_from(frame)
    _, read = decode(frame[PREFIX.size :], header)
    assert isinstance(read, Packed)
    assert rows(read) == 3
    assert same(read, arrays) == [True] * 3
