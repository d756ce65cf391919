import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit.formats.flatbuffer import count_by_type
from tfkit.formats.litert import LiteRT
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.grids import Grid
from tfkit_compressors.qat.kept import Kept, distinct_values
from tfkit_compressors.qat.plan import planned
from tfkit_compressors.qat.qat import QuantizationAwareTraining as Qat
from tfkit_compressors.qat.sensitivity import sensitivity
from tfkit_compressors.qat.weights import chosen
from tfkit_compressors.schemas import Qat as Settings

RNG = np.random.default_rng(0)
# A little noise, since pixels of k/16 lie on the very middle between two steps of 8 bits.
X = (load_digits().images / 16 + RNG.normal(0, 0.02, (1797, 8, 8))).astype("float32")[..., None]
Y = load_digits().target
DATA = tfkit.Data((X[:1200], Y[:1200]), (X[1200:], Y[1200:]))
SOFT = "sparse_categorical_crossentropy"


def cnn():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, use_bias=False, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="cnn",
    )


def dense(units=16, **compiled):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    hidden = layers.Dense(units, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="out")(hidden), name="mlp")
    model.compile(keras.optimizers.Adam(3e-3), SOFT, metrics=["accuracy"], **compiled)
    return model


def trained(model, epochs=6):
    model.compile(keras.optimizers.Adam(3e-3), SOFT, metrics=["accuracy"])
    model.fit(*DATA.train, epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def float_cnn():
    return trained(cnn())


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.Adam(1e-3), SOFT, metrics=["accuracy"])
    return copy


def accuracy(predictions):
    return np.mean(predictions.argmax(-1) == Y[1200:])


def fake_quantized(kernel, bits, axis):
    """TensorFlow's own fake quantization, of channels on one axis."""
    moved = np.moveaxis(kernel, axis, -1)
    high = np.abs(moved).reshape(-1, moved.shape[-1]).max(0)
    done = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        moved, -high, high, num_bits=bits, narrow_range=True
    )
    return np.moveaxis(done.numpy(), -1, axis)


@pytest.mark.parametrize(("bits", "axis"), [(8, 3), (4, 3), (4, 2)])
def test_a_grid_is_tensorflows_fake_quantization(bits, axis):
    kernel = RNG.normal(size=(3, 3, 5, 7)).astype("float32")
    made = Grid(bits, (axis,)).rounded(tf.constant(kernel)).numpy()
    np.testing.assert_allclose(made, fake_quantized(kernel, bits, axis), atol=1e-6)


