import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit
from tfkit.formats.litert import LiteRT

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(4, 3)).astype("float32")
BIAS = np.array([0.5, -1.0, 2.0], "float32")


def dense(batch=None):
    return tf.function(lambda x: tf.nn.relu(x @ KERNEL + BIAS)).get_concrete_function(
        tf.TensorSpec((batch, 4), tf.float32, name="x")
    )


def written(path, function, rows=None, interface=None):
    """A file that TensorFlow's own converter makes of a function."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    if rows is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if interface is not None:
        converter.inference_input_type = converter.inference_output_type = interface
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def rows():
    return RNG.uniform(-1, 1, (37, 4)).astype("float32")


@pytest.fixture(scope="module")
def expected(rows):
    return np.maximum(rows @ KERNEL + BIAS, 0)


@pytest.fixture(scope="module")
def floats(tmp_path_factory):
    return written(tmp_path_factory.mktemp("floats") / "dense.tflite", dense())


@pytest.mark.parametrize("count", [1, 2, 37])
def test_computes_a_dense_layer_on_any_number_of_rows(floats, rows, expected, count):
    file = LiteRT(floats)
    np.testing.assert_allclose(file(rows[:count]), expected[:count], rtol=1e-6, atol=1e-6)
    # Back and forth between sizes, and float64 in.
    np.testing.assert_allclose(file(rows[:3].astype("float64")), expected[:3], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(file(rows[:count]), expected[:count], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("count", [1, 4, 5, 37])
def test_a_fixed_batch_is_run_piece_by_piece(tmp_path, rows, expected, count):
    file = LiteRT(written(tmp_path / "fixed.tflite", dense(batch=4)))
    assert file.inputs[0].shape == (4, 4)
    np.testing.assert_allclose(file(rows[:count]), expected[:count], rtol=1e-6, atol=1e-6)


def test_counts_weights_and_zeros(floats):
    file = LiteRT(floats)
    assert (file.parameters, file.nonzero) == (15, 15)


def test_zeros_are_counted_in_floats_and_in_integers(tmp_path, rows):
    kernel = KERNEL.copy()
    kernel[1] = 0
    kernel[0, 0] = 0
    function = tf.function(lambda x: x @ kernel + BIAS).get_concrete_function(tf.TensorSpec((None, 4), tf.float32))
    for path in (written(tmp_path / "float.tflite", function), written(tmp_path / "int8.tflite", function, rows)):
        assert (LiteRT(path).parameters, LiteRT(path).nonzero) == (15, 11)


def test_shapes_and_single_numbers_are_no_weights(tmp_path):
    function = tf.function(lambda x: tf.transpose(tf.reshape(x, (-1, 2, 3)), (0, 2, 1)) * 0.1 + 2.0)
    path = written(tmp_path / "shapes.tflite", function.get_concrete_function(tf.TensorSpec((None, 6), tf.float32)))
    assert (LiteRT(path).parameters, LiteRT(path).nonzero) == (0, 0)
    given = np.arange(12, dtype="float32").reshape(2, 6)
    np.testing.assert_allclose(LiteRT(path)(given), given.reshape(2, 2, 3).transpose(0, 2, 1) * 0.1 + 2, rtol=1e-6)


def test_half_precision_weights_are_counted_and_used(tmp_path, rows, expected):
    converter = tf.lite.TFLiteConverter.from_concrete_functions([dense()], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    (tmp_path / "half.tflite").write_bytes(converter.convert())
    file = LiteRT(tmp_path / "half.tflite")
    assert (file.parameters, file.nonzero) == (15, 15)
    np.testing.assert_allclose(file(rows), expected, atol=5e-3)
    assert np.abs(file(rows) - expected).max() > 0


def test_integers_at_the_edges_are_quantized_here_as_the_file_would(tmp_path, rows, expected):
    inside = LiteRT(written(tmp_path / "inside.tflite", dense(), rows))
    edges = LiteRT(written(tmp_path / "edges.tflite", dense(), rows, interface=tf.int8))
    assert (inside.inputs[0].dtype, edges.inputs[0].dtype) == (np.float32, np.int8)
    assert edges(rows).dtype == np.float32
    np.testing.assert_array_equal(edges(rows), inside(rows))
    # An input step and an output step off, at the most.
    bound = edges.inputs[0].scale * np.abs(KERNEL).sum(0).max() + edges.outputs[0].scale
    assert np.abs(edges(rows) - expected).max() < bound
    assert inside.output_steps == edges.output_steps == (pytest.approx(edges.outputs[0].scale),)
    # Integers are taken for quantized values.
    port = edges.inputs[0]
    whole = np.clip(np.rint(rows / port.scale) + port.zero_point, -128, 127).astype("int8")
    np.testing.assert_array_equal(edges(whole), edges(rows))


def test_a_float_file_has_no_output_step(floats):
    assert LiteRT(floats).output_steps == (0.0,)


def test_several_inputs_go_by_name_or_by_order(tmp_path):
    def both(left, right):
        return {"total": left + 2 * right, "product": left * right}

    specs = {name: tf.TensorSpec((None, 3), tf.float32, name=name) for name in ("left", "right")}
    path = written(tmp_path / "two.tflite", tf.function(both).get_concrete_function(**specs))
    file = LiteRT(path)
    left, right = RNG.random((2, 5, 3)).astype("float32")
    given = {"left": left, "right": right}
    outputs = dict(zip((port.name for port in file.outputs), file({"right": right, "left": left})))
    np.testing.assert_allclose(outputs["total"], left + 2 * right, rtol=1e-6)
    np.testing.assert_allclose(outputs["product"], left * right, rtol=1e-6)
    for one, other in zip(file([given[port.name] for port in file.inputs]), file(given)):
        np.testing.assert_array_equal(one, other)


def test_a_length_that_varies(tmp_path):
    function = tf.function(lambda x: tf.reduce_sum(x, axis=1)).get_concrete_function(
        tf.TensorSpec((None, None, 2), tf.float32)
    )
    file = LiteRT(written(tmp_path / "lengths.tflite", function))
    assert file.inputs[0].shape == (None, None, 2)
    for length in (1, 7, 3):
        given = RNG.random((2, length, 2)).astype("float32")
        np.testing.assert_allclose(file(given), given.sum(1), rtol=1e-6)


def test_a_prepared_call_computes_the_inputs_it_was_given(floats, rows, expected):
    file = LiteRT(floats)
    assert file.prepare(rows[:1])() is None
    np.testing.assert_allclose(file._interpreter.get_tensor(file.outputs[0].index), expected[:1], rtol=1e-6)


def test_agrees_with_keras_on_one_value_a_row(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((None, 1), tf.float32))
    file = LiteRT(written(tmp_path / "one.tflite", function))
    given = RNG.random(6).astype("float32")
    np.testing.assert_allclose(file(given), model.predict(given, verbose=0), rtol=1e-5, atol=1e-6)


def test_falls_back_on_tensorflows_interpreter(floats, rows, expected, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "ai_edge_litert"]:
        monkeypatch.setitem(sys.modules, name, None)
    file = LiteRT(floats)
    assert type(file._interpreter).__module__.startswith("tensorflow")
    np.testing.assert_allclose(file(rows), expected, rtol=1e-6, atol=1e-6)
    assert file.parameters == 15


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be opened: No such file"),
        (b"", "no LiteRT file: it does not begin as a .tflite does"),
        (b"PK\x03\x04 a zip file", "no LiteRT file"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(200), "LiteRT cannot open"),
    ],
)
def test_what_is_no_litert_file_is_refused(tmp_path, content, text):
    path = tmp_path / "some.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(tfkit.ModelError, match=text):
        LiteRT(path)


def test_a_file_cut_short_is_refused(tmp_path, floats):
    path = tmp_path / "short.tflite"
    path.write_bytes(floats.read_bytes()[:400])
    with pytest.raises(tfkit.ModelError, match="LiteRT cannot open"):
        LiteRT(path)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (np.zeros((2, 5)), r"has shape \(None, 4\); got an array of shape \(2, 5\)"),
        (np.zeros((2, 4, 1)), r"got an array of shape \(2, 4, 1\)"),
        (np.array([["a", "b", "c", "d"]]), "is float32; got an array of <U1"),
        ([np.zeros((2, 4)), np.zeros((2, 4))], r"takes 1 inputs \(x\); got 2"),
        ({"y": np.zeros((2, 4)), "z": 0}, "takes the input 'x'; got 'y', 'z'"),
        (np.zeros((0, 4)), "takes one row or more"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_and_leave_it_usable(floats, rows, expected, given, text):
    file = LiteRT(floats)
    with pytest.raises(tfkit.ModelError, match=text):
        file(given)
    np.testing.assert_allclose(file(rows), expected, rtol=1e-6, atol=1e-6)


def test_an_operation_that_litert_has_not_is_an_error_when_called(tmp_path):
    function = tf.function(lambda x: tf.math.erf(x)).get_concrete_function(tf.TensorSpec((None, 2), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    path = tmp_path / "flex.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(tfkit.ModelError, match="LiteRT cannot run"):
        LiteRT(path)(np.zeros((1, 2)))
