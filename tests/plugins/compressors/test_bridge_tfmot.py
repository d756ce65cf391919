"""TFMOT's own compressors on a Keras 3 model, by way of tf_keras."""

import time

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.attach.deadline import deadline
from tfkit.formats.flatbuffer import count_by_type
from tfkit.pipeline.predictions import predict
from tfkit_compressors.bridge import qat
from tfkit_compressors.bridge.qat import TfmotQat
from tfkit_compressors.bridge.replay import to_tf_keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 6, 6, 3)).astype("float32")
Y = X.mean(axis=(1, 2)).argmax(axis=-1)
DATA = tfkit.Data((X[:96], Y[:96]), validation=(X[96:], Y[96:]), batch_size=16)


def cnn(optimizer="adam"):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(image)))
    x = x + layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.2)(layers.Flatten()(layers.DepthwiseConv2D(3)(x)))
    model = keras.Model(image, layers.Dense(3, "softmax", name="scores")(x), name="net")
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def compress(name, model, epochs, directory=None, **params):
    return tfkit.create("compressor", name, **params).compress(model, DATA, epochs=epochs, directory=directory)


def shares(model):
    return [float((each.kernel.numpy() == 0).mean()) for each in model.layers if hasattr(each, "kernel")]


@pytest.mark.parametrize("epochs", [0, 2])
def test_tfmot_prune_prunes_what_tfmot_does(epochs):
    model = cnn()
    made = compress("tfmot-prune", model, epochs, sparsity=0.75)
    assert made.model is model
    *pruned, depthwise, out = shares(model)
    assert [*pruned, out] == [0.75] * 3
    assert depthwise == 0.0


def test_tfmot_prune_is_prune():
    """The same data in the same order: the same zeros, and weights as near as two Kerases compute them.

    Moving statistics are left out: tf_keras takes the sample's variance where Keras 3 takes the batch's own.
    """
    ours, theirs = (cnn(keras.optimizers.SGD(0.05)) for _ in range(2))
    still = tfkit.Data(DATA.dataset("train", shuffle=False))
    exclude = {"exclude": ("DepthwiseConv2D",)}
    for model, name, more in ((ours, "prune", exclude), (theirs, "tfmot-prune", {})):
        for layer in model.layers:
            if isinstance(layer, layers.Dropout):
                layer.rate = 0.0
        tfkit.create("compressor", name, sparsity=0.6, frequency=1, **more).compress(
            model, still, epochs=2, directory=None
        )
    for left, right in zip(ours.trainable_weights, theirs.trainable_weights):
        left, right = left.numpy(), right.numpy()
        np.testing.assert_array_equal(left == 0, right == 0)
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.parametrize(("name", "params"), [("tfmot-prune", {"sparsity": 0.75}), ("tfmot-cluster", {"clusters": 4})])
def test_a_deadline_ends_their_training_after_the_batch_that_runs(name, params):
    model = cnn(keras.optimizers.SGD(0.01))
    started = time.monotonic()
    with deadline(started) as limit:
        made = compress(name, model, 10**6, **params)
    assert limit.reached
    assert time.monotonic() - started < 60
    missed = [note for note in made.notes if "0.75 was asked for" in note]
    assert len(missed) == (3 if name == "tfmot-prune" else 0)


def test_rows_of_sorted_data_are_drawn_from_all_of_it(monkeypatch, tmp_path):
    """The first 100 rows of data that is sorted by its labels are of one class."""
    read = {}
    monkeypatch.setattr(qat, "_read_ranges", lambda quantized, rows: read.update(ranges=rows))
    monkeypatch.setattr(qat, "convert", lambda *args, check, **kwargs: (_ for _ in ()).throw(Checked(check)))
    order = np.argsort(Y, kind="stable")
    data = tfkit.Data((X[order], Y[order]))
    with pytest.raises(Checked) as caught:
        TfmotQat(calibration=20).compress(tail(), data, epochs=0, directory=tmp_path)
    np.testing.assert_array_equal(read["ranges"], data.drawn("train", 20))
    np.testing.assert_array_equal(caught.value.args[0], data.drawn("train", 256))


class Checked(Exception):
    """What a conversion would be checked on."""


@pytest.mark.parametrize("epochs", [0, 1])
def test_tfmot_cluster_leaves_so_many_values(epochs):
    model = cnn()
    compress("tfmot-cluster", model, epochs, clusters=4)
    dense = [each for each in model.layers if isinstance(each, (layers.Dense, layers.Conv2D))]
    kernels = [each.kernel for each in dense if not isinstance(each, layers.DepthwiseConv2D)]
    assert [len(np.unique(each.numpy())) for each in kernels] == [4, 4, 4]


def test_tfmot_cluster_brings_attention_back_weight_by_weight():
    """TFMOT leaves its kernels before its biases."""
    series = keras.Input((4, 6))
    attention = layers.MultiHeadAttention(2, 6, name="attention")
    model = keras.Model(series, layers.Dense(3, name="out")(layers.Flatten()(attention(series, series))))
    for bias in (each for each in model.weights if each.name == "bias"):
        bias.assign(RNG.normal(size=bias.shape))
    before = {each.path: each.numpy() for each in model.weights}
    data = tfkit.Data((X[:96].reshape(-1, 4, 27)[..., :6], Y[:96]))
    tfkit.create("compressor", "tfmot-cluster", clusters=4).compress(model, data, epochs=0, directory=None)
    for weight in model.weights:
        value, was = weight.numpy(), before[weight.path]
        if weight.name == "bias":
            np.testing.assert_array_equal(value, was)
        else:
            assert len(np.unique(value)) == 4
            assert np.corrcoef(value.reshape(-1), was.reshape(-1))[0, 1] > 0.8


