"""What keeps a server from serving a SavedModel, or REST from carrying its answers."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfkit
from tfkit.formats.named_model import NamedModel
from tfkit_exporters.examination import examine
from tfkit_exporters.saved_model import SavedModelExporter
from tfkit_serving.servables.warmup import FILE

ROWS = {"pixels": np.ones((3, 4), "float32")}


def records(folder):
    return list(tf.data.TFRecordDataset(str(folder / FILE)).as_numpy_iterator())


def rewrite(folder, contents):
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for each in contents:
            writer.write(each)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    model = keras.Sequential([keras.Input((4,), name="pixels"), layers.Dense(1, "sigmoid", name="positive")])
    SavedModelExporter().write(NamedModel(model), folder, ROWS)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "1")


def test_a_good_one_has_no_advice(folder):
    assert examine(folder) == []


def test_a_damaged_warm_up_file(folder):
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-7])
    with pytest.raises(tfkit.VerificationError, match="tf_serving_warmup_requests' is damaged"):
        examine(folder)


def test_one_record_too_many(folder):
    rewrite(folder, records(folder)[-1:] * 1001)
    with pytest.raises(
        tfkit.VerificationError, match=r"would refuse the version: Number of warmup records exceeds .*1000"
    ):
        examine(folder)


def test_a_record_that_fails_is_named(folder):
    from tensorflow_serving.apis import prediction_log_pb2

    bad = prediction_log_pb2.PredictionLog()
    bad.predict_log.request.inputs["pixels"].CopyFrom(tf.make_tensor_proto(np.ones((1, 5), "float32")))
    kept = records(folder)
    rewrite(folder, [*kept, bad.SerializeToString()])
    words = rf"would refuse the version: the warm-up request {len(kept) + 1} of .* failed: Matrix size-incompatible"
    with pytest.raises(tfkit.VerificationError, match=words):
        examine(folder)
    bad.predict_log.request.model_spec.signature_name = "nosuch"
    rewrite(folder, [bad.SerializeToString()])
    with pytest.raises(tfkit.VerificationError, match='Serving signature key "nosuch" not found'):
        examine(folder)
    rewrite(folder, [prediction_log_pb2.PredictionLog().SerializeToString()])
    with pytest.raises(tfkit.VerificationError, match="Unsupported log_type for warmup: none"):
        examine(folder)


def test_every_kind_of_record_is_run(folder):
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    task = request.tasks.add(method_name="tensorflow/serving/classify")
    task.model_spec.name, task.model_spec.signature_name = "m", "classify"
    example = request.input.example_list.examples.add()
    example.features.feature["pixels"].float_list.value.extend([1, 2, 3, 4])
    rewrite(folder, [log.SerializeToString()])
    assert examine(folder) == []
    del example.features.feature["pixels"]
    rewrite(folder, [log.SerializeToString()])
    with pytest.raises(tfkit.VerificationError, match=r"warm-up request 1 .*pixels"):
        examine(folder)


def test_a_damaged_graph(folder):
    content = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(tfkit.VerificationError, match="cannot be loaded"):
        examine(folder)


def test_names_that_keras_made_up(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.export(str(tmp_path), verbose=False)
    told = examine(tmp_path)
    assert len(told) == 2
    assert "the input 'keras_tensor" in told[0]
    assert "the output 'output_0' has a name that Keras made up" in told[1]


class Odd(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float16, name="half")])
    def __call__(self, half):
        return {
            "total": tf.reduce_sum(tf.cast(half, tf.float32)),
            "constant": tf.ones((3, 1)),
            "doubled": tf.concat([half, half], axis=0),
            "short": tf.cast(half, tf.uint16),
        }


def test_what_rest_cannot_carry(tmp_path):
    odd = Odd()
    tf.saved_model.save(odd, str(tmp_path), signatures={"serving_default": odd.__call__})
    told = examine(tmp_path)
    assert [sentence.split(",")[0] for sentence in told] == [
        "the input 'half' is float16",
        "the output 'doubled' is float16",
        "the output 'short' is uint16",
        "the output 'constant' is of shape (3",
        "the output 'total' is a scalar",
        "the output 'doubled' is of shape (4",
    ]
    assert "cast it to int32 in the model, or use gRPC" in told[2]


def test_a_savedmodel_without_the_default_signature(tmp_path):
    odd = Odd()
    tf.saved_model.save(odd, str(tmp_path / "other"), signatures={"other": odd.__call__})
    told = examine(tmp_path / "other")
    assert told[0] == "there is no signature 'serving_default': clients have to name one of other"
    assert "the input 'half' of signature 'other' is float16" in told[1]
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(tfkit.VerificationError, match="has no signature"):
        examine(tmp_path / "none")
