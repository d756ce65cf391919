"""Retries, deadlines and connections, of both clients, against servers that misbehave."""

import asyncio
import errno
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest

from tfkit_serving import AsyncClient, Client, ServingError

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"outputs": [2.5]}'
BUSY = b'HTTP/1.1 503 X\r\nContent-Length: 17\r\n\r\n{"error": "busy"}'


class Waiting:
    """AsyncClient with the methods of Client."""

    def __init__(self, *arguments, **named):
        self._runner = asyncio.new_event_loop()
        self._client = AsyncClient(*arguments, **named)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._runner.close()

    def __getattr__(self, name):
        return lambda *arguments, **named: self._runner.run_until_complete(
            getattr(self._client, name)(*arguments, **named)
        )


both = pytest.mark.parametrize("kind", [Client, Waiting])


@both
@pytest.mark.parametrize("fault", [BUSY, None])
def test_unavailable_is_tried_again_with_a_growing_wait(kind, fault, scripted):
    server = scripted([fault, fault, GOOD])
    began = time.monotonic()
    with kind(server.url) as client:
        np.testing.assert_array_equal(client.predict("m", [1.0]), [2.5])
    assert len(server.requests) == 3
    assert 0.15 <= time.monotonic() - began < 2


@both
def test_retries_end(kind, scripted):
    server = scripted([BUSY])
    with kind(server.url, retries=1) as client, pytest.raises(ServingError, match=r"^busy$") as caught:
        client.predict("m", [1.0])
    assert caught.value.code == "UNAVAILABLE"
    assert len(server.requests) == 2


@both
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
def test_other_errors_are_raised_at_once_with_the_servers_text(kind, status, code, scripted):
    server = scripted([b'HTTP/1.1 %d X\r\nContent-Length: 23\r\n\r\n{"error": "what it is"}' % status])
    with kind(server.url) as client, pytest.raises(ServingError, match=r"^what it is$") as caught:
        client.predict("m", [1.0])
    assert caught.value.code == code
    assert len(server.requests) == 1


@both
def test_a_page_of_a_proxys_is_shown_as_text(kind, scripted):
    page = b"HTTP/1.1 502 X\r\nContent-Length: 25\r\n\r\n<html>Bad\n Gateway</html>"
    server = scripted([page])
    with kind(server.url) as client, pytest.raises(ServingError, match="HTTP status 502: <html>Bad Gateway"):
        client.predict("m", [1.0])


@both
@pytest.mark.parametrize("timeout", [10.0, None])
def test_nobody_listens(kind, timeout):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for transport in ("rest", "grpc"):
        began = time.monotonic()
        with kind(f"127.0.0.1:{port}", transport=transport, timeout=timeout, retries=1) as client:
            assert not client.ready()
            with pytest.raises(ServingError) as caught:
                client.predict("m", {"x": [1.0]})
        assert caught.value.code == "UNAVAILABLE"
        assert str(port) in caught.value.message
        assert time.monotonic() - began < 5


@both
def test_a_call_ends_at_its_deadline(kind, scripted):
    ended = threading.Event()
    server = scripted([lambda: ended.wait(10) and None])
    began = time.monotonic()
    with kind(server.url, timeout=0.3) as client, pytest.raises(ServingError, match=r"within 0\.3 seconds") as caught:
        client.predict("m", [1.0])
    ended.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert 0.25 <= time.monotonic() - began < 1.5


@both
def test_retries_stay_within_the_deadline(kind, scripted):
    server = scripted([BUSY])
    began = time.monotonic()
    with kind(server.url, timeout=0.5, retries=100) as client, pytest.raises(ServingError, match="busy"):
        client.predict("m", [1.0])
    assert time.monotonic() - began < 0.6


@both
def test_a_connection_is_used_again_unless_the_server_closed_it(kind, scripted):
    server = scripted([GOOD, GOOD, GOOD.replace(b"Content", b"Connection: close\r\nContent"), GOOD])
    with kind(server.url) as client:
        for _ in range(4):
            client.predict("m", [1.0])
    # Metadata of this server cannot be had; that is asked for once, over the same connection.
    assert server.connections == 2


@both
def test_an_answer_that_makes_no_sense(kind, scripted):
    for text in (b"{", b"[]", b'{"outputs": [[1], [2, 3]]}', b'{"outputs": [{"a": 1}]}'):
        server = scripted([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)])
        with kind(server.url) as client, pytest.raises(ServingError, match="cannot be read") as caught:
            client.predict("m", [1.0])
        assert caught.value.code == "INTERNAL"


@both
def test_headers_go_with_every_request(kind, scripted):
    server = scripted([GOOD])
    with kind(server.url, headers={"Authorization": "Bearer k"}) as client:
        client.predict("m", [1.0])
    assert b"\r\nAuthorization: Bearer k\r\n" in server.requests[0]