@pytest.fixture(scope="module")
def trained():
    model = cnn(keras.optimizers.Adam(0.01))
    model.fit(X[:96], Y[:96], epochs=3, verbose=0)
    return model


@pytest.fixture(scope="module")
def quantized(trained, tmp_path_factory):
    """One training and conversion for all that follows, of a copy."""
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return compress("tfmot-qat", model, 2, tmp_path_factory.mktemp("qat"))


@pytest.mark.slow
@pytest.mark.nightly
def test_tfmot_qat_makes_an_int8_file(quantized):
    counts = count_by_type(quantized.artifacts["litert"].read_bytes())
    assert counts["INT8"] == 3 * 3 * 3 * 8 + 3 * 3 * 8 * 8 + 3 * 3 * 8 + 2 * 2 * 8 * 3
    assert set(counts) == {"INT8", "INT32"}


@pytest.mark.slow
@pytest.mark.nightly
def test_its_names_are_the_models(quantized):
    file = tfkit.load_model(quantized.artifacts["litert"])
    assert [port.name for port in file.inputs + file.outputs] == ["image", "scores"]


@pytest.mark.slow
@pytest.mark.nightly
def test_it_decides_as_the_model_with_the_trained_weights(quantized, trained):
    file = tfkit.load_model(quantized.artifacts["litert"])
    ours = predict(quantized.model, X)
    assert abs(file(X) - ours).max() < 0.2
    assert (file(X).argmax(-1) == ours.argmax(-1)).mean() > 0.97
    pairs = zip(quantized.model.get_weights(), trained.get_weights())
    assert max(abs(left - right).max() for left, right in pairs) > 0.01
    assert (ours.argmax(-1) == Y).mean() >= (predict(trained, X).argmax(-1) == Y).mean()
    assert all("decisions agree" in note for note in quantized.notes)
    assert len(quantized.notes) == 2


def test_ranges_are_read_from_rows_and_nothing_else_changes(trained):
    """What epochs=0 does before it converts; the conformance kit converts that."""
    quantized = TfmotQat()._quantized(to_tf_keras(trained))
    before = {each.name: each.numpy() for each in quantized.weights if "/quant_" not in f"/{each.name}"}
    expected = predict(trained, X)
    far = abs(quantized(X).numpy() - expected).max()
    qat._read_ranges(quantized, X[:96])
    near = abs(quantized(X).numpy() - expected).max()
    assert near < 0.05
    assert near < far / 3  # with TFMOT's first ranges, [-6, 6] everywhere
    after = {each.name: each.numpy() for each in quantized.weights}
    kept = [name for name in before if "quantize_layer" not in name]
    assert len(kept) == len(trained.weights)
    for name in kept:
        np.testing.assert_array_equal(before[name], after[name])


API = {"tfmot-qat": "quantize_model", "tfmot-prune": "prune_low_magnitude", "tfmot-cluster": "cluster_weights"}


def tail(*inner):
    image = keras.Input((6, 6, 3))
    x = image
    for each in inner:
        x = each(x)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)), name="net")
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("name", "inner", "match"),
    [
        ("tfmot-qat", (layers.Reshape((6, 18)), layers.LSTM(4, name="recurrent")), "LSTM 'recurrent'"),
        ("tfmot-qat", (layers.Reshape((6, 18)), layers.Conv1D(4, 3, name="line")), "Conv1D 'line'"),
        ("tfmot-qat", (layers.LayerNormalization(name="norm"),), "LayerNormalization 'norm'"),
        ("tfmot-qat", (keras.Sequential([keras.Input((6, 6, 3)), layers.ReLU()], name="in"),), "nested model 'in'"),
        ("tfmot-qat", (keras.ops.sin,), "Operation 'sin"),
        ("tfmot-prune", (layers.Reshape((6, 18)), layers.Bidirectional(layers.LSTM(2), name="both")), "Bidir.* 'both'"),
        (
            "tfmot-cluster",
            (layers.EinsumDense("abcd,de->abce", output_shape=(6, 6, 8), name="sum"),),
            "EinsumDense 'sum'",
        ),
    ],
)
def test_what_tfmot_refuses_is_named(name, inner, match, tmp_path):
    params = {"sparsity": 0.5} if name == "tfmot-prune" else {}
    with pytest.raises(tfkit.ModelError, match=rf"TFMOT's {API[name]} refuses (the )?{match}") as caught:
        compress(name, tail(*inner), 1, tmp_path, **params)
    assert "\n" not in str(caught.value)


def test_tfmot_qat_refuses_ids_by_the_name_of_the_input(tmp_path):
    ids = keras.Input((4,), dtype="int32", name="ids")
    model = keras.Model(ids, layers.Dense(3)(layers.Flatten()(layers.Embedding(9, 2)(ids))), name="net")
    data = tfkit.Data((RNG.integers(0, 9, (96, 4)), Y[:96]))
    with pytest.raises(
        tfkit.ModelError, match=r"quantize_model refuses the input 'ids', .* that is int32; comp"
    ) as caught:
        tfkit.create("compressor", "tfmot-qat").compress(model, data, epochs=0, directory=tmp_path)
    assert "\n" not in str(caught.value)
