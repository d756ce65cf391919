"""Requests that are too long for the event loop: answered as short ones are, by processes that end with them."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
import time

import numpy as np
import pytest
from small_core import SmallCore, ask, error_of

from tfkit_serving.offload import Offload
from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.options import RestOptions

pytestmark = pytest.mark.serving

PREDICT = "/v1/models/half:predict"
ROWS = 200_000


def long_body(**others):
    return json.dumps({**others, "instances": [index % 7 / 2 for index in range(ROWS)]}).encode()


def endless_body():
    """What takes seconds to read: whole numbers of 20 digits, which only Python reads exactly."""
    return b'{"signature_name": "id_uint64", "instances": [' + b",".join([b"1" * 20] * 1_000_000) + b"]}"


@contextlib.asynccontextmanager
async def application(options=None, core=None):
    offload = Offload()
    try:
        yield create_app(core or SmallCore(), options or RestOptions(), offload=offload), offload
    finally:
        await offload.close()


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_long_request_is_answered_as_a_short_one():
    async def main():
        async with application() as (app, offload):
            plain = await ask(app, "POST", PREDICT, long_body())
            assert offload.pids()
            zipped = await ask(app, "POST", PREDICT, gzip.compress(long_body()), {"Content-Encoding": "gzip"})
            older = await ask(app, "POST", "/v1/models/half/versions/1:predict", long_body(signature_name="id_double"))
            return plain, zipped, older

    plain, zipped, older = asyncio.run(main())
    sent = np.arange(ROWS) % 7 / 2
    assert plain.status == zipped.status == older.status == 200
    np.testing.assert_array_equal(json.loads(plain.body)["predictions"], sent / 2 + 2)
    assert zipped.body == plain.body
    np.testing.assert_array_equal(json.loads(older.body)["predictions"], sent)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"x": 0.5}, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": "nosuch", "instances": 0.5}, 'name: "nosuch" not found in signature def'),
        ({"instances": "a"}, 'JSON Value: "a" Type: String is not of expected type: float'),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_long_request_is_told_as_of_a_short_one(content, told):
    short, long = (
        {name: value if name == "signature_name" else [value] * count for name, value in content.items()}
        for count in (1, ROWS)
    )

    async def main():
        async with application() as (app, offload):
            replies = [await ask(app, "POST", PREDICT, json.dumps(each).encode()) for each in (short, long)]
            assert offload.pids()
            assert [each.status for each in replies] == [400, 400]
            assert error_of(replies[0]) == error_of(replies[1])
            assert told in error_of(replies[1])

    asyncio.run(main())


def test_faults_and_models_that_are_not_there_are_told():
    async def main():
        async with application() as (app, _):
            missing = await ask(app, "POST", "/v1/models/nope:predict", long_body())
            assert missing.status == 404
            broken = await ask(app, "POST", PREDICT, long_body(signature_name="broken"))
            assert (broken.status, "RuntimeError while answering" in error_of(broken)) == (500, True)

    asyncio.run(main())


def test_short_requests_do_not_wait_for_long_ones():
    async def main():
        async with application() as (app, _):
            await ask(app, "POST", PREDICT, long_body())  # its process is there
            longs = [asyncio.create_task(ask(app, "POST", PREDICT, endless_body())) for _ in range(3)]
            times = []
            while not any(each.done() for each in longs):
                begin = time.perf_counter()
                assert (await ask(app, "POST", PREDICT, b'{"instances": [1]}')).status == 200
                times.append(time.perf_counter() - begin)
                await asyncio.sleep(0.01)
            replies = await asyncio.gather(*longs)
            assert [each.status for each in replies] == [200] * 3
            assert len(times) > 20
            assert np.median(times) < 0.05

    asyncio.run(main())


def test_a_worker_that_is_killed_takes_its_request_and_nothing_else_along():
    async def main():
        async with application() as (app, offload):
            asked = asyncio.create_task(ask(app, "POST", PREDICT, endless_body()))
            await until(offload.pids)
            os.kill(offload.pids()[0], signal.SIGKILL)
            reply = await asked
            assert reply.status == 500
            assert "the process that read the request was killed by signal 9" in error_of(reply)
            assert (await ask(app, "POST", PREDICT, long_body())).status == 200

    asyncio.run(main())


def test_nobody_reads_on_for_a_client_that_is_late():
    async def main():
        async with application(RestOptions(timeout_seconds=0.5)) as (app, offload):
            asked = asyncio.create_task(ask(app, "POST", PREDICT, endless_body()))
            await until(offload.pids)
            (worker,) = offload.pids()
            reply = await asked
            await until(lambda: not is_there(worker))
            return reply

    reply = asyncio.run(main())
    assert (reply.status, error_of(reply)) == (504, "no answer within 0.5 seconds (timeout_seconds)")


def test_nobody_reads_on_for_a_client_that_is_gone():
    scope = {"type": "http", "method": "POST", "raw_path": PREDICT.encode(), "query_string": b"", "headers": []}
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        async with application() as (app, offload):
            messages, gone = [{"type": "http.request", "body": endless_body(), "more_body": False}], asyncio.Event()

            async def receive():
                if messages:
                    return messages.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            asked = asyncio.create_task(app(scope, receive, send))
            await until(offload.pids)
            (worker,) = offload.pids()
            gone.set()
            await asked
            await until(lambda: not is_there(worker))

    asyncio.run(main())
    assert sent == []


def test_large_requests_leave_a_worker_to_those_of_moderate_size():
    async def main():
        async with application() as (app, _):
            large = [asyncio.create_task(ask(app, "POST", PREDICT, endless_body())) for _ in range(4)]
            await asyncio.sleep(0.2)
            reply = await ask(app, "POST", PREDICT, long_body())
            assert reply.status == 200
            assert sum(each.done() for each in large) < 4
            for each in large:
                each.cancel()
            await asyncio.gather(*large, return_exceptions=True)

    asyncio.run(main())
