"""The server under load: its address from a URL, and requests made from what its model's metadata says it takes."""

from __future__ import annotations

import base64
import http.client
import json
import random
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_DEFAULT_SIGNATURE = "serving_default"
_OTHER_OPEN = 4  # what an open dimension beyond the first becomes
_WORDS = ("good", "bad", "long", "short", "film", "day", "light", "plain")
_VERB = ":predict"

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Target:
    """A model on a server.

    Attributes:
        transport: "rest" or "grpc".
        host: The server's host.
        port: Its port.
        tls: Whether it speaks TLS.
        model: The model's name.
        path: The URL's path to the model (or version, or label), such as "/v1/models/digits"; "" for gRPC.
    """

    transport: str
    host: str
    port: int
    tls: bool
    model: str
    path: str

    @property
    def address(self) -> str:
        """The URL that requests go to."""
        if self.transport == "grpc":
            return f"grpc://{self.host}:{self.port}/{self.model}"
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.path}{_VERB}"

    @property
    def call(self) -> str:
        """The path of a REST call, or the full name of the gRPC method."""
        return "/tensorflow.serving.PredictionService/Predict" if self.transport == "grpc" else self.path + _VERB


def parse_target(url: str, model: str | None = None) -> Target:
    """Reads a server's URL.

    Args:
        url: "http://host:8501/v1/models/digits", also with /versions/N or /labels/L; "http://host:8501" with `model`;
            "grpc://host:8500/digits", "grpcs://…".
        model: The model, where the URL names none.

    Raises:
        ValueError: The URL names no host, an unknown scheme, or no model.

    Example:
        >>> parse_target("http://localhost:8501/v1/models/digits/versions/2:predict").model
        'digits'
        >>> parse_target("grpc://localhost:8500", "digits").address
        'grpc://localhost:8500/digits'
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
        raise ValueError(f"{url!r} is no server's URL: give http://host:port, https://…, grpc://… or grpcs://…")
    transport = "grpc" if parts.scheme.startswith("grpc") else "rest"
    tls = parts.scheme in ("https", "grpcs")
    path = parts.path.removesuffix(_VERB).rstrip("/")
    name = model or (path.strip("/") if transport == "grpc" else _model_of(path))
    if not name:
        raise ValueError(
            f"{url!r} names no model: give --model NAME, or the URL as {_example(transport, parts.netloc)}"
        )
    if transport == "rest" and not _model_of(path):
        path = f"{path}/v1/models/{name}"
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 8500)
    return Target(transport, parts.hostname, port, tls, name, "" if transport == "grpc" else path)


def make_bodies(
    target: Target, signature: str = "", rows: int = 1, count: int = 64, seed: int = 0, headers: Headers = ()
) -> tuple[bytes, ...]:
    """Requests that the model takes: its signature is asked of the server, values are drawn at random.

    Args:
        target: The model.
        signature: The signature's name; "" is serving_default.
        rows: Rows in each request, where the first dimension is open.
        count: Requests that differ, sent in turn.
        seed: Of the values.
        headers: Further header lines, such as an API key's.

    Returns:
        JSON bodies, or serialized PredictRequests.

    Raises:
        RuntimeError: The server did not answer, or has no such model or signature.
    """
    chance = random.Random(seed)
    if target.transport == "grpc":
        from tfkit_serving.bench.grpc_requests import make_requests

        return make_requests(target, signature, rows, count, chance, headers)
    inputs = _rest_inputs(target, signature, headers)
    return tuple(_json_body(inputs, signature, rows, chance) for _ in range(count))


def draw(dtype: str, shape: Sequence[int], chance: random.Random) -> Any:
    """Nested lists of random values: floats from a normal distribution, integers from 0 to 7, a few words as bytes."""
    if not shape:
        return _value(dtype, chance)
    return [draw(dtype, shape[1:], chance) for _ in range(shape[0])]


def closed_shape(shape: Sequence[int], rows: int) -> list[int]:
    """A shape without open dimensions: the first becomes `rows`, others 4."""
    return [size if size >= 0 else (rows if index == 0 else _OTHER_OPEN) for index, size in enumerate(shape)]


def unchecked_tls() -> ssl.SSLContext:
    """TLS to a server whose certificate is not checked: a load measures speed, and test servers sign their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _value(dtype: str, chance: random.Random) -> Any:
    if dtype == "DT_STRING":
        return " ".join(chance.choices(_WORDS, k=6)).encode()
    if dtype == "DT_BOOL":
        return chance.random() < 0.5
    if "INT" in dtype:
        return chance.randrange(8)
    return round(chance.gauss(0.0, 1.0), 6)


def _model_of(path: str) -> str:
    parts = path.split("/")
    return parts[parts.index("models") + 1] if "models" in parts[:-1] else ""


def _example(transport: str, netloc: str) -> str:
    return f"grpc://{netloc}/NAME" if transport == "grpc" else f"http://{netloc}/v1/models/NAME"


def _rest_inputs(target: Target, signature: str, headers: Headers) -> dict[str, tuple[str, list[int]]]:
    """Dtype and shape of each input."""
    signatures = _metadata(target, headers)["metadata"]["signature_def"]["signature_def"]
    found = signatures.get(signature or _DEFAULT_SIGNATURE)
    if found is None:
        raise RuntimeError(
            f"model {target.model!r} has no signature {signature or _DEFAULT_SIGNATURE!r}; it has {sorted(signatures)}"
        )
    return {name: (each["dtype"], _rest_shape(each["tensor_shape"])) for name, each in found["inputs"].items()}


def _rest_shape(shape: Mapping[str, Any]) -> list[int]:
    return [-1] if shape.get("unknown_rank") else [int(each["size"]) for each in shape["dim"]]


def _metadata(target: Target, headers: Headers) -> Any:
    path = target.path + "/metadata"
    where = f"{target.host}:{target.port}{path}"
    connection = (
        http.client.HTTPSConnection(target.host, target.port, timeout=30, context=unchecked_tls())
        if target.tls
        else http.client.HTTPConnection(target.host, target.port, timeout=30)
    )
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError(f"no answer from {where}: {error}; is the server running?") from error
    finally:
        connection.close()
    if answer.status != 200:
        words = " ".join(text[:500].decode("utf-8", "replace").split())
        raise RuntimeError(f"{where} answers {answer.status}: {words}")
    return json.loads(text)


def _json_body(inputs: Mapping[str, tuple[str, list[int]]], signature: str, rows: int, chance: random.Random) -> bytes:
    """Rows where every input has an open first dimension, else whole tensors."""
    values = {name: draw(dtype, closed_shape(shape, rows), chance) for name, (dtype, shape) in inputs.items()}
    by_rows = all(shape and shape[0] == -1 for _, shape in inputs.values())
    single = next(iter(values.values())) if len(values) == 1 else None
    if not by_rows:
        body: dict[str, Any] = {"inputs": values}
    elif single is not None:
        body = {"instances": single}
    else:
        body = {"instances": [{name: values[name][row] for name in values} for row in range(rows)]}
    named = {"signature_name": signature, **body} if signature else body
    return json.dumps(named, default=_as_json).encode()


def _as_json(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
