"""Loads on small servers whose behaviour is known: rates, stalls, errors by kind."""

import asyncio
import contextlib

import pytest

from tfkit_serving.bench.load import run_load
from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.record import Result
from tfkit_serving.bench.worker import make_load

pytestmark = pytest.mark.serving
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class _Server(asyncio.Protocol):
    """Answers each request with what `answer` gives for its number, after so many seconds."""

    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        reply, seconds = self.answer(data)
        asyncio.get_running_loop().call_later(seconds, self._write, reply)

    def _write(self, reply):
        if reply is None:
            self.transport.abort()
        else:
            self.transport.write(reply)


def _plan(port, **changes):
    given = {"clients": 4, "duration": 0.5, "warm_up": 0.1, "timeout": 2.0, "bodies": (b"{}",)}
    return Plan("rest", "127.0.0.1", port, "/v1/models/m:predict", **{**given, **changes})


def _load(answer, **changes):
    async def run():
        server = await asyncio.get_running_loop().create_server(lambda: _Server(answer), "127.0.0.1", 0)
        async with server:
            plan = _plan(server.sockets[0].getsockname()[1], **changes)
            result = Result(plan.duration)
            result.add(await make_load(plan))
            await asyncio.sleep(0.02)  # the server hears of connections that were closed
            return result

    return asyncio.run(run())


def test_a_closed_loop_asks_as_fast_as_it_is_answered():
    result = _load(lambda data: (OK, 0.02))
    assert 0.5 * 200 < result.rate <= 200  # four clients, 20 ms each
    assert 0.018e9 < result.latencies.quantile(0.5) < 0.06e9
    assert result.failed == 0


def test_an_open_loop_keeps_its_rate():
    result = _load(lambda data: (OK, 0.0), rate=400.0, arrivals="uniform", duration=1.0)
    assert result.latencies.total == pytest.approx(400, abs=8)
    assert result.failed == 0


def test_a_stall_shows_in_every_request_that_was_due():
    """One stall of 0.3 s at 200 requests a second: some sixty answers are late, not just one."""
    requests = iter(range(10**6))
    stalled = []

    def answer(data):
        if next(requests) == 60:
            stalled.append(True)
            return OK, 0.3
        return OK, 0.0

    result = _load(answer, clients=1, rate=200.0, arrivals="uniform", duration=1.0, warm_up=0.1)
    late = sum(count for index, count in result.latencies.counts.items() if index >= _index_of(50_000_000))
    assert stalled
    assert 40 <= late <= 75
    assert result.latencies.maximum >= 0.29e9


def _index_of(nanoseconds):
    from tfkit_serving.bench.histogram import Histogram

    one = Histogram()
    one.record(nanoseconds)
    return next(iter(one.counts))


def test_errors_are_counted_by_kind():
    replies = [
        (OK, 0.0),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 17\r\n\r\n" + b'{"error": "full"}', 0.0),
        (None, 0.0),
    ]
    turn = iter(range(10**6))
    result = _load(lambda data: replies[next(turn) % 3], clients=1, duration=0.4, warm_up=0.0)
    assert set(result.errors) == {'HTTP 503: {"error": "full"}', "connection closed"}
    assert result.latencies.total > 3
    assert abs(result.latencies.total - result.errors["connection closed"]) <= 1


def test_an_answer_that_never_comes_is_given_up():
    result = _load(lambda data: (OK, 60.0), clients=1, duration=0.3, warm_up=0.0, timeout=0.2)
    assert result.latencies.total == 0
    assert list(result.errors) == ["no answer within 0.2 s"]


def test_answers_in_pieces_and_in_chunks_are_read_whole():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    result = _load(lambda data: (chunked, 0.0), clients=1, duration=0.2, warm_up=0.0)
    assert result.failed == 0
    assert result.latencies.total > 10


def test_a_server_that_closes_after_each_answer_is_no_error():
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    result = _load(lambda data: (closing, 0.0), clients=2, duration=0.3, warm_up=0.0)
    assert result.failed == 0
    assert result.latencies.total > 10


def test_no_server_is_an_error_and_no_hang():
    result = Result(0.2)
    result.add(asyncio.run(make_load(_plan(9, duration=0.2, warm_up=0.0, clients=1))))
    assert result.latencies.total == 0
    assert "Connect" in next(iter(result.errors))


def test_processes_share_clients_and_rate():
    parts = _plan(1, clients=5, rate=100.0).share(3)
    assert [each.clients for each in parts] == [2, 2, 1]
    assert sum(each.rate for each in parts) == pytest.approx(100.0)
    assert len(_plan(1, clients=2).share(8)) == 2


def test_two_processes_make_one_load():
    """A real server in another thread; the load comes from two processes, and progress is told."""
    import threading

    ready = threading.Event()
    stop: list[object] = []

    async def serve():
        server = await asyncio.get_running_loop().create_server(lambda: _Server(lambda data: (OK, 0.0)), "127.0.0.1", 0)
        ended = asyncio.Event()
        stop.extend((asyncio.get_running_loop(), ended, server.sockets[0].getsockname()[1]))
        ready.set()
        async with server:
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        seen = []
        result = run_load(_plan(stop[2], clients=4, rate=200.0, duration=1.0), 2, seen.append)
    finally:
        with contextlib.suppress(IndexError):
            stop[0].call_soon_threadsafe(stop[1].set)
        thread.join()
    assert result.failed == 0
    assert result.latencies.total == pytest.approx(200, rel=0.35)
    assert seen
    assert seen == sorted(seen)
