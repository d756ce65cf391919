"""What only raw sockets can say: pipelines, pieces, half-closed and slow connections, heads beyond measure."""

import contextlib
import socket
import time

import pytest
from small_server import read_all, serving, talk

pytestmark = pytest.mark.serving

BODY = b'{"instances": [1.0]}'
HALF = b'{\n    "predictions": [2.5\n    ]\n}'
ANSWER = b"HTTP/1.1 200 OK\r\n"


def request(body=BODY, *headers, method=b"POST", path=b"/v1/models/half:predict"):
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: x", *headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


@pytest.fixture(scope="module")
def port():
    with serving(request_seconds=1.0, max_header_bytes=4096) as port:
        yield port


def test_a_request(port):
    reply = talk(port, request())
    assert reply.startswith(ANSWER)
    assert reply.endswith(HALF)


def test_a_pipeline_is_answered_in_order(port):
    bodies = [b'{"instances": [%d]}' % value for value in range(20)]
    reply = talk(port, b"".join(map(request, bodies)))
    assert [part.split(b"\n")[0] for part in reply.split(b'"predictions": [')[1:]] == [
        b"%.1f" % (value / 2 + 2) for value in range(20)
    ]


def test_a_pipeline_of_different_requests_is_answered_in_order(port):
    slow = b'{"signature_name": "slow", "instances": [7]}'
    status = request(None, method=b"GET", path=b"/v1/models/half/versions/1")
    reply = talk(port, request() + status + request(slow) + request() + request(b"{"), timeout=2)
    found = [reply.find(part) for part in (b"[2.5", b"AVAILABLE", b"[7.0", b"JSON Parse error")]
    assert -1 not in found
    assert found == sorted(found)
    assert reply.count(ANSWER) == 4
    assert reply.rfind(b"[2.5") > reply.find(b"[7.0")


def test_byte_by_byte(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request():
            connection.sendall(bytes((byte,)))
        assert read_all(connection).endswith(HALF)


def test_a_chunked_body(port):
    head = request(None, b"Transfer-Encoding: chunked")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:]))
    assert talk(port, head, chunks, b"0\r\n\r\n").endswith(HALF)
    assert talk(port, head, b"zz\r\n").startswith(b"HTTP/1.1 400")


def test_expect_100_continue(port):
    head, _, body = request(BODY, b"Expect: 100-continue").partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_all(connection).endswith(HALF)


def test_a_half_closed_connection_gets_its_answer(port):
    slow = b'{"signature_name": "slow", "instances": [1]}'
    reply = talk(port, request(slow), half_close=True)
    assert reply.startswith(ANSWER)
    assert b"connection: close" in reply


@pytest.mark.parametrize("sent", [b"", b"POST /v1/mod", request()[:-3]], ids=["nothing", "half a head", "half a body"])
def test_slow_clients_are_let_go(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        started = time.monotonic()
        assert connection.recv(100) == b""
        assert 0.5 < time.monotonic() - started < 3


def test_a_client_that_trickles_is_let_go(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        started = time.monotonic()
        while time.monotonic() - started < 4:
            connection.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                assert connection.recv(100) == b""
                break
        assert 0.5 < time.monotonic() - started < 3


def test_a_client_that_waits_for_its_answer_is_not_slow():
    with serving(request_seconds=0.1) as port:
        slow = b'{"signature_name": "slow", "instances": [1]}'
        assert talk(port, request(slow)).startswith(ANSWER)


def test_heads_beyond_measure(port):
    for filler in (b"X: " + b"a" * 10_000, b"\r\n".join(b"X%d: a" % number for number in range(2000))):
        assert talk(port, request(BODY, filler)).startswith(b"HTTP/1.1 431 ")
    path = b"/v1/models/" + b"a" * 10_000
    assert talk(port, request(None, method=b"GET", path=path)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/models/../../etc/passwd",
        b"/../v1/models/half",
        b"/v1/models/..%2F..%2Fetc%2Fpasswd",
        b"/v1/models/%00",
        b"/v1/models/half%00",
        b"/v1/models/half/versions/1%00",
        b"/v1/models/%c0%ae%c0%ae",
        b"/v1/models/half%2fversions",
    ],
)
def test_path_tricks_find_nothing(port, path):
    reply = talk(port, request(None, method=b"GET", path=path))
    assert reply.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))


@pytest.mark.parametrize(
    "bytes_sent",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
     b"BREW /pot HTTP/1.1\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", request(BODY, b"Content-Length: 5"),
     request(BODY, b"Content-Length: -5"), b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_http(port, bytes_sent):
    reply = talk(port, bytes_sent)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in reply


def test_head_has_no_body(port):
    reply = talk(port, request(None, method=b"HEAD", path=b"/v1/models/half:predict"))
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert reply.endswith(b"\r\n\r\n")


def test_the_server_outlives_clients_that_leave(port):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request()[:-5])
    assert talk(port, request()).endswith(HALF)
