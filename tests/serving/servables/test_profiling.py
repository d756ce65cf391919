"""A trace of what TensorFlow does in a version's process."""

import asyncio

import numpy as np
import pytest

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.servable import Servable

X = np.float32([2])


async def busy(servable):
    while True:
        await servable.run("serving_default", {"x": X})
        await asyncio.sleep(0.01)


def watched(run, nursery, place, ask):
    async def body():
        servable = await Servable.load("m", 1, place("hp2/00000123", "m", 1), nursery)
        working = asyncio.create_task(busy(servable))
        try:
            return await ask(servable)
        finally:
            working.cancel()
            await servable.close(0)

    return run(body())


def test_the_operations_of_the_requests_are_in_it(run, nursery, place):
    trace = watched(run, nursery, place, lambda servable: servable.profile(0.3))
    assert all(word in trace for word in (b"/host:CPU", b"SessionRun", b"Mul", b"Add"))


def test_a_process_is_watched_by_one_at_a_time_and_again_when_that_one_has_gone(run, nursery, place):
    async def ask(servable):
        first = asyncio.create_task(servable.profile(30))
        await asyncio.sleep(0.2)
        with pytest.raises(ServingError) as caught:
            await servable.profile(0.1)
        assert caught.value.code == "ALREADY_EXISTS"
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return await servable.profile(0.1)

    assert b"SessionRun" in watched(run, nursery, place, ask)
