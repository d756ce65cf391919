"""The gateway's parts that need no server: values, logs, answers, tasks."""

import io
import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tfkit.formats.signature import Tensor
from tfkit_serving.gateway.answers import class_answers, raw_answers, value_answers
from tfkit_serving.gateway.logs import Exchange, RequestLog
from tfkit_serving.gateway.task import TaskError, read_tasks
from tfkit_serving.gateway.values import read_value, stack

PIXELS = Tensor("pixels", "float32", (None, 2))


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "words"),
    [
        ("float32", (None, 2), [1], "expected a list of 2 numbers; got a list of 1"),
        ("float32", (None, 2), [1, None], "expected a list of 2 numbers; got null at [1]"),
        ("float32", (None, 2), [1, [2]], "expected a list of 2 numbers; got lists of unequal length"),
        ("float32", (None, 2), "ab", 'expected a list of 2 numbers; got "ab"'),
        ("float32", (None, 1), {}, "expected a number; got an object"),
        ("float32", (None, 2), [1e39, 0], "expected a list of 2 numbers; got a number outside the range of float32"),
        ("float32", (None,), float("nan"), "expected a number; got a number outside the range of float32"),
        ("int32", (None,), 1.0, "expected a whole number; got 1.0"),
        ("int32", (None,), True, "expected a whole number; got true"),
        ("int8", (None,), 128, "expected a whole number; got a number outside the range of int8, -128 to 127"),
        ("bool", (None,), 1, "expected a boolean; got 1"),
        ("string", (None, 1), 3, "expected a string; got 3"),
        ("string", (None, 1), "\ud800", "expected a string; got half of a surrogate pair, which is no character"),
        ("float32", (None, 2, 2), [[1, 2]], "expected 2 × 2 numbers in nested lists; got a list of 1 × 2"),
    ],
)
def test_wrong_values_are_told_in_words(dtype, shape, value, words):
    with pytest.raises(ValueError) as error:
        read_value(Tensor("x", dtype, shape), value)
    assert str(error.value) == words


def test_lists_nested_too_deep_are_refused():
    deep = json.loads("[" * 900 + "1" + "]" * 900)
    for dtype in ("float32", "string"):
        with pytest.raises(ValueError, match="expected a list of"):
            read_value(Tensor("x", dtype, (None, None)), deep)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_integers_arrive_exactly(values):
    assert read_value(Tensor("x", "int64", (None, None)), values).tolist() == values


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
@example(["a\0", "\0"])
def test_strings_arrive_as_their_utf8(texts):
    array = read_value(Tensor("x", "string", (None, None)), texts)
    assert array.shape == (len(texts),)
    assert [each.decode() for each in array] == texts


def test_rows_of_unequal_shape_are_told():
    words = Tensor("ids", "int64", (None, None))
    with pytest.raises(ValueError, match=r"row 0 of 'ids' has \[2\], row 1 has \[1\]"):
        stack(words, [np.zeros(2), np.zeros(1)])


def test_answers_of_two_classes_and_of_many():
    assert class_answers(np.array([[0.9], [0.2]], "float32"), ["no", "yes"]) == [
        {"label": "yes", "score": 0.9},
        {"label": "no", "score": 0.8},
    ]
    every = class_answers(np.array([[0.25, 0.5, 0.25]], "float32"), "abc", every=True)
    assert every == [{"label": "b", "score": 0.5, "scores": {"a": 0.25, "b": 0.5, "c": 0.25}}]
    assert class_answers(np.array([[np.nan, 0.5]]), "ab") == [{"label": None, "score": None}]
    # softmax of log-probabilities gives the probabilities back; sigmoid of log(p / (1 - p)) gives p.
    three = np.array([[0.2, 0.3, 0.5]])
    assert class_answers(np.log(three) + 7, "abc", logits=True)[0]["score"] == pytest.approx(0.5)
    assert class_answers(np.array([[np.log(3.0)]]), "ab", logits=True)[0]["score"] == pytest.approx(0.75)
    assert class_answers(np.array([[np.inf, 0.0]]), "ab", logits=True) == [{"label": None, "score": None}]
    with pytest.raises(ValueError, match="3 scores a row, and it has 2 labels"):
        class_answers(np.zeros((1, 3)), "ab")


def test_values_and_raw_outputs_keep_their_digits():
    assert value_answers(np.array([[0.1], [1e-8]], "float32")) == [{"value": 0.1}, {"value": 1e-8}]
    assert value_answers(np.array([[1, 2]])) == [{"value": [1, 2]}]
    assert raw_answers({"s": np.array([b"\xc3\xa9"], object)}, 1) == [{"s": "é"}]
    with pytest.raises(ValueError, match="not one entry for each of 2 rows"):
        raw_answers({"s": np.zeros(3)}, 2)


def test_a_log_line_has_the_names_of_the_common_schema():
    stream = io.StringIO()
    log = RequestLog(stream, share=0.5, draw=iter([0.4, 0.6]).__next__)
    log.write(Exchange("POST", "/digits", 200, 0.002, "id-1", client="10.0.0.1", task="digits", version=3))
    log.write(Exchange("POST", "/digits", 200, 0.002, "id-2"))
    log.write(Exchange("POST", "/digits", 503, 0.002, "id-3", error='no "server"\nthere', trace_id="ab" * 16))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["http.request.id"] for line in lines] == ["id-1", "id-3"]
    assert lines[0]["event.duration"] == 2_000_000
    assert (lines[0]["log.level"], lines[1]["log.level"]) == ("info", "error")
    assert lines[0]["labels.model_version"] == "3"
    assert lines[1]["trace.id"] == "ab" * 16
    assert lines[1]["error.message"] == 'no "server"\nthere'
    assert lines[0]["@timestamp"].endswith("Z")


def test_a_full_disk_loses_lines_and_fails_nobody():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError("No space left on device")

    log = RequestLog(Full())
    log.write(Exchange("GET", "/", 200, 0.1, "id"))
    assert log.lost == 1


def test_tasks_are_read_from_the_newest_version(models):
    tasks, left_out = read_tasks(models)
    assert set(tasks) == {"sentiment", "price", "embed"}
    assert tasks["sentiment"].version == 10
    assert tasks["sentiment"].labels == ("negative", "positive")
    assert set(left_out) == {"docs", "wave", "broken"}
    assert "gateway's own paths" in left_out["docs"]
    assert "complex64" in left_out["wave"]
    assert "damaged" in left_out["broken"]


def test_a_folder_without_tasks_is_refused(tmp_path):
    (tmp_path / "digits" / "1").mkdir(parents=True)
    with pytest.raises(TaskError, match=r"digits: .* has no tfkit.json"):
        read_tasks(tmp_path)
    with pytest.raises(TaskError, match="is no folder"):
        read_tasks(tmp_path / "none")