def test_the_gradient_passes_the_grid():
    kernel = tf.Variable(RNG.normal(size=(4, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(Grid(4, (1,)).rounded(kernel) * 3.0)
    np.testing.assert_array_equal(tape.gradient(loss, kernel), np.full((4, 3), 3.0))


def test_clusters_get_the_mean_of_their_gradients():
    kept = Kept(np.repeat([1.0, 2.0, 3.0], 4), sparsity=True, clusters=True)
    value = tf.Variable(np.repeat([1.0, 2.0, 3.0], 4).astype("float32"))
    weights = np.arange(12, dtype="float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(kept(value) * weights)
    expected = np.repeat(weights.reshape(3, 4).mean(1), 4)
    np.testing.assert_allclose(tape.gradient(loss, value), expected)


def test_sites_are_where_litert_has_tensors():
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(first))
    x = layers.Add(name="sum")([layers.Conv2D(4, 1, activation="swish", name="second")(x), x])
    x = layers.GlobalAveragePooling2D(name="mean")(layers.MaxPooling2D(name="pool")(x))
    sites, folds = planned(keras.Model(inputs, layers.Dense(2, activation="softmax", name="out")(x)))
    found = {site.operation.name: (site.inputs, site.before, site.outputs) for site in sites}
    assert found == {
        "first": ((0,), False, 0),
        "norm": ((), False, 0),
        "relu": ((), False, 1),
        "second": ((), True, 1),
        "sum": ((), False, 1),
        "mean": ((), False, 1),
        "out": ((), True, 1),
    }
    assert [(fold.layer.name, fold.norm.name) for fold in folds] == [("first", "norm")]


def test_batch_normalization_with_other_readers_is_not_folded():
    inputs = keras.Input((8,))
    x = layers.Dense(4, name="first")(inputs)
    y = layers.BatchNormalization()(x)
    sites, folds = planned(keras.Model(inputs, layers.Add()([x, y])))
    assert folds == []
    assert next(site.outputs for site in sites if site.operation.name == "first") == 1


@pytest.mark.slow
def test_int8_of_a_cnn_decides_as_the_fake_quantized_model_and_keeps_accuracy(float_cnn, tmp_path):
    model = copied(float_cnn)
    made = tfkit.create("compressor", "qat").compress(model, DATA, epochs=1, directory=tmp_path)
    assert made.model is model
    assert [each.name for each in tmp_path.iterdir()] == ["qat-int8.tflite"]
    file = LiteRT(made.artifacts["litert"])
    outputs = file(X[1200:])
    assert file.output_steps == (1 / 256,)
    floats = count_by_type(made.artifacts["litert"].read_bytes())
    assert set(floats) <= {"INT8", "INT32"}, floats
    assert accuracy(outputs) >= accuracy(float_cnn.predict(X[1200:], verbose=0)) - 0.02
    assert np.mean(outputs.argmax(-1) == model.predict(X[1200:], verbose=0).argmax(-1)) >= 0.98
    assert made.notes[0].endswith("of 597 decisions are the fake-quantized model's")
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)
    model.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_allclose(again.predict(X[:9], verbose=0), model.predict(X[:9], verbose=0), atol=1e-6)


@pytest.mark.slow
def test_4_bit_weights_with_8_bit_activations_are_stored_in_4_bits(float_cnn, tmp_path):
    model = copied(float_cnn)
    made = Qat(bits=4).compress(model, DATA, epochs=0, directory=tmp_path)
    counts = count_by_type(made.artifacts["litert"].read_bytes())
    assert counts["INT4"] == 3 * 3 * 8 * 16 + 16 * 4 * 4 * 32
    assert made.notes[1] == "4 bits in 2 of 4 kernels: cnn/conv2d_1/kernel, cnn/dense/kernel".replace(
        "conv2d_1", model.layers[4].name
    ).replace("dense/", f"{model.layers[8].name}/")
    for layer, axis in ((model.layers[4], 3), (model.layers[8], 1)):
        kernel = layer.kernel.numpy()
        assert max(len(np.unique(each.round(6))) for each in np.moveaxis(kernel, axis, 0)) <= 15
    assert model.optimizer.iterations == 0


@pytest.mark.slow
def test_an_lstm_keeps_float_activations(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8)), layers.LSTM(16, name="memory"), layers.Dense(10, "softmax")])
    data = tfkit.Data((X[:1200, ..., 0], Y[:1200]), (X[1200:, ..., 0], Y[1200:]))
    model.compile(keras.optimizers.Adam(1e-2), SOFT)
    with pytest.raises(tfkit.TfkitError, match=r"no 8-bit activations .*memory.*: use activations=None"):
        Qat().compress(model, data, epochs=1, directory=tmp_path)
    made = Qat(activations=None).compress(model, data, epochs=6, directory=tmp_path)
    outputs = LiteRT(made.artifacts["litert"])(data.validation[0])
    assert np.mean(outputs.argmax(-1) == model.predict(data.validation[0], verbose=0).argmax(-1)) >= 0.995
    assert accuracy(outputs) > 0.6
    kernel = model.layers[0].cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)


@pytest.mark.slow
def test_an_attention_model_trains_and_converts(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8))
    x = layers.Dense(24)(inputs)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)])
    x = layers.Flatten()(layers.LayerNormalization()(x))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    data = tfkit.Data((X[:1200, ..., 0], Y[:1200]), (X[1200:, ..., 0], Y[1200:]))
    model.compile(keras.optimizers.Adam(5e-3), SOFT)
    assert len(chosen(model, Settings())) == 6
    fake = FakeQuantization(model, Settings())
    assert fake.score_step > 0
    made = Qat().compress(model, data, epochs=10, directory=tmp_path)
    assert accuracy(LiteRT(made.artifacts["litert"])(data.validation[0])) > 0.85
    assert float(made.notes[0].partition("%")[0]) >= 99


