"""A core of servables that need no TensorFlow, and a client that speaks ASGI to an application in this process."""

import asyncio
import json
from collections import namedtuple
from types import SimpleNamespace

import numpy as np

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import SignatureDef, TensorInfo
from tfkit_serving.servables.signature import Signature

DTYPES = {"float": 1, "double": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7, "int64": 9, "bool": 10,
          "uint16": 17, "half": 19, "uint32": 22, "uint64": 23}  # fmt: skip


def signature(inputs, outputs=("y",)):
    """A signature of inputs by dtype; its shapes are unknown, as tests send all kinds."""
    proto = SignatureDef(method_name="tensorflow/serving/predict")
    for name, dtype in inputs.items():
        proto.inputs[name].MergeFrom(TensorInfo(name=f"{name}:0", dtype=dtype, tensor_shape={"unknown_rank": True}))
    for name in outputs:
        proto.outputs[name].MergeFrom(TensorInfo(name=f"{name}:0", dtype=1, tensor_shape={"unknown_rank": True}))
    return Signature.from_bytes(proto.SerializeToString())


class Servable:
    """`half` gives x / 2 + 2, `id_DTYPE` what it got, `pair` both its inputs; `slow` waits, `broken` has a fault."""

    def __init__(self, name, version):
        self.name, self.version = name, version
        self.signatures = {
            "serving_default": signature({"x": 1}),
            "pair": signature({"a": 1, "b": 3}, ("a", "b")),
            "slow": signature({"x": 1}),
            "broken": signature({"x": 1}),
            "none": signature({}),
            **{f"id_{name}": signature({"x": number}) for name, number in DTYPES.items()},
            "id_bytes": signature({"x": 7}, ("x_bytes",)),
        }

    async def run(self, signature, inputs, outputs=None):
        if signature == "broken":
            raise RuntimeError("a fault of the server")
        if signature == "slow":
            await asyncio.sleep(0.3)
        if signature == "serving_default":
            return {"y": inputs["x"] / np.float32(2) + np.float32(2)}
        if signature == "pair":
            return dict(inputs)
        return {"x_bytes" if signature == "id_bytes" else "y": inputs["x"]}


class SmallCore:
    """One model, `half`, in the versions 1 and 2."""

    def __init__(self):
        self.versions = {version: Servable("half", version) for version in (1, 2)}
        self.missing = set()

    def servable(self, spec):
        if spec.label is not None:
            raise ServingError("INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.label}")
        version = max(self.versions) if spec.version is None else spec.version
        if spec.name != "half" or version not in self.versions:
            raise ServingError("NOT_FOUND", f"Servable not found for request: {spec}")
        return self.versions[version]

    def status(self, name, version=None):
        if name != "half":
            raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
        return [
            SimpleNamespace(version=each, state="AVAILABLE", code="OK", message="")
            for each in sorted(self.versions, reverse=True)
            if version in (None, each)
        ]

    def waiting(self):
        return sorted(self.missing)


Reply = namedtuple("Reply", "status headers body")


async def ask(app, method, path, body=b"", headers=(), chunks=None):
    """One request to an application; `chunks` instead of a body are sent one by one, None among them a client gone."""
    target, _, query = path.encode("latin-1").partition(b"?")
    scope = {
        "type": "http",
        "method": method,
        "raw_path": target,
        "query_string": query,
        "headers": [(name.lower().encode(), value.encode()) for name, value in dict(headers).items()],
    }
    waiting = [body] if chunks is None else list(chunks)
    sent = []

    async def receive():
        if not waiting:
            await asyncio.sleep(60)
        part = waiting.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(waiting) or chunks is not None}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return None
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], headers, bytes(sent[1]["body"]))


def asked(app, method, path, body=b"", headers=(), **others):
    """`ask` without a loop around it; a body that is not bytes is written as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return asyncio.run(ask(app, method, path, body, headers, **others))


def error_of(reply):
    """What an answer says is wrong."""
    return json.loads(reply.body.decode("utf-8", "replace"))["error"]
