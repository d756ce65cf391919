"""The gRPC server over a core of servables that need no TensorFlow, asked by messages of our own."""

import asyncio
import subprocess

import grpc
import numpy as np
import pytest

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol import messages
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.tensors import to_array, to_proto
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.rpc.server import create_grpc_server
from tfkit_serving.servables.signature import Signature
from tfkit_serving.servables.status import VersionStatus


def signature(inputs, outputs, **defaults):
    proto = messages.SignatureDef(method_name="tensorflow/serving/predict")
    for name in inputs:
        proto.inputs[name].name, proto.inputs[name].dtype = f"{name}:0", 1
    for name in outputs:
        proto.outputs[name].name, proto.outputs[name].dtype = f"{name}:0", 1
    for name, value in defaults.items():
        proto.defaults[name].CopyFrom(to_proto(value))
    return Signature.from_bytes(proto.SerializeToString())


class Servable:
    """`serving_default` gives sums and differences of a and b, b being 10 by itself in `defaults`; `same` its input."""

    name, version = "sums", 7

    def __init__(self):
        self.cancelled = asyncio.Event()
        self.signatures = {
            "serving_default": signature("ab", ("sum", "difference")),
            "defaults": signature("ab", ("sum",), b=np.float32(10)),
            "same": signature(("x",), ("x",)),
            "slow": signature(("x",), ("x",)),
            "broken": signature(("x",), ("x",)),
            "full": signature(("x",), ("x",)),
        }

    async def run(self, signature, inputs, outputs=None):
        if signature == "broken":
            raise RuntimeError("a fault of the server")
        if signature == "full":
            raise ServingError("UNAVAILABLE", "é" * 9000)
        if signature == "slow":
            try:
                await asyncio.sleep(0.4)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if "x" in inputs:
            return dict(inputs)
        found = {"sum": inputs["a"] + inputs["b"], "difference": inputs["a"] - inputs["b"]}
        return {name: found[name] for name in outputs or self.signatures[signature].outputs}


class Core:
    """One model, sums, of version 7; `reload` takes a moment, and refuses models without a name."""

    def __init__(self):
        self.sums, self.reloaded = Servable(), None

    def servable(self, spec):
        if spec.label not in (None, "stable"):
            raise ServingError("INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.label}")
        if spec.name != "sums" or spec.version not in (None, 7):
            raise ServingError("NOT_FOUND", f"Servable not found for request: {spec}")
        return self.sums

    def status(self, name, version=None):
        if name != "sums":
            raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
        known = [VersionStatus(8, "END", "INTERNAL", "it is damaged"), VersionStatus(7, "AVAILABLE")]
        return [each for each in known if version in (None, each.version)]

    async def reload(self, config):
        await asyncio.sleep(0.1)
        if not config.model_config_list.config[0].name:
            raise ServingError("INVALID_ARGUMENT", "a model has no name")
        self.reloaded = config


METHODS = {
    "Predict": ("tensorflow.serving.PredictionService", messages.PredictResponse),
    "MultiInference": ("tensorflow.serving.PredictionService", messages.MultiInferenceResponse),
    "Classify": ("tensorflow.serving.PredictionService", messages.ClassificationResponse),
    "GetModelMetadata": ("tensorflow.serving.PredictionService", messages.GetModelMetadataResponse),
    "PredictStreamed": ("tensorflow.serving.PredictionService", messages.PredictResponse),
    "SessionRun": ("tensorflow.serving.SessionService", messages.PredictResponse),
    "GetModelStatus": ("tensorflow.serving.ModelService", messages.GetModelStatusResponse),
    "HandleReloadConfigRequest": ("tensorflow.serving.ModelService", messages.ReloadConfigResponse),
    "Check": ("grpc.health.v1.Health", messages.HealthCheckResponse),
}


