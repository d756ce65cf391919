"""Version folders with a `tfkit.json` alone, which is all that a gateway reads of a model."""

import asyncio
import json
import socket
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from tfkit.formats.profile import take_profile
from tfkit_serving.gateway.app import create_gateway
from tfkit_serving.gateway.catalog import Catalog
from tfkit_serving.gateway.logs import RequestLog
from tfkit_serving.gateway.options import GatewayOptions
from tfkit_serving.gateway.task import read_tasks
from tfkit_serving.protocol.errors import ServingError


def sidecar(inputs, outputs, **more):
    """What `tfkit.json` holds; inputs and outputs as (name, dtype, shape)."""
    keys = ("name", "dtype", "shape")
    signature = {
        "inputs": [dict(zip(keys, each)) for each in inputs],
        "outputs": [dict(zip(keys, each)) for each in outputs],
    }
    return {"format": "saved-model", "files": {}, "created": "2026-01-01", "signature": signature, **more}


def write(directory, model, version, content):
    folder = directory / model / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tfkit.json").write_text(content if isinstance(content, str) else json.dumps(content))


def price_profile():
    """Places are standard normal, of one room each; the price is their sum."""
    place = np.random.default_rng(0).normal(size=(4000, 2)).astype("float32")
    return take_profile({"place": place}, {"price": place.sum(1, keepdims=True)}, task="regression")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Six models, three of which can be tasks."""
    directory = tmp_path_factory.mktemp("models")
    text, score = ("text", "string", [None, 1]), ("score", "float32", [None, 1])
    labels = {"task": "classification", "labels": ["negative", "positive"], "example": {"text": "good"}}
    write(directory, "sentiment", 9, sidecar([text], [score], **{**labels, "labels": ["bad", "good"]}))
    write(directory, "sentiment", 10, sidecar([text], [score], **labels))
    rooms = ("rooms", "int32", [None]), ("place", "float32", [None, 2])
    more = {"task": "regression", "profile": price_profile()}
    write(directory, "price", 1, sidecar(rooms, [("price", "float32", [None, 1])], **more))
    write(directory, "embed", 1, sidecar([text], [("vector", "float32", [None, 3]), ("n", "int64", [None])]))
    write(directory, "docs", 1, sidecar([text], [score]))
    write(directory, "wave", 1, sidecar([("wave", "complex64", [None, 4])], [score]))
    write(directory, "broken", 1, "{")
    return directory


@pytest.fixture(scope="session")
def write_sidecar():
    """Writes a version folder's `tfkit.json`; inputs and outputs as (name, dtype, shape)."""
    return lambda directory, model, version, *tensors, **more: write(
        directory, model, version, sidecar(*tensors, **more)
    )


@pytest.fixture
def free_port():
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class FakeServer:
    """A model server's client that computes in Python: the share of letters that are "o", and rooms · (x + y)."""

    def __init__(self):
        self.labels = {"stable": 9, "canary": 10}
        self.versions = {9, 10}
        self.calls = []
        self.error = None
        self.delay = 0.0
        self.closed = False

    async def metadata(self, model, version=None, label=None):
        if self.error:
            raise self.error
        if label is not None and label not in self.labels:
            raise ServingError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        return SimpleNamespace(version=self.labels[label] if label else max(self.versions))

    async def predict(self, model, inputs, version=None, label=None):
        self.calls.append((model, version, {name: array.copy() for name, array in inputs.items()}))
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        if version not in self.versions:
            raise ServingError("NOT_FOUND", f"Servable not found for request: Specific({model}, {version})")
        if model == "price":
            return (inputs["rooms"] * inputs["place"].sum(1)).astype("float32")[:, None]
        texts = [bytes(each[0]) for each in inputs["text"]]
        shares = np.array([[text.count(b"o") / len(text)] for text in texts], "float32")
        if model == "embed":
            return {"vector": np.repeat(shares, 3, axis=1), "n": np.array([len(text) for text in texts])}
        return shares if version == 10 else 1 - shares

    async def close(self):
        self.closed = True


class Gateway:
    """A gateway over a fake server, asked in process."""

    def __init__(self, models, **options):
        self.server = FakeServer()
        self.lines = []
        log = RequestLog(SimpleNamespace(write=self.lines.append, flush=lambda: None))
        catalog = Catalog(read_tasks(models)[0], models)
        self.application = create_gateway(catalog, self.server, GatewayOptions(**options), log)
        self.loop = asyncio.new_event_loop()

    def ask(self, method, path, **more):
        return self.together((method, path, more))[0]

    def together(self, *requests):
        return self.loop.run_until_complete(self._ask(requests))

    def post(self, path, body, **more):
        return self.ask("POST", path, json=body, **more)

    def rest(self, seconds=0.05):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def metric(self, name, **labels):
        """The value of a line of /metrics, None without one."""
        for line in self.ask("GET", "/metrics").text.splitlines():
            if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rpartition(" ")[2])
        return None

    async def _ask(self, requests):
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await asyncio.gather(*(client.request(method, path, **more) for method, path, more in requests))


@pytest.fixture
def gateway(models):
    """Makes gateways over fake servers."""
    made = []

    def make(**options):
        made.append(Gateway(models, **options))
        return made[-1]

    yield make
    for each in made:
        each.loop.close()