@pytest.mark.parametrize(
    "compiled", [{"steps_per_execution": 8}, {"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}]
)
def test_the_callback_trains_the_same_in_every_mode(compiled):
    flat = X[:256].reshape(-1, 64), Y[:256]
    reference, model = dense(jit_compile=False), dense(**compiled)
    histories = [
        each.fit(
            *flat, batch_size=32, shuffle=False, verbose=0, epochs=2, callbacks=[tfkit.callback("compressor", "qat")]
        )
        for each in (reference, model)
    ]
    np.testing.assert_allclose(*(each.history["loss"] for each in histories), rtol=0.02)
    kernel = model.get_layer("hidden").kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)
    np.testing.assert_allclose(kernel, reference.get_layer("hidden").kernel.numpy(), atol=0.02)
    assert "call" not in vars(model)
    assert not any("call" in vars(layer) for layer in model.layers)


def test_mixed_float16_trains_and_keeps_float32_kernels():
    keras.utils.set_random_seed(0)
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(32, activation="relu", dtype=policy),
            layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), SOFT, metrics=["accuracy"])
    history = model.fit(
        X[:1200].reshape(-1, 64), Y[:1200], epochs=4, verbose=0, callbacks=[tfkit.callback("compressor", "qat")]
    )
    assert history.history["accuracy"][-1] > 0.8
    kernel = model.layers[0].kernel.numpy()
    assert kernel.dtype == "float32"
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)


def test_validation_inside_the_fit_and_evaluation_after_it_see_their_own_model():
    model = dense()
    flat = X[:256].reshape(-1, 64), Y[:256]
    model.evaluate(*flat, verbose=0)  # leaves a traced test function behind
    callback = tfkit.callback("compressor", "qat", bits=4, activations=None)
    history = model.fit(*flat, epochs=1, verbose=0, validation_data=flat, callbacks=[callback])
    after = model.evaluate(*flat, verbose=0)[0]
    np.testing.assert_allclose(history.history["val_loss"][-1], after, rtol=1e-5)
    model.get_layer("out").kernel.assign_add(np.full((16, 10), 0.01))
    expected = keras.losses.sparse_categorical_crossentropy(flat[1], model(flat[0])).numpy().mean()
    np.testing.assert_allclose(model.evaluate(*flat, verbose=0)[0], expected, rtol=1e-5)


def test_zeros_and_clusters_are_kept_through_training():
    model = dense(units=32)
    sparse, clustered = model.get_layer("hidden").kernel, model.get_layer("out").kernel
    mask = RNG.random(sparse.shape) < 0.2
    sparse.assign(sparse.numpy() * mask)
    centroids = np.linspace(-0.5, 0.5, 8)
    clustered.assign(centroids[RNG.integers(0, 8, clustered.shape)])
    before = clustered.numpy()
    flat = X[:512].reshape(-1, 64), Y[:512]
    model.fit(*flat, epochs=2, verbose=0, callbacks=[tfkit.callback("compressor", "qat")])
    assert (sparse.numpy()[~mask] == 0).all()
    assert (sparse.numpy() != 0).mean() > 0.15
    assert distinct_values(clustered) <= 8
    assert not np.allclose(clustered.numpy(), before)
    loose = tfkit.callback("compressor", "qat", preserve_sparsity=False)
    model.fit(*flat, epochs=1, verbose=0, callbacks=[loose])
    assert (sparse.numpy()[~mask] != 0).any()


def test_statistics_seeds_and_losses_inside_the_model_go_on():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(8, activity_regularizer=keras.regularizers.L2(0.1)),
            layers.BatchNormalization(momentum=0.5),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("sgd", SOFT)
    norm, seeds = model.layers[1], model.layers[2].seed_generator.state
    plain_losses = model(X[:8].reshape(-1, 64)) is not None and len(model.losses)
    before = seeds.numpy().copy()
    fake = FakeQuantization(model, Settings())
    fake.calibrate([X[:64].reshape(-1, 64)])
    assert (norm.moving_mean.numpy() == 0).all()
    with fake.installed():
        model(X[:8].reshape(-1, 64), training=True)
        assert len(model.losses) == plain_losses == 1
    assert (norm.moving_mean.numpy() != 0).any()
    assert not np.array_equal(before, seeds.numpy())


def test_the_export_equals_the_fake_quantized_model(float_cnn):
    model = copied(float_cnn)
    fake = FakeQuantization(model, Settings())
    fake.calibrate([X[:128], X[128:256]])
    fake.bake()
    with fake.installed():
        expected = model(X[1200:1300], training=False).numpy()
    with fake.exported():
        outputs = model(X[1200:1300], training=False).numpy()
    # Folding adds in another order, by which a value in the middle of two steps may take the other one.
    assert np.mean(np.abs(outputs - expected) > 1e-4) < 0.05
    assert np.abs(outputs - expected).max() <= 8 / 256


