"""API keys over gRPC."""

import hashlib

import grpc
import numpy as np
import pytest
from rpc_session import AB, METHODS, Core, asked, outputs_of

from tfkit_serving.access import Gate, Key, KeyRing
from tfkit_serving.protocol import messages
from tfkit_serving.protocol.tensors import to_proto
from tfkit_serving.rpc.options import RpcOptions

WEB, ALL = (("authorization", "Bearer web-key"),), (("x-api-key", "all-key"),)
METHODS.setdefault("Profile", ("tensorflow.ProfilerService", messages.ProfileResponse))
NEEDED = ("UNAUTHENTICATED", "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY")
FORBIDDEN = ("PERMISSION_DENIED", "the key 'web' does not open 'other'")


def gate(rate=None, models=("sums",), reasons=None):
    keys = [("web", "web-key", rate, frozenset(models)), ("all", "all-key", None, frozenset())]
    ring = KeyRing(Key(name, hashlib.sha256(key.encode()).hexdigest(), *rest) for name, key, *rest in keys)
    return Gate(ring, ([] if reasons is None else reasons).append, clock=lambda: 0.0)


def predict(model="sums", inputs=AB):
    request = messages.PredictRequest(model_spec={"name": model})
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(to_proto(value))
    return request


def multi_inference(*models):
    tasks = [{"model_spec": {"name": each}, "method_name": "tensorflow/serving/classify"} for each in models]
    return messages.MultiInferenceRequest(tasks=tasks)


def of(message, model, **others):
    return message(model_spec={"name": model}, **others)


def reload():
    return messages.ReloadConfigRequest(config={"model_config_list": {"config": [{"name": "new"}]}})


def requests(model):
    """A request of each method that names a model."""
    return {
        "Predict": predict(model),
        "Classify": of(messages.ClassificationRequest, model),
        "MultiInference": multi_inference(model),
        "GetModelMetadata": of(messages.GetModelMetadataRequest, model, metadata_field=["signature_def"]),
        "GetModelStatus": of(messages.GetModelStatusRequest, model),
    }


def test_every_method_but_health_takes_a_key():
    reasons = []

    async def work(session):
        known = {**requests("sums"), "HandleReloadConfigRequest": reload(), "Profile": messages.ProfileRequest()}
        for method, request in {**known, "SessionRun": b"", "PredictStreamed": b""}.items():
            assert await session.call(method, request) == NEEDED
            wrong = await session.call(method, request, metadata=(("authorization", "Bearer web-kez"),))
            assert wrong == ("UNAUTHENTICATED", "the API key is not known")
        assert (await session.call("Check", messages.HealthCheckRequest())).status == 1
        watch = session.channel.unary_stream(
            "/grpc.health.v1.Health/Watch", response_deserializer=messages.HealthCheckResponse.FromString
        )(b"")
        assert (await watch.read()).status == 1
        assert session.core.reloaded is None

    asked(work, RpcOptions(health=True, profiler=True), gate=gate(reasons=reasons))
    assert reasons == ["no key", "unknown key"] * 9


def test_a_key_opens_its_models():
    async def work(session):
        assert outputs_of(await session.call("Predict", predict(), metadata=WEB))["sum"] == [6, 9]
        status = await session.call("GetModelStatus", requests("sums")["GetModelStatus"], metadata=WEB)
        assert [each.version for each in status.model_version_status] == [8, 7]
        for method, request in requests("other").items():
            assert await session.call(method, request, metadata=WEB) == FORBIDDEN
            assert (await session.call(method, request, metadata=ALL))[0] == "NOT_FOUND"

    asked(work, gate=gate())


def test_models_beside_the_first_of_a_multi_inference_are_never_reached():
    async def work(session):
        found = await session.call("MultiInference", multi_inference("sums", "other"), metadata=WEB)
        assert found[0] in ("INVALID_ARGUMENT", "PERMISSION_DENIED")
        assert await session.call("MultiInference", multi_inference("other", "sums"), metadata=WEB) == FORBIDDEN

    asked(work, gate=gate())


def test_what_concerns_all_models_takes_a_key_that_opens_all():
    async def work(session):
        for method, request in (("HandleReloadConfigRequest", reload()), ("Profile", messages.ProfileRequest())):
            code, text = await session.call(method, request, metadata=WEB)
            assert (code, text) == (
                "PERMISSION_DENIED",
                "the key 'web' is bound to sums; this takes one that opens all",
            )
        assert session.core.reloaded is None
        response = await session.call("HandleReloadConfigRequest", reload(), metadata=ALL)
        assert response.status.error_code == 0
        assert session.core.reloaded.model_config_list.config[0].name == "new"

    asked(work, RpcOptions(profiler=True), gate=gate())


def test_beyond_its_rate_a_key_waits():
    async def work(session):
        found = [await session.call("Predict", predict(), metadata=WEB) for _ in range(3)]
        assert [outputs_of(each)["sum"] for each in found[:2]] == [[6, 9]] * 2
        assert found[2] == ("RESOURCE_EXHAUSTED", "the key 'web' may send 2 requests a second")
        assert outputs_of(await session.call("Predict", predict(), metadata=ALL))["sum"] == [6, 9]

    asked(work, gate=gate(rate=2.0))


def test_a_long_message_is_no_way_around():
    """It is read by another process, which asks for the model of its own accord."""
    large = {name: np.zeros(1 << 18, np.float32) for name in "ab"}

    async def work(session):
        assert (await session.call("Predict", predict(inputs=large)))[0] == "UNAUTHENTICATED"
        assert await session.call("Predict", predict("other", large), timeout=60, metadata=WEB) == FORBIDDEN
        response = await session.call("Predict", predict(inputs=large), timeout=60, metadata=WEB)
        assert response.model_spec.version.value == 7

    asked(work, gate=gate())


@pytest.mark.parametrize("key", ["k" * 6000, " ", "web-key web-key", "Bearer web-key"])
def test_odd_keys_are_unknown(key):
    async def work(session):
        assert (await session.call("Predict", predict(), metadata=(("x-api-key", key),)))[0] == "UNAUTHENTICATED"

    asked(work, gate=gate())


def test_a_refused_message_is_not_waited_for():
    """The status comes while the client has not sent all of its message."""

    async def work(session):
        ask = session.channel.stream_unary("/tensorflow.serving.PredictionService/Predict")()
        assert await ask.code() is grpc.StatusCode.UNAUTHENTICATED

    asked(work, gate=gate(), core=Core())
