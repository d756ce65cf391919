"""A shadow is never waited for, and its work is bounded."""

import asyncio

import pytest

from tfkit_serving.monitoring.registry import Counter
from tfkit_serving.routing.shadow import Shadow


def watched(work, **options):
    """What was counted by outcome, and the seconds that `work(shadow)` took to return."""

    async def main():
        counter = Counter("rows", "", ("model", "label", "outcome"), 10)
        shadow = Shadow(counter, **options)
        await work(shadow)
        await shadow.close()
        return {outcome: count for (_, _, outcome), count in counter.values.items()}

    return asyncio.run(main())


def send(shadow, ask, rows=1, size=0):
    shadow.send("m", "canary", rows, size, ask)


def test_rows_are_counted_by_outcome():
    async def failing():
        raise RuntimeError("the shadow is not well")

    async def work(shadow):
        send(shadow, lambda: asyncio.sleep(0, result=3), rows=5)
        send(shadow, lambda: asyncio.sleep(0, result=2), rows=2)
        send(shadow, failing, rows=4)
        await shadow.settle()

    assert watched(work) == {"agreed": 5, "disagreed": 2, "failed": 4}


def test_a_shadow_that_hangs_is_given_up():
    async def work(shadow):
        send(shadow, asyncio.Event().wait)
        await shadow.settle()

    assert watched(work, seconds=0.02) == {"failed": 1}


@pytest.mark.parametrize(("size", "kept"), [(0, 128), (1 << 20, 16), (3 << 20, 5), (17 << 20, 0)])
def test_what_is_too_much_is_dropped(size, kept):
    hangs = asyncio.Event().wait

    async def work(shadow):
        for _ in range(200):
            send(shadow, hangs, size=size)
        await asyncio.sleep(0)

    counted = watched(work)
    assert counted["dropped"] == 200 - kept


def test_there_is_room_again_once_it_has_answered():
    async def work(shadow):
        for _ in range(3):
            send(shadow, lambda: asyncio.sleep(0, result=1), size=16 << 20)
            await shadow.settle()
            await asyncio.sleep(0)

    assert watched(work) == {"agreed": 3}
