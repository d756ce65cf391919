"""Attention in 8 bits: scores, weights and products are integers in the file, and the model trains with the same."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers, ops
from qat_models import RNG, SOFT, X, Y

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit_compressors.qat.attention import applied, dot_product, query_factor
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.products import as_product, matrix
from tfkit_compressors.qat.qat import QuantizationAwareTraining as Qat
from tfkit_compressors.qat.weights import chosen
from tfkit_compressors.schemas import Qat as Settings

ROWS = X[..., 0]
DATA = tfkit.Data((ROWS[:800], Y[:800]), (ROWS[800:], Y[800:]))
AS_IT_IS = (lambda tensor: tensor,) * 2


def encoder(*attention, **options):
    """Rows of an image as a sequence, with positions that are looked up."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8))
    positions = ops.cumsum(ops.ones_like(inputs[:, :, 0], dtype="int32"), axis=1) - 1
    x = layers.Dense(16)(inputs) + layers.Embedding(8, 16, name="positions")(positions)
    for each in attention:
        x = layers.LayerNormalization()(x + each(x, x, **options))
    x = layers.Flatten()(x + layers.Dense(16)(layers.Dense(32, activation="gelu")(x)))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="encoder")
    model.compile(keras.optimizers.Adam(5e-3), SOFT, jit_compile=False)  # whose compilation takes longer than this fit
    return model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An encoder, its file, and what the file's operations read and give."""
    model = encoder(layers.MultiHeadAttention(2, 8))
    assert len(chosen(model, Settings())) == 9
    assert FakeQuantization(model, Settings()).score_step > 0
    found = Qat().compress(model, DATA, epochs=4, directory=tmp_path_factory.mktemp("attention"))
    path = found.artifacts["litert"]
    return SimpleNamespace(model=model, note=found.notes[0], path=path, operations=operations(path))


