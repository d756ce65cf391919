"""Forms beside the recorded ones, as the real server's source has them."""

import json
import socket
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.serving

UPGRADE = b"POST /v1/models/hp2:predict HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"


def answered(port, *parts):
    """The status line and the body of each answer on one connection."""
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for part in parts:
            client.sendall(part)
        with client.makefile("rb") as lines:
            while status := lines.readline():
                head = dict(line.lower().split(b": ") for line in iter(lambda: lines.readline().rstrip(b"\r\n"), b""))
                found.append((int(status.split()[1]), lines.read(int(head.get(b"content-length", 0)))))
    return found


@pytest.mark.parametrize("cut", [0, 60, 120])
def test_a_wish_for_another_protocol_is_ignored_and_the_body_is_no_request(recorded_server, cut):
    body = b"GET /v1/models/hp3 HTTP/1.1\r\nHost: x\r\n\r\n"
    request = UPGRADE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    statuses = [status for status, _ in answered(recorded_server.rest_port, request[:cut], request[cut:], last)]
    assert statuses in ([400, 200], [400])  # the body is no JSON; hp3 is not asked


@pytest.mark.parametrize(("origin", "status"), [(None, 400), ("foo", 400), ("http://x.y", 200), ("https://x.y", 200)])
def test_a_preflight_comes_from_a_site(recorded_server, origin, status):
    head = b"OPTIONS /v1/models/hp2:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Origin: %s\r\n" % origin.encode() if origin else b""
    assert answered(recorded_server.rest_port, head + b"\r\n") == [(status, b"")]


def predicted(port, model, request):
    url = f"http://127.0.0.1:{port}/v1/models/{model}:predict"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(request).encode()), timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("rows", [{"inputs": {}}, {"instances": [{}]}, {"inputs": []}])
def test_a_signature_without_inputs_takes_none(recorded_server, rows):
    status, reply = predicted(recorded_server.rest_port, "counter", {"signature_name": "incr_counter", **rows})
    assert (status, reply["error"]) == (400, "Failed to get input map for signature: incr_counter")


@pytest.mark.parametrize("dtype", ["float16", "uint16", "complex64"])
def test_what_rest_does_not_carry_may_be_empty(recorded_server, dtype):
    request = {"signature_name": f"id_{dtype}", "inputs": []}
    assert predicted(recorded_server.rest_port, "dtypes", request) == (200, {"outputs": []})
