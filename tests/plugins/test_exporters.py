import asyncio
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfkit
from tfkit.formats.named_model import NamedModel

WARM_UP = "assets.extra/tf_serving_warmup_requests"


@pytest.fixture
def exporter():
    return tfkit.create("exporter", "saved-model")


def text_model():
    vectorizer = layers.TextVectorization(output_mode="tf_idf")
    vectorizer.adapt(["good film", "bad film", "très bon"])
    dense = layers.Dense(2, "softmax", name="sentiment")
    return keras.Sequential([keras.Input((1,), dtype="string", name="text"), vectorizer, dense])


def dense_model():
    return keras.Sequential([keras.Input((4,), name="pixels"), layers.Dense(3, name="scores")])


def pair_model():
    b, a = keras.Input((3,), name="b"), keras.Input((2,), name="a", dtype="int32")
    joined = layers.Concatenate()([layers.BatchNormalization()(b), layers.Flatten()(layers.Embedding(5, 3)(a))])
    return keras.Model({"b": b, "a": a}, {"z": layers.Dense(2)(joined), "argmax": layers.Lambda(argmax)(joined)})


def argmax(x):
    return keras.ops.argmax(x, axis=-1)


ROWS = {
    "text": np.array([["good film"], ["très mauvais"], ["film film bad"]]),
    "dense": np.random.default_rng(0).random((3, 4), "float32"),
    "pair": {"b": np.random.default_rng(1).random((3, 3), "float32"), "a": np.array([[0, 1], [2, 3], [4, 4]], "int32")},
}
MODELS = {"text": text_model, "dense": dense_model, "pair": pair_model}


@pytest.mark.parametrize("case", MODELS)
def test_plain_tensorflow_computes_the_models_outputs(exporter, tmp_path, case):
    model = MODELS[case]()
    exporter.write(NamedModel(model), tmp_path, None)
    loaded = tf.saved_model.load(str(tmp_path))
    own = {"classify"} if case == "text" else set()  # the one that ends in a softmax
    assert set(loaded.signatures) == {"serving_default", "serve"} | own
    rows = ROWS[case] if isinstance(ROWS[case], dict) else {model.inputs[0].name: ROWS[case]}
    for count in (1, 3):
        batch = {name: tf.constant(values[:count]) for name, values in rows.items()}
        wanted = model(batch if case == "pair" else next(iter(batch.values())))
        wanted = wanted if isinstance(wanted, dict) else {model.layers[-1].name: wanted}
        for signature in (loaded.signatures["serving_default"], loaded.signatures["serve"]):
            found = signature(**batch)
            assert found.keys() == wanted.keys()
            for name in wanted:
                np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-6)
    assert not (tmp_path / WARM_UP).exists()


@pytest.mark.slow
def test_a_process_that_knows_neither_tfkit_nor_the_model_serves_text(exporter, tmp_path):
    model = text_model()
    exporter.write(NamedModel(model), tmp_path, None)
    code = f"""
import sys, tensorflow as tf
loaded = tf.saved_model.load({str(tmp_path)!r}).signatures["serving_default"]
print(loaded(text=tf.constant([["good film"], ["très mauvais"], ["film film bad"]]))["sentiment"].numpy().tolist())
assert "tfkit" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose(np.array(eval(done.stdout)), model(tf.constant(ROWS["text"])), atol=1e-6)


def test_predict_gives_arrays_by_name(exporter, tmp_path):
    model = pair_model()
    exporter.write(NamedModel(model, inputs={"b": "bee"}, outputs={"z": "zed"}), tmp_path, None)
    found = exporter.predict(tmp_path, {"bee": ROWS["pair"]["b"], "a": ROWS["pair"]["a"]})
    wanted = model(ROWS["pair"])
    np.testing.assert_allclose(found["zed"], wanted["z"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["argmax"], wanted["argmax"])


def records(folder):
    from tensorflow_serving.apis import prediction_log_pb2

    dataset = tf.data.TFRecordDataset(str(folder / WARM_UP))
    return [prediction_log_pb2.PredictionLog.FromString(each) for each in dataset.as_numpy_iterator()]


@pytest.mark.parametrize("case", ["text", "pair"])
def test_warm_up_records_hold_the_rows_and_run(exporter, tmp_path, case):
    named = NamedModel(MODELS[case]())
    rows = named.arrange(ROWS[case])
    exporter.write(named, tmp_path, rows)
    signature = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    wanted = named(rows)
    logs = [log for log in records(tmp_path) if log.HasField("predict_log")]
    assert len(logs) == 3
    for row, log in enumerate(logs):
        request = log.predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        tensors = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        assert tensors.keys() == rows.keys()
        found = signature(**{name: tf.constant(values) for name, values in tensors.items()})
        for name, values in found.items():
            np.testing.assert_allclose(values[0], wanted[name][row], rtol=1e-5, atol=1e-6)


def test_no_more_warm_up_records_than_tensorflow_serving_takes(exporter, tmp_path):
    exporter.write(NamedModel(dense_model()), tmp_path, {"pixels": np.ones((1001, 4), "float32")})
    assert len(records(tmp_path)) == 1000


def test_a_row_that_fails_is_named(exporter, tmp_path):
    number = layers.Lambda(lambda x: tf.strings.to_number(x), output_shape=(1,), dtype="float32")
    model = keras.Sequential([keras.Input((1,), dtype="string"), number])
    with pytest.raises(tfkit.VerificationError, match=r"fails on row 1 of the sample: .*two"):
        exporter.write(NamedModel(model), tmp_path, {"inputs": np.array([["1"], ["two"]], object)})


def test_warm_up_requests_are_tried_where_an_event_loop_runs(exporter, tmp_path):
    async def cell():
        exporter.write(NamedModel(dense_model()), tmp_path, {"pixels": np.ones((2, 4), "float32")})

    asyncio.run(cell())  # as a notebook runs its cells
    assert len(records(tmp_path)) == 2


@pytest.mark.nightly
def test_no_package_of_the_servers_is_needed():
    code = "import sys; sys.modules.update(dict.fromkeys(['grpc', 'orjson', 'uvicorn', 'fastapi'])); "
    code += "import tfkit; tfkit.create('exporter', 'saved-model')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_as_many_warm_up_records_as_asked_for(tmp_path):
    rows = {"text": np.array([["good film"]] * 20, object)}
    tfkit.create("exporter", "saved-model", warm_up=5).write(NamedModel(text_model()), tmp_path / "five", rows)
    logs = records(tmp_path / "five")
    assert [log.WhichOneof("log_type") for log in logs] == ["classify_log"] * 4 + ["predict_log"]
    tfkit.create("exporter", "saved-model", warm_up=0).write(NamedModel(text_model()), tmp_path / "none", rows)
    assert not (tmp_path / "none" / WARM_UP).exists()
