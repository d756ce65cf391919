"""A gRPC server over a core of servables that need no TensorFlow, asked by messages of our own."""

import asyncio

import grpc
import numpy as np

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

    async def call(self, method, request, timeout=10, metadata=None):
        """The response; an error as (code, text)."""
        service, response = METHODS[method]
        wire = request if isinstance(request, bytes) else request.SerializeToString()
        ask = self.channel.unary_unary(f"/{service}/{method}", response_deserializer=response.FromString)
        try:
            return await ask(wire, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()

    async def predict(self, inputs, *, outputs=(), timeout=10, **spec):
        request = messages.PredictRequest(model_spec={"name": "sums", **spec}, output_filter=outputs)
        for name, value in inputs.items():
            proto = value if isinstance(value, messages.TensorProto) else to_proto(value)
            request.inputs[name].CopyFrom(proto)
        return await self.call("Predict", request, timeout)


def asked(work, options=None, credentials=None, grace=0, core=None, router=None, gate=None):
    """Runs a coroutine function against a server of its own and a channel to it."""

    async def main():
        served = core or Core()
        server, port = create_grpc_server(served, "127.0.0.1:0", options or RpcOptions(), router, gate=gate)
        await server.start()
        target = f"localhost:{port}"
        channel = grpc.aio.secure_channel(target, credentials) if credentials else grpc.aio.insecure_channel(target)
        try:
            async with channel:
                return await work(Session(served, server, channel))
        finally:
            await server.stop(grace)

    return asyncio.run(main())


AB = {"a": np.float32([5, 7]), "b": np.float32([1, 2])}


def outputs_of(response):
    return {name: to_array(each).tolist() for name, each in response.outputs.items()}


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