def operations(path):
    """For each operation of a file its name, and its tensors."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    tensors = model.subgraphs[0].tensors
    for operation in model.subgraphs[0].operators:
        code = model.operatorCodes[operation.opcodeIndex]
        read = [tensors[each] for each in operation.inputs if each >= 0]
        given = [tensors[each] for each in operation.outputs]
        yield names[max(code.builtinCode, code.deprecatedBuiltinCode)], read, given


@pytest.mark.slow
def test_the_file_decides_as_the_fake_quantized_model(made):
    assert float(made.note.partition("model: ")[2].partition("%")[0]) >= 99.5
    assert np.mean(LiteRT(made.path)(ROWS[800:]).argmax(-1) == Y[800:]) > 0.85


@pytest.mark.slow
def test_its_products_and_softmaxes_are_integers(made):
    found = {"FULLY_CONNECTED": 0, "BATCH_MATMUL": 0, "SOFTMAX": 0}
    for name, read, given in list(made.operations):
        if name in found:
            found[name] += 1
            assert schema.TensorType.FLOAT32 not in {each.type for each in (*read, *given)}, (name, read[0].name)
        if name == "FULLY_CONNECTED" and len(read) == 3:
            scales = [np.asarray(each.quantization.scale) for each in read]
            np.testing.assert_allclose(scales[2], scales[0] * scales[1], rtol=1e-5)
    assert found == {"FULLY_CONNECTED": 8, "BATCH_MATMUL": 2, "SOFTMAX": 2}


@pytest.mark.parametrize("bits", [8, 4])
def test_sequences_may_be_of_any_length(bits):
    series = keras.Input((None, 8))
    x = layers.MultiHeadAttention(2, 4)(series, series)
    x = layers.GlobalAveragePooling1D()(layers.Dense(128, activation="relu")(x))
    model = keras.Model(series, layers.Dense(3)(x))
    fake = FakeQuantization(model, Settings(bits=bits))
    fake.calibrate([ROWS[:64]])
    fake.bake()
    for rows in (ROWS[:9], ROWS[:9, :5]):
        with fake.installed():
            expected = model(rows, training=False).numpy()
        with fake.exported():
            compute = tf.function(model, input_signature=[tf.TensorSpec((None, None, 8))])
            np.testing.assert_allclose(compute(rows), expected, atol=0.02 * np.ptp(expected))


@pytest.mark.parametrize("options", [{}, {"use_causal_mask": True}])
@pytest.mark.parametrize(
    "attention", [layers.MultiHeadAttention(2, 8, name="one"), layers.GroupQueryAttention(8, 4, 2, name="one")]
)
def test_what_is_exported_equals_the_fake_quantized_model(attention, options):
    model = encoder(type(attention).from_config(attention.get_config()), **options)
    fake = FakeQuantization(model, Settings())
    fake.calibrate([ROWS[:256]])
    fake.bake()
    with fake.installed():
        expected = model(ROWS[800:], training=False).numpy()
    with fake.exported():
        outputs = model(ROWS[800:], training=False).numpy()
    with fake.installed():
        np.testing.assert_array_equal(model(ROWS[800:], training=False), expected)
    assert query_factor(model.get_layer("one"))[1] == pytest.approx(8**-0.5)
    assert np.mean(np.abs(outputs - expected) > 1e-4) < 0.05
    assert np.abs(outputs - expected).max() <= 8 / 256
    assert "call" not in vars(model.get_layer("one"))


def test_a_tensor_has_one_grid_and_masked_scores_none():
    for options, seen in (({}, True), ({"use_causal_mask": True}, False)):
        model = encoder(layers.MultiHeadAttention(2, 8, name="attention"), **options)
        fake = FakeQuantization(model, Settings())
        fake.calibrate([ROWS[:64]])
        by_layer = {id(each.operation): each for each in fake._operations}
        attention = model.get_layer("attention")
        assert (by_layer[id(attention._softmax)]._grids.inputs[0].limits != (0.0, 1.0)) is seen
        for projection in (attention._query_dense, attention._key_dense, attention._value_dense):
            assert by_layer[id(projection)]._grids.inputs[0].limits == (0.0, 1.0)  # never followed
        assert by_layer[id(attention._output_dense)]._grids.inputs[0].limits != (0.0, 1.0)


def test_attention_of_a_fused_kernel_is_computed_step_by_step():
    model = encoder(layers.MultiHeadAttention(2, 8, flash_attention=True, name="attention"))
    plain = encoder(layers.MultiHeadAttention(2, 8, name="attention"))
    with pytest.raises(Exception, match="Flash attention is not supported"):
        model(ROWS[:4])
    fake = FakeQuantization(model, Settings())
    with fake.installed():
        fake._set(follows=True, quantizes=False)
        np.testing.assert_allclose(model(ROWS[:4], training=False), plain(ROWS[:4], training=False), atol=1e-5)
    assert model.get_layer("attention")._flash_attention is True


@pytest.mark.parametrize("heads", [4, 2])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"mask": True}, {"bias": True}])
def test_the_fused_operation_step_by_step(heads, options):
    query, key, value = (RNG.normal(size=(3, 5, each, 8)).astype("float32") for each in (4, heads, heads))
    if "mask" in options:
        options = {"mask": RNG.random((3, 1, 5, 5)) < 0.6}
        options["mask"][..., 0] = True
    if "bias" in options:
        options = {"bias": RNG.normal(size=(3, 4, 5, 5)).astype("float32")}
    expected = ops.dot_product_attention(query, key, value, **options)
    operation = SimpleNamespace(is_causal=options.pop("is_causal", False))
    np.testing.assert_allclose(dot_product(operation, AS_IT_IS, query, key, value, **options), expected, atol=1e-5)


@pytest.mark.parametrize("layer", [layers.Attention(use_scale=True), layers.AdditiveAttention()])
@pytest.mark.parametrize("causal", [False, True])
def test_scores_are_applied_as_by_the_layer(layer, causal):
    query, value = (RNG.normal(size=(3, 5, 8)).astype("float32") for _ in range(2))
    mask = [None, ops.convert_to_tensor(RNG.random((3, 5)) < 0.7)]
    expected = layer([query, value], mask=mask, use_causal_mask=causal)
    scores = layer._calculate_scores(query, value)
    outputs, weights = applied(layer, AS_IT_IS, scores, value, layer._calculate_score_mask(scores, mask[1], causal))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert weights.shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("equation", "shape", "bias"),
    [
        ("abc,cd->abd", (None, 6), "d"),
        ("abc,cde->abde", (None, 2, 3), "de"),
        ("abc,cde->abde", (None, 2, 3), "e"),
        ("abcd,cde->abe", (None, 6), "e"),
        ("bqm,muh->bquh", (None, 2, 3), None),
        ("bqm,umh->bqhu", (None, 3, 2), "hu"),
        ("...x,xy->...y", (6,), "y"),
    ],
)
def test_a_dense_layer_is_a_product(equation, shape, bias):
    keras.utils.set_random_seed(1)
    inputs = RNG.normal(size=(2, 5, 4, 3) if equation.startswith("abcd") else (2, 5, 4)).astype("float32")
    layer = layers.EinsumDense(equation, shape, activation="relu", bias_axes=bias, bias_initializer="normal")
    expected = layer(inputs)
    found = matrix(layer)
    addends = [] if bias is None else [layer.bias.numpy()]
    outputs = as_product(layer, found, lambda: found.of(layer.kernel.numpy()), addends)(ops.convert_to_tensor(inputs))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert np.asarray(expected).max() > 0.1


@pytest.mark.parametrize(
    ("equation", "shape"), [("abc,bcd->abd", (5, 6)), ("abc,bd->adc", (6, 4)), ("abc,cd->adb", (6, 5))]
)
def test_what_is_no_product_is_left(equation, shape):
    layer = layers.EinsumDense(equation, shape)
    layer.build((2, 5, 4))
    assert matrix(layer) is None