def test_sensitivity_measures_one_kernel_at_a_time_and_leaves_the_model(float_cnn):
    before = float_cnn.get_weights()
    rows = sensitivity(float_cnn, DATA)
    for one, other in zip(before, float_cnn.get_weights()):
        np.testing.assert_array_equal(one, other)
    assert len(rows) == 8
    assert {row["bits"] for row in rows} == {4, 8}
    four = {row["kernel"]: row for row in rows[:4]}
    eight = {row["kernel"]: row for row in rows[4:]}
    changed = next(path for path, row in four.items() if row["bits"] == 4)
    assert four[changed]["sqnr_db"] < eight[changed]["sqnr_db"] - 10
    model = copied(float_cnn)
    kernel = next(each for each in model.weights if each.shape == tuple(float_cnn.layers[4].kernel.shape))
    kernel.assign(fake_quantized(kernel.numpy(), 4, 3))
    expected = np.mean(model.predict(X[1200:], verbose=0).argmax(-1) == Y[1200:])
    np.testing.assert_allclose(four[float_cnn.layers[4].kernel.path]["metric"], expected, atol=2e-3)


def test_max_drop_gives_4_bits_to_what_can_bear_them(float_cnn):
    from tfkit_compressors.qat.sensitivity import within_drop

    def four(max_drop):
        bits = within_drop(float_cnn, DATA, Settings(bits=4, max_drop=max_drop))
        return sum(each == 4 for each in bits.values())

    assert four(1.0) == 2
    broken = copied(float_cnn)
    broken.layers[8].kernel.assign(np.where(RNG.random((256, 32)) < 0.001, 40.0, broken.layers[8].kernel.numpy()))
    bits = within_drop(broken, DATA, Settings(bits=4, max_drop=0.0))
    assert set(bits.values()) <= {4, 8}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"bits": 5}, "'bits' of compressor 'qat' must be 4 or 8; got 5"),
        ({"activations": 4}, "'activations' of compressor 'qat' must be 8 or 16 or None; got 4"),
        ({"layers": {"out": 3}}, "'layers' of compressor 'qat' must be 4 or 8 for each layer; got {'out': 3}"),
        ({"max_drop": 0.1}, "'max_drop' of compressor 'qat' must be None where bits is 8"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "qat", **params)


def test_layers_have_bits_of_their_own():
    model = dense(units=128)
    kernels = chosen(model, Settings(bits=4, activations=None, layers={"hidden": 8}))
    assert [kernel.grid.bits for kernel in kernels] == [8, 4]
    assert [each.layer.name for each in chosen(model, Settings(exclude=("out",)))] == ["hidden"]
    with pytest.raises(tfkit.ModelError, match=r"'hiden'.*did you mean 'hidden'"):
        chosen(model, Settings(layers={"hiden": 4}))


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.inner = layers.Dense(10, activation="softmax")

    def call(self, inputs):
        return self.inner(inputs)


def test_a_subclassed_model_has_quantized_weights_and_no_activations():
    keras.utils.set_random_seed(0)
    model = Own()
    model.compile(keras.optimizers.Adam(1e-2), SOFT, metrics=["accuracy"])
    flat = X[:512].reshape(-1, 64), Y[:512]
    model.fit(*flat, verbose=0)
    with pytest.raises(tfkit.ModelError, match=r"'own' is a subclassed model.*activations=None"):
        model.fit(*flat, verbose=0, callbacks=[tfkit.callback("compressor", "qat")])
    assert "call" not in vars(model)
    model.fit(*flat, epochs=3, verbose=0, callbacks=[tfkit.callback("compressor", "qat", activations=None)])
    kernel = model.inner.kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_models_without_kernels_or_quantized_already_are_refused(tmp_path):
    nothing = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    with pytest.raises(tfkit.ModelError, match=r"nothing to quantize.*its trainable variables are: none"):
        Qat().compress(nothing, tfkit.Data((np.ones((4, 4)), np.ones(4))), epochs=0, directory=tmp_path)
    model = dense()
    model.quantize("int8")
    with pytest.raises(tfkit.ModelError, match=r"is quantized by Keras already \(hidden, out\)"):
        chosen(model, Settings())
    with pytest.raises(tfkit.ModelError, match="is not built"):
        chosen(keras.Sequential([layers.Dense(2)]), Settings())
