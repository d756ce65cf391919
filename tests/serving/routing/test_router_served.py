"""Splits and shadows over real versions in processes of their own, which are unloaded, stopped and killed."""

import asyncio
import os
import signal
import time

import numpy as np
import pytest
from google.protobuf import text_format

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.messages import ModelServerConfig
from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits
from tfkit_serving.routing.router import Router
from tfkit_serving.servables.core import CoreOptions, ServerCore
from tfkit_serving.servables.process import ProcessOptions
from tfkit_serving.servables.requests import ModelSpec

pytestmark = pytest.mark.serving

TWO, THREE = "hp2/00000123", "hp3/00000123"  # x / 2 + 2 and x / 2 + 3
BOTH = {"stable": 1, "canary": 2}


def config(base, **labels):
    """Serves the versions of the labels."""
    versions = " ".join(f"versions: {each}" for each in set(labels.values()))
    named = " ".join(f'version_labels {{ key: "{label}" value: {each} }}' for label, each in labels.items())
    model = f'name: "m" base_path: "{base}" model_platform: "tensorflow"'
    text = f"model_config_list {{ config {{ {model} model_version_policy {{ specific {{ {versions} }} }} {named} }} }}"
    return text_format.Parse(text, ModelServerConfig())


class Served:
    def __init__(self, core, base):
        self.core, self.base = core, base
        self.router = None

    async def reload(self, **labels):
        await self.core.reload(config(self.base, **labels))

    def route(self, *splits, shadow=()):
        self.router = Router(self.core, RoutingOptions(parse_splits(splits), parse_shadows(shadow)))

    async def ask(self, x=1.0):
        servable = self.router.servable(ModelSpec("m"))
        return (await servable.run("serving_default", {"x": np.full(1, x, np.float32)}))["y"].item()

    async def answers(self, count):
        return {await self.ask() for _ in range(count)}


@pytest.fixture
def served(run, nursery, place):
    place(TWO, "m", 1)
    place(THREE, "m", 2)
    place(TWO, "m", 3)

    async def make():
        options = CoreOptions(poll_seconds=0.05, retries=0, process=ProcessOptions(run_seconds=1.5))
        found = Served(ServerCore(options, nursery), place.base / "m")
        await found.reload(**BOTH)
        return found

    async def end():
        await made.router.close()
        await made.core.close(1.0)

    made = run(make())
    yield made
    run(end())


def counted(outcome):
    return METRICS.shadow.get(("m", "canary", outcome))


async def until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def test_a_canary_is_unloaded_and_comes_back(run, served):
    async def body():
        served.route("m:stable=50,canary=50")
        assert await served.answers(100) == {2.5, 3.5}
        # While it goes, and once it has gone, nobody is refused.
        going = asyncio.ensure_future(served.reload(stable=1))
        while not going.done():
            assert await served.ask() in (2.5, 3.5)
        assert await served.answers(100) == {2.5}
        await served.reload(**BOTH)
        assert await served.answers(100) == {2.5, 3.5}
        await served.reload(canary=1, stable=3)  # labels that move
        assert await served.answers(100) == {2.5}

    run(body())


def test_a_shadow_agrees_or_not(run, served):
    async def body():
        served.route("m:stable=1", shadow=["m:canary"])
        before = counted("disagreed")
        assert await served.answers(20) == {2.5}
        await until(lambda: counted("disagreed") == before + 20)
        before = counted("agreed")
        await served.reload(stable=1, canary=3)
        assert await served.answers(20) == {2.5}
        await until(lambda: counted("agreed") == before + 20)

    run(body())


def test_a_shadow_of_long_requests_is_compared(run, served):
    async def body():
        served.route("m:stable=1", shadow=["m:canary"])
        before = counted("disagreed")
        servable = served.router.servable(ModelSpec("m"))
        outputs = await servable.run("serving_default", {"x": np.ones(100_000, np.float32)})
        assert (len(outputs["y"]), outputs["y"][0]) == (100_000, 2.5)
        await until(lambda: counted("disagreed") == before + 100_000)

    run(body())


def test_a_shadow_that_stops_and_dies_keeps_nobody_waiting(run, served):
    async def body():
        served.route("m:stable=1", shadow=["m:canary"])
        canary = served.core.servable(ModelSpec("m", label="canary"))
        failed, stopped = counted("failed"), canary.pid
        os.kill(stopped, signal.SIGSTOP)
        started = time.monotonic()
        for _ in range(20):
            assert await served.ask() == 2.5
        assert time.monotonic() - started < 1.0
        # Its call takes too long, for which it is killed, and loaded again.
        await until(lambda: counted("failed") > failed)
        await until(lambda: canary.pid not in (None, stopped))
        disagreed = counted("disagreed")
        assert await served.ask() == 2.5
        await until(lambda: counted("disagreed") > disagreed)
        os.kill(canary.pid, signal.SIGKILL)
        assert await served.answers(20) == {2.5}

    run(body())