class Session:
    """A server and a channel to it."""

    def __init__(self, core, server, channel):
        self.core, self.server, self.channel = core, server, channel

    async def call(self, method, request, timeout=10):
        """The response; an error as (code, text)."""
        service, response = METHODS[method]
        wire = request if isinstance(request, bytes) else request.SerializeToString()
        ask = self.channel.unary_unary(f"/{service}/{method}", response_deserializer=response.FromString)
        try:
            return await ask(wire, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()

    async def predict(self, inputs, *, outputs=(), timeout=10, **spec):
        request = messages.PredictRequest(model_spec={"name": "sums", **spec}, output_filter=outputs)
        for name, value in inputs.items():
            proto = value if isinstance(value, messages.TensorProto) else to_proto(value)
            request.inputs[name].CopyFrom(proto)
        return await self.call("Predict", request, timeout)


def asked(work, options=None, credentials=None, grace=0):
    """Runs a coroutine function against a server of its own and a channel to it."""

    async def main():
        core = Core()
        server, port = create_grpc_server(core, "127.0.0.1:0", options or RpcOptions())
        await server.start()
        target = f"localhost:{port}"
        channel = grpc.aio.secure_channel(target, credentials) if credentials else grpc.aio.insecure_channel(target)
        try:
            async with channel:
                return await work(Session(core, server, channel))
        finally:
            await server.stop(grace)

    return asyncio.run(main())


AB = {"a": np.float32([5, 7]), "b": np.float32([1, 2])}


def outputs_of(response):
    return {name: to_array(each).tolist() for name, each in response.outputs.items()}


def test_predict():
    async def work(session):
        response = await session.predict(AB)
        assert outputs_of(response) == {"sum": [6, 9], "difference": [4, 5]}
        assert list(response.outputs["sum"].float_val) == [6, 9]
        spec = response.model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("sums", 7, "serving_default")
        assert outputs_of(await session.predict(AB, outputs=["difference"])) == {"difference": [4, 5]}
        assert outputs_of(await session.predict({"a": np.float32(1)}, signature_name="defaults")) == {"sum": 11}
        labelled = await session.predict(AB, version_label="stable")
        assert (labelled.model_spec.WhichOneof("version_choice"), labelled.model_spec.version.value) == ("version", 7)

    asked(work)


X = np.float32([1])
REFUSED = [
    ({"name": "nope"}, AB, (), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
    ({"version": {"value": 99}}, AB, (), "NOT_FOUND", "Servable not found for request: Specific(sums, 99)"),
    ({"version_label": "x"}, AB, (), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
    ({"name": ""}, AB, (), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ({"signature_name": "no"}, AB, (), "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
    (
        {}, {"a": X, "b": X, "c": X}, (), "INVALID_ARGUMENT",
        "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). Sent extra: {c}. "
        "Missing but required: {}.",
    ),
    (
        {}, {"c": X}, (), "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({c}) != len({a,b}). Sent extra: {c}. "
        "Missing but required: {a,b}.",
    ),
    (
        {}, {"a": X, "c": X}, (), "INVALID_ARGUMENT",
        "Signature input alias: b(feed name: b:0) not found in request and no default value provided. Inputs expected "
        "to be in the request {a,c}, or default input alias set: ",
    ),
    (
        {"signature_name": "defaults"}, {"a": X, "c": X}, (), "INVALID_ARGUMENT",
        "Inputs contains invalid name. Used request inputs: a, request input: a,c",
    ),
    (
        {}, AB, ["sum", "no"], "INVALID_ARGUMENT",
        "output tensor alias not found in signature: no Outputs expected to be in the set {difference,sum}.",
    ),
    ({}, AB, ["sum", "sum"], "INVALID_ARGUMENT", "duplicate output tensor alias: sum"),
    (
        {}, {"a": X, "b": messages.TensorProto(dtype=1, tensor_content=b"12345")}, (), "INVALID_ARGUMENT",
        "tensor parsing error: b: a DT_FLOAT tensor cannot be read: tensor_content of 5 bytes for shape []",
    ),
    ({"signature_name": "broken"}, {"x": X}, (), "INTERNAL", "RuntimeError while answering; see the server's log"),
]  # fmt: skip


def test_refusals():
    async def work(session):
        for spec, inputs, outputs, code, said in REFUSED:
            assert await session.predict(inputs, outputs=outputs, **spec) == (code, said)
        assert await session.call("Predict", b"") == ("INVALID_ARGUMENT", "Missing ModelSpec")
        said = "the request's 2 bytes are no tensorflow.serving.PredictRequest"
        assert await session.call("Predict", b"\xff\xff") == ("INVALID_ARGUMENT", said)
        assert (await session.call("PredictStreamed", b""))[0] == "UNIMPLEMENTED"
        assert (await session.call("SessionRun", b""))[0] == "UNIMPLEMENTED"
        assert await session.call("MultiInference", b"") == ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        none = messages.ClassificationRequest(model_spec={"name": "sums", "signature_name": "no"})
        said = "No signature was found with the name: no"
        assert await session.call("Classify", none) == ("INVALID_ARGUMENT", said)

    asked(work)


def test_a_long_error_reaches_the_client():
    async def work(session):
        code, said = await session.predict({"x": X}, signature_name="full")
        assert (code, set(said[:-3]), said[-3:]) == ("UNAVAILABLE", {"é"}, "...")
        assert 1000 < len(said) < 4096

    asked(work)


def test_a_deadline_ends_the_call():
    async def work(session):
        assert await session.predict({"x": X}, signature_name="slow", timeout=0.1) == (
            "DEADLINE_EXCEEDED",
            "Deadline Exceeded",
        )
        await asyncio.wait_for(session.core.sums.cancelled.wait(), 5)

    asked(work)


def test_metadata():
    async def work(session):
        request = messages.GetModelMetadataRequest(model_spec={"name": "sums"}, metadata_field=["signature_def"])
        response = await session.call("GetModelMetadata", request)
        assert (response.model_spec.name, response.model_spec.version.value) == ("sums", 7)
        packed = response.metadata["signature_def"]
        assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        found = messages.SignatureDefMap.FromString(packed.value).signature_def
        assert {name: sorted(each.inputs) for name, each in found.items()}["defaults"] == ["a", "b"]
        refused = [
            (messages.GetModelMetadataRequest(), "Missing ModelSpec"),
            (
                messages.GetModelMetadataRequest(model_spec={"name": "sums"}),
                "GetModelMetadataRequest must specify at least one metadata_field",
            ),
        ]
        for wrong, said in refused:
            assert await session.call("GetModelMetadata", wrong) == ("INVALID_ARGUMENT", said)
        request.metadata_field.append("sizes")
        code, said = await session.call("GetModelMetadata", request)
        assert (code, said) == ("INVALID_ARGUMENT", "Metadata field sizes is not supported")

    asked(work)


def test_status():
    async def work(session):
        request = messages.GetModelStatusRequest(model_spec={"name": "sums", "version_label": "ignored"})
        ended, available = (await session.call("GetModelStatus", request)).model_version_status
        assert (ended.version, ended.state, ended.status.error_code) == (8, 50, 13)
        assert ended.status.error_message == "it is damaged"
        assert (available.version, available.state, available.status.error_code) == (7, 30, 0)
        request.model_spec.version.value = 7
        (found,) = (await session.call("GetModelStatus", request)).model_version_status
        assert found == available
        request.model_spec.name = "no"
        said = "Could not find any versions of model no"
        assert await session.call("GetModelStatus", request) == ("NOT_FOUND", said)
        assert await session.call("GetModelStatus", b"") == ("INVALID_ARGUMENT", "Missing ModelSpec")

    asked(work)


def config(name):
    return messages.ReloadConfigRequest(config={"model_config_list": {"config": [{"name": name}]}})


def test_reload():
    async def work(session):
        response = await session.call("HandleReloadConfigRequest", config("other"))
        assert response.HasField("status")
        assert response.status.error_code == 0
        assert session.core.reloaded == config("other").config
        refused = await session.call("HandleReloadConfigRequest", config(""))
        assert refused == ("INVALID_ARGUMENT", "a model has no name")
        code, said = await session.call("HandleReloadConfigRequest", messages.ReloadConfigRequest())
        assert (code, said.partition(".")[0]) == (
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest",
        )

    asked(work)


def test_a_reload_ends_though_its_client_has_gone():
    async def work(session):
        code, _ = await session.call("HandleReloadConfigRequest", config("other"), timeout=0.03)
        assert (code, session.core.reloaded) == ("DEADLINE_EXCEEDED", None)
        await asyncio.sleep(0.3)
        assert session.core.reloaded == config("other").config

    asked(work)


def test_many_clients_at_once_are_all_answered():
    async def work(session):
        answers = await asyncio.gather(
            *(session.predict({"x": np.float32([n])}, signature_name="slow") for n in range(200))
        )
        assert [outputs_of(each) for each in answers] == [{"x": [n]} for n in range(200)]

    asked(work)


def test_large_tensors():
    array = np.random.default_rng(0).random((3, 1 << 20), np.float32)

    async def work(session):
        response = await session.predict({"x": array}, signature_name="same")
        np.testing.assert_array_equal(to_array(response.outputs["x"]), array)

    grown = [("grpc.max_receive_message_length", -1)]

    async def main():
        core = Core()
        server, port = create_grpc_server(core, "127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=grown) as channel:
            await work(Session(core, server, channel))
        await server.stop(0)

    asyncio.run(main())


def test_requests_in_flight_finish_when_it_stops():
    async def work(session):
        answer = asyncio.create_task(session.predict({"x": X}, signature_name="slow"))
        await asyncio.sleep(0.1)
        await session.server.stop(5)
        assert outputs_of(await answer) == {"x": [1]}
        assert (await session.predict({"x": X}, timeout=1))[0] in ("UNAVAILABLE", "DEADLINE_EXCEEDED")

    asked(work)


def test_metrics():
    def counted():
        metrics = METRICS.render()
        wanted = ("sums", "metrics-only")
        return [line for line in metrics.splitlines() if any(f'"{each}"' in line for each in wanted)]

    def value(start):
        return sum(float(line.rpartition(" ")[2]) for line in counted() if line.startswith(start))

    ok, bad = (f':tensorflow:serving:request_count{{model_name="{m}",status="{s}"}}' for m, s in (
        ("sums", "OK"), ("metrics-only", "NOT_FOUND")))  # fmt: skip
    latency = ':tensorflow:serving:request_latency_count{model_name="sums",API="Predict",entrypoint="GRPC"}'
    runtime = ':tensorflow:serving:runtime_latency_count{model_name="sums",API="Predict",runtime="TF1"}'
    ours = 'tfkit_serving_requests_total{model="sums",version="7",signature="serving_default",code="OK"}'
    names = (ok, bad, latency, runtime, ours)
    before = [value(each) for each in names]

    async def work(session):
        await session.predict(AB)
        await session.predict(AB, name="metrics-only")

    asked(work)
    assert [value(each) - start for each, start in zip(names, before)] == [1, 1, 1, 1, 1]


def test_health():
    async def work(session):
        for service in ("", "tensorflow.serving.PredictionService", "ModelService"):
            response = await session.call("Check", messages.HealthCheckRequest(service=service))
            assert response.status == 1
        unknown = await session.call("Check", messages.HealthCheckRequest(service="other"))
        assert unknown == ("NOT_FOUND", "there is no service 'other' here")
        watch = session.channel.unary_stream(
            "/grpc.health.v1.Health/Watch", response_deserializer=messages.HealthCheckResponse.FromString
        )(b"")
        assert (await watch.read()).status == 1
        stop = asyncio.create_task(session.server.stop(20))
        assert (await watch.read()).status == 2
        assert await watch.read() is grpc.aio.EOF
        await asyncio.wait_for(stop, 5)

    asked(work, RpcOptions(health=True))


def test_no_health_unless_asked_for():
    async def work(session):
        assert (await session.call("Check", b""))[0] == "UNIMPLEMENTED"

    asked(work)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate of localhost, signed by itself, and a pair of another authority."""
    folder = tmp_path_factory.mktemp("tls")

    def make(name):
        key, cert = folder / f"{name}.key", folder / f"{name}.crt"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
        return key.read_bytes(), cert.read_bytes()

    return make("localhost"), make("client")


def test_tls(certificate):
    (key, cert), _ = certificate

    async def work(session):
        assert outputs_of(await session.predict(AB))["sum"] == [6, 9]

    async def refused(session):
        assert (await session.predict(AB, timeout=5))[0] == "UNAVAILABLE"

    options = RpcOptions(ssl_key=key, ssl_certificate=cert)
    asked(work, options, grpc.ssl_channel_credentials(cert))
    asked(refused, options)


def test_clients_with_certificates(certificate):
    (key, cert), (client_key, client_cert) = certificate
    options = RpcOptions(ssl_key=key, ssl_certificate=cert, ssl_client_ca=client_cert, ssl_require_client=True)

    async def work(session):
        assert outputs_of(await session.predict(AB))["sum"] == [6, 9]

    async def refused(session):
        assert (await session.predict(AB, timeout=5))[0] == "UNAVAILABLE"

    asked(work, options, grpc.ssl_channel_credentials(cert, client_key, client_cert))
    asked(refused, options, grpc.ssl_channel_credentials(cert))


def test_what_cannot_be_listened_on(certificate):
    (key, _), _ = certificate

    async def main():
        with pytest.raises(ServingError, match="server_cert is missing") as caught:
            create_grpc_server(Core(), "127.0.0.1:0", RpcOptions(ssl_key=key))
        assert caught.value.code == "INVALID_ARGUMENT"
        with pytest.raises(ServingError, match="gRPC could not listen on"):
            create_grpc_server(Core(), "127.0.0.1:0", RpcOptions(ssl_key=b"no", ssl_certificate=b"none"))
        server, port = create_grpc_server(Core(), "127.0.0.1:0")
        await server.start()
        with pytest.raises(ServingError, match="is the port in use"):
            create_grpc_server(Core(), f"127.0.0.1:{port}")
        await server.stop(0)

    asyncio.run(main())