def server_tls(certificates, *, ask_client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates)
    if ask_client:
        context.load_verify_locations(certificates[0])
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@both
def test_encrypted_with_a_certificate_of_either_side(kind, scripted, certificates):
    server = scripted([GOOD], server_tls(certificates, ask_client=True))
    with kind(server.url, authority=certificates[0], certificate=certificates) as client:
        for _ in range(2):
            np.testing.assert_array_equal(client.predict("m", [1.0]), [2.5])
    assert server.connections == 1


@both
def test_a_stranger_is_not_asked_again(kind, scripted, certificates):
    server = scripted([GOOD], server_tls(certificates))
    with kind(server.url) as client, pytest.raises(ServingError, match=r"certificate of .* is refused") as caught:
        client.predict("m", [1.0])
    assert caught.value.code == "UNAUTHENTICATED"
    assert server.requests == []


@both
def test_grpc_is_encrypted_and_carries_the_headers(kind, certificates):
    """A server that says NOT_FOUND to all, with the key that came with the call."""
    seen = []

    def refuse(_, context):
        seen.append(dict(context.invocation_metadata()).get("authorization"))
        context.abort(grpc.StatusCode.NOT_FOUND, "no such model")

    handlers = {"GetModelStatus": grpc.unary_unary_rpc_method_handler(refuse)}
    certificate, key = (each.read_bytes() for each in certificates)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", handlers),)
    )
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    )
    server.start()
    try:
        named = {"authority": certificates[0], "certificate": certificates, "headers": {"Authorization": "Bearer k"}}
        with kind(f"grpcs://127.0.0.1:{port}", **named) as client, pytest.raises(ServingError) as caught:
            client.status("m")
    finally:
        server.stop(None).wait()
    assert (caught.value.code, caught.value.message) == ("NOT_FOUND", "no such model")
    assert seen == ["Bearer k"]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_files_of_certificates_that_cannot_be_read(kind, tmp_path):
    for url in ("https://host", "grpcs://host"):
        with pytest.raises(ValueError, match=r"nothing\.pem"):
            kind(url, authority=tmp_path / "nothing.pem")


@both
def test_a_closed_client_says_so(kind):
    with kind("http://127.0.0.1:1") as client:
        client.close()
        with pytest.raises(ServingError, match="is closed"):
            client.predict("m", [1.0])


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"timeout": 0}, "timeout must be a number of seconds > 0, or None for no bound; got 0"),
        ({"timeout": float("nan")}, "timeout must be .*; got nan"),
        ({"timeout": "5"}, "timeout must be .*; got '5'"),
        ({"timeout": True}, "timeout must be .*; got True"),
        ({"retries": -1}, "retries must be an int >= 0; got -1"),
        ({"retries": 2.0}, "retries must be an int >= 0; got 2.0"),
        ({"retries": None}, "retries must be an int >= 0; got None"),
        ({"headers": ["a"]}, "headers must be a mapping .*; got list"),
        ({"headers": {"a": 1}}, "headers must be a mapping .*; got an entry of 'a'"),
        ({"authority": "ca.pem"}, "not encrypted"),
        ({"authority": 1}, "authority must be the path of a PEM file; got 1"),
        ({"certificate": "own.pem"}, "certificate must be two paths"),
        ({"transport": "x"}, "transport"),
    ],
)
def test_arguments_are_checked(named, words):
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=words) as caught:
            kind("http://host:1", **named)
        assert "\n" not in str(caught.value)


@both
def test_without_a_bound_a_call_waits_for_its_answer(kind, scripted):
    """Also beyond what poll() would take."""
    for timeout in (None, 1e9, np.float32(5)):
        server = scripted([lambda: time.sleep(0.1) or GOOD])
        with kind(server.url, timeout=timeout) as client:
            assert client.predict("m", [1.0]).tolist() == [2.5]


@both
def test_a_time_out_of_the_systems_own_is_no_deadline(kind, monkeypatch):
    def late(*_, **__):
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(socket, "create_connection", late)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_connection", late)
    words = "is not reached: Connection timed out"
    client = kind("http://127.0.0.1:1", timeout=None, retries=0)
    with client, pytest.raises(ServingError, match=words) as caught:
        client.status("m")
    assert caught.value.code == "UNAVAILABLE"


def test_a_cancelled_call_ends_its_connection(scripted):
    ended = threading.Event()
    server = scripted([lambda: ended.wait(10) and None, GOOD])

    async def cancel():
        async with AsyncClient(server.url) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.predict("m", [1.0]), 0.2)
            ended.set()
            return await client.predict("m", [1.0])

    assert asyncio.run(cancel()).tolist() == [2.5]


def test_no_tensorflow_and_no_waiting():
    """A client is there at once: the processor's time of the best of five starts, since the machine has other work."""
    program = (
        "import sys, time; began = time.process_time(); from tfkit_serving import AsyncClient, Client\n"
        "Client('http://localhost:1'); Client('localhost:1', transport='grpc'); AsyncClient('localhost:1')\n"
        "print(time.process_time() - began); assert 'tensorflow' not in sys.modules, 'it imports TensorFlow'"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(5)]
    assert [each.returncode for each in runs] == [0] * 5, runs[0].stderr
    assert min(float(each.stdout) for each in runs) < 0.3
