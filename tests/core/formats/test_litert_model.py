"""A .tflite as what is exported: names, dtypes, what it is for, and rows as it takes them."""

import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit.formats.litert_model import LiteRTModel
from tfkit.formats.signature import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*", "ignore::DeprecationWarning")


def written(path, function, *specs):
    """A file of a function, as TensorFlow's own converter writes it."""

    class Module(tf.Module):
        serve = tf.function(function, input_signature=specs)

    module = Module()
    concrete = [module.serve.get_concrete_function()]
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions(concrete, module).convert())
    return LiteRT(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two inputs, two outputs, batches of one row."""
    return written(
        tmp_path_factory.mktemp("pair") / "pair.tflite",
        lambda self, b, a: {"sum": b + tf.cast(a, tf.float32), "twice": a * 2},
        tf.TensorSpec((1, 2), tf.float32, "b"),
        tf.TensorSpec((1, 2), tf.int32, "a"),
    )


def test_several_by_their_names_in_any_number_of_rows(pair):
    model = LiteRTModel(pair)
    assert set(model.signature.inputs) == {Tensor("b", "float32", (None, 2)), Tensor("a", "int32", (None, 2))}
    assert set(model.signature.outputs) == {Tensor("sum", "float32", (None, 2)), Tensor("twice", "int32", (None, 2))}
    assert (model.name, model.preprocessing, model.purpose.task) == ("pair.tflite", [], None)
    a, b = np.arange(6).reshape(3, 2), np.ones((3, 2)) / 4
    found = model.compute(model.arrange({"a": a, "b": b, "unused": a}))
    assert found.keys() == {"sum", "twice"}
    np.testing.assert_array_equal(found["sum"], a + 0.25)
    np.testing.assert_array_equal(found["twice"], a * 2)


def test_without_names_rows_go_in_the_files_order(pair):
    model = LiteRTModel(pair)
    by_name = {"a": np.ones((2, 2), "int32"), "b": np.zeros((2, 2), "float32")}
    in_order = model.arrange([by_name[tensor.name] for tensor in model.signature.inputs])
    assert {name: values.sum() for name, values in in_order.items()} == {"a": 4, "b": 0}
    with pytest.raises(tfkit.DataError, match="must be a list of 2 inputs"):
        model.arrange([by_name["a"]])


@pytest.mark.parametrize(
    ("last", "task", "scores"),
    [
        (tf.nn.softmax, "classification", "probabilities"),
        (tf.nn.sigmoid, "classification", "probabilities"),
        (lambda x: x, "regression", None),
    ],
)
def test_what_it_is_for_by_its_last_operator(tmp_path, last, task, scores):
    width = 3 if last is tf.nn.softmax else 1
    kernel = tf.constant(np.random.default_rng(0).normal(size=(4, width)), tf.float32)
    file = written(tmp_path / "m.tflite", lambda self, x: last(x @ kernel), tf.TensorSpec((None, 4), tf.float32, "x"))
    purpose = LiteRTModel(file).purpose
    assert (purpose.task, purpose.scores) == (task, scores)
    assert LiteRTModel(file, task="regression").purpose.task == "regression"


def test_logits_with_labels(tmp_path):
    kernel = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
    file = written(tmp_path / "m.tflite", lambda self, x: x @ kernel, tf.TensorSpec((None, 4), tf.float32, "x"))
    assert LiteRTModel(file).purpose.task is None
    assert LiteRTModel(file, labels=["a", "b", "c"]).purpose.scores == "logits"


def test_a_scalar_is_refused(tmp_path):
    file = written(tmp_path / "m.tflite", lambda self, x: x + 1.0, tf.TensorSpec((), tf.float32, "x"))
    with pytest.raises(tfkit.ModelError, match=r"the input 'x' of .* is a scalar"):
        LiteRTModel(file)
