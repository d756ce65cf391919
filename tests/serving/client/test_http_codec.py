import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfkit_serving.client.address import parse_address
from tfkit_serving.client.exchange import Request
from tfkit_serving.client.http_codec import ProtocolError, RequestWriter, ResponseReader

BODY = b'{"outputs": [1.0, 2.0]}' * 3


def chunked(body, sizes, trailer=b""):
    text, at = b"", 0
    for size in [*sizes, len(body)]:
        piece = body[at : at + size]
        at += len(piece)
        text += b"%x;note=1\r\n%s\r\n" % (len(piece), piece) if piece else b""
    return text + b"0\r\n" + trailer + b"\r\n"


RESPONSES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length:%d\r\n\r\n%s" % (len(BODY), BODY),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY, [1, 17, 3]),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY, [9], b"Trailer: x\r\n"),
    b"HTTP/1.1 200\r\nConnection: close\r\n\r\n" + BODY,
]


@given(st.sampled_from(RESPONSES), st.lists(st.integers(0, 200), max_size=6))
def test_a_response_may_come_in_any_pieces(text, cuts):
    reader = ResponseReader()
    edges = [0, *sorted(min(each, len(text)) for each in cuts), len(text)]
    for begin, end in itertools.pairwise(edges):
        reader.feed(text[begin:end])
    assert reader.done == (b"close" not in text)
    reader.feed_end()
    assert (reader.status, reader.body) == (200, BODY)
    assert reader.keep_alive == (b"close" not in text)


@pytest.mark.parametrize("text", RESPONSES[:4])
def test_a_response_cut_short_is_none(text):
    for end in range(0, len(text) - 1, 7):
        reader = ResponseReader()
        reader.feed(text[:end])
        with pytest.raises(ProtocolError, match="before the reply was whole"):
            reader.feed_end()


@pytest.mark.parametrize(
    "text",
    [
        b"\0\0\6\4\0\0\0\0\0",  # HTTP/2
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_http(text):
    with pytest.raises(ProtocolError):
        ResponseReader().feed(text)


def test_what_follows_a_response_ends_the_connection():
    reader = ResponseReader()
    reader.feed(RESPONSES[0] + b"more")
    assert reader.done
    assert reader.body == BODY
    assert not reader.keep_alive


@given(st.text(alphabet="\r\n\0:a", min_size=1, max_size=3))
def test_headers_cannot_be_smuggled_in(value):
    address = parse_address("http://host:1")
    if any(each in value for each in "\r\n\0"):
        with pytest.raises(ValueError, match="end a header"):
            RequestWriter(address, {"X-Key": value})
    else:
        head = RequestWriter(address, {"X-Key": value}).write(Request("/v1/models/m:predict", b"{}"))
        assert head.endswith(f"X-Key: {value}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert head.splitlines()[0] == b"POST /v1/models/m:predict HTTP/1.1"
