"""Requests that nobody means: the recorded ones, mutated, and bytes that are no HTTP; the same for the same seed."""

import base64
import gzip
import json
import random
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "recorded" / "golden_rest.json"
_METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"post", b"\0", b"G\xc3\x89T"]
_PATHS = [
    b"/",
    b"//",
    b"/v1",
    b"/v1/models/",
    b"/v1/models/../../etc/passwd",
    b"/v1/models/%2e%2e%2fpasswd",
    b"/%00",
    b"*",
    b"/v1/models/mlp:predict?a=b#c",
    b"http://x/v1/models/mlp",
    b"/v1/models/" + b"a" * 5000,
    b"/v1/models/mlp/versions/1e3",
    b"/v1/models/mlp/versions/99999999999999999999",
    b"/v1/models/\xff\xfe",
    b"/v1/models/mlp%",
    b"/healthz",
    b"/readyz",
    b"/monitoring/prometheus/metrics",
]
_WORDS = [
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"1e308",
    b"1e309",
    b"-0.0",
    b"9" * 400,
    b"18446744073709551616",
    b'"\\ud800"',
    b'"\\u0000"',
    b'{"b64": "//4="}',
    b'{"b64": "!"}',
    b"[]",
    b"{}",
    b"[[]]",
    b'""',
    b"\xff",
    b"\0",
    b"//",
    b"1.",
    b"01",
    b"[" * 200,
    b'{"a":' * 200,
    b'"signature_name": "serve",',
    b'"instances": [1],',
    b"\xef\xbb\xbf",
    b"3.4028236e38",
]
_HEADERS = [
    b"Content-Encoding: gzip",
    b"Content-Encoding: br",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Expect: 100-continue",
    b"Content-Length: 99999999999",
    b"Transfer-Encoding: chunked",
    b"Connection: close",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"X: " + b"a" * 9000,
    b": x",
    b"X-Request-Id: \xff\xfe",
    b"X-Request-Id: " + b"a" * 500,
    b"Accept-Encoding: gzip",
    b"Content-Type: text/plain; charset=utf-16",
    b"Host:",
    b"Range: bytes=0-1",
]


def requests(seed, count):
    """Bytes to send on a connection, one request after another.

    Args:
        seed: where the generator starts.
        count: how many.
    """
    chance = random.Random(seed)
    corpus = [
        (case["method"].encode(), case["path"].encode(), _body(case)) for case in json.loads(RECORDED.read_text())
    ]
    for _ in range(count):
        yield _request(chance, *chance.choice(corpus))


def _body(case):
    body = case["body"]
    if body is None:
        return b""
    return base64.b64decode(body["b64"]) if isinstance(body, dict) else body.encode()


def _request(chance, method, path, body):
    kind = chance.random()
    if kind < 0.03:
        return chance.randbytes(chance.randrange(1, 300))
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        body = _mutated(chance, body)
    if kind < 0.2:
        path = chance.choice(_PATHS) if chance.random() < 0.5 else _mutated(chance, path).replace(b"\n", b"")
    if kind < 0.1:
        method = chance.choice(_METHODS)
    headers = [b"Host: x"]
    if chance.random() < 0.15:
        headers.append(chance.choice(_HEADERS))
    if chance.random() < 0.1:
        body = gzip.compress(body, 1, mtime=0)
        headers.append(b"Content-Encoding: gzip")
    if chance.random() < 0.1:
        head = b"\r\n".join([method + b" " + path + b" HTTP/1.1", *headers, b"Transfer-Encoding: chunked"])
        return head + b"\r\n\r\n" + _chunked(chance, body)
    length = len(body) if chance.random() < 0.95 else max(0, len(body) + chance.randrange(-5, 5))
    head = b"\r\n".join([method + b" " + path + b" HTTP/1.1", *headers, b"Content-Length: %d" % length])
    whole = head + b"\r\n\r\n" + body
    return whole if chance.random() < 0.95 else _mutated(chance, whole)


def _chunked(chance, body):
    parts = b""
    while body:
        size = chance.randrange(1, 50)
        parts += b"%x\r\n" % len(body[:size]) + body[:size] + b"\r\n"
        body = body[size:]
    return parts + b"0\r\n\r\n"


def _mutated(chance, text):
    at = chance.randrange(len(text) + 1)
    to = min(len(text), at + chance.randrange(1, 12))
    return chance.choice(
        (
            lambda: text[:at] + chance.choice(_WORDS) + text[at:],
            lambda: text[:at] + chance.choice(_WORDS) + text[to:],
            lambda: text[:at] + text[to:],
            lambda: text[:at],
            lambda: text[:at] + chance.randbytes(3) + text[to:],
            lambda: text[:to] + text[at:],
            lambda: text.replace(b"1", chance.choice(_WORDS), 1),
        )
    )()
