"""TensorFlow Serving's own client stubs against the embedded server over the recorded models."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

pytestmark = pytest.mark.serving
DTYPES = {
    tf.bool, tf.bfloat16, tf.float16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8,
    tf.uint16, tf.uint32, tf.uint64, tf.complex64, tf.string,
}  # fmt: skip


@pytest.fixture(scope="module")
def channel(recorded_server):
    with grpc.insecure_channel(f"127.0.0.1:{recorded_server.grpc_port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict(stub, model, signature="", outputs=(), timeout=20, **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return stub.Predict(request, timeout=timeout)


def refused(work, *arguments, **more):
    with pytest.raises(grpc.RpcError) as caught:
        work(*arguments, **more)
    return caught.value.code().name, caught.value.details()


def examples(*rows):
    found = []
    for row in rows:
        feature = {name: tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for name, value in row.items()}
        found.append(tf.train.Example(features=tf.train.Features(feature=feature)))
    return found


def test_predict(prediction):
    response = predict(prediction, "hp2", x=np.float32([[1], [2]]))
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [[2.5], [3]]
    assert list(response.outputs["y"].float_val) == [2.5, 3]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("hp2", 124, "serving_default")


def test_a_text_model_takes_strings(prediction):
    signature = next(iter(metadata(prediction, "text")["serving_default"].inputs))
    assert predict(prediction, "text", **{signature: np.array([[b"good movie"]])}).outputs
    assert refused(predict, prediction, "text", **{signature: np.float32([[1]])}) == (
        "INVALID_ARGUMENT",
        "Expects arg[0] to be string but float is provided",
    )


def metadata(stub, model):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model
    packed = stub.GetModelMetadata(request, timeout=20).metadata["signature_def"]
    found = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(found)
    return found.signature_def


@pytest.mark.parametrize("shape", [(), (2,), (1, 0, 3), (40, 5)], ids=str)
def test_every_dtype_there_and_back(prediction, shape):
    """The dtypes model's signatures give back what they get; REST cannot say all of them."""
    seen = set()
    for key, signature in metadata(prediction, "dtypes").items():
        if not key.startswith("id_"):
            continue
        dtype = tf.dtypes.as_dtype(signature.inputs["x"].dtype)
        values = np.random.default_rng(0).integers(0, 2, shape)
        array = np.array(values.astype("S1"), object) if dtype == tf.string else values.astype(dtype.as_numpy_dtype)
        output = predict(prediction, "dtypes", key, x=array).outputs["y"]
        assert (output.dtype, output.tensor_content) == (dtype.as_datatype_enum, b"")
        np.testing.assert_array_equal(tf.make_ndarray(output), array, strict=dtype != tf.string)
        seen.add(dtype)
    assert seen == DTYPES


def test_output_filter(prediction):
    inputs = {"feat_a": np.ones((2, 4), np.float32), "feat_b": np.ones((2, 3), np.int32)}
    whole = predict(prediction, "multi_dict", **inputs).outputs
    assert sorted(whole) == ["aux", "score"]
    assert dict(predict(prediction, "multi_dict", outputs=["aux"], **inputs).outputs) == {"aux": whole["aux"]}
    assert refused(predict, prediction, "multi_dict", outputs=["no"], **inputs) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: no Outputs expected to be in the set {aux,score}.",
    )


def test_refusals(prediction):
    x = np.float32([[1]])
    assert refused(predict, prediction, "nope", x=x) == (
        "NOT_FOUND",
        "Servable not found for request: Latest(nope)",
    )
    assert refused(predict, prediction, "hp2", "nosuch", x=x) == (
        "FAILED_PRECONDITION",
        'Serving signature key "nosuch" not found.',
    )
    assert refused(predict, prediction, "hp2", x=x.astype(np.float64)) == (
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but double is provided",
    )
    code, text = refused(predict, prediction, "mlp", keras_tensor=np.zeros((1, 31), np.float32))
    assert (code, text.partition(": In[0]: [1,31]")[0]) == ("INVALID_ARGUMENT", "Matrix size-incompatible")


def test_examples(prediction):
    rows = examples({"x": 20.0}, {"x": 10.0})
    classified = classification_pb2.ClassificationRequest()
    classified.model_spec.name, classified.model_spec.signature_name = "hp2", "classify_x_to_y"
    classified.input.example_list.examples.extend(rows)
    response = prediction.Classify(classified, timeout=20)
    assert [[each.score for each in row.classes] for row in response.result.classifications] == [[12], [7]]
    assert response.model_spec.version.value == 124
    regressed = regression_pb2.RegressionRequest()
    regressed.model_spec.name, regressed.model_spec.signature_name = "hp2", "regress_x_to_y2"
    regressed.input.example_list_with_context.examples.extend(examples({}, {"x": 4.0}))
    regressed.input.example_list_with_context.context.CopyFrom(examples({"x": 1.0})[0])
    result = prediction.Regress(regressed, timeout=20).result
    assert [each.value for each in result.regressions] == [3.5, 5]


def test_multi_inference(prediction):
    request = inference_pb2.MultiInferenceRequest()
    for method, signature in (("regress", "regress_x_to_y"), ("classify", "classify_x_to_y")):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "hp2", signature
    request.input.example_list.examples.extend(examples({"x": 20.0}))
    first, second = prediction.MultiInference(request, timeout=20).results
    assert first.regression_result.regressions[0].value == 12
    assert second.classification_result.classifications[0].classes[0].score == 12
    assert (second.model_spec.signature_name, second.model_spec.version.value) == ("classify_x_to_y", 124)


def test_status(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "hp2"
    found = models.GetModelStatus(request, timeout=20).model_version_status
    assert [(each.version, each.state, each.status.error_code) for each in found] == [(124, 30, 0), (123, 30, 0)]


def test_a_reload_that_cannot_be_changes_nothing(models, prediction):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="other", base_path="/nonexistent/other", model_platform="tensorflow"
    )
    code, text = refused(models.HandleReloadConfigRequest, request, timeout=15)
    assert (code, "/nonexistent/other" in text) == ("NOT_FOUND", True)
    assert predict(prediction, "hp2", x=np.float32([[1]])).outputs
