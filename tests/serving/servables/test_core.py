"""Versions come, go, fail and die; what is served stays right. Models are x/2+2 (hp2) and x/2+3 (hp3)."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from core_asked import THREE, TWO, asked, eventually, states

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec


def test_a_new_version_takes_over_while_the_old_one_serves(run, core, place):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        old = core.servable(ModelSpec("m"))
        answers = []

        async def ask_on():
            while not answers or answers[-1] == 2.5:
                answers.append(await asked(core))

        asking = asyncio.create_task(ask_on())
        place(THREE, "m", 2)
        await asyncio.wait_for(asking, 15)
        assert set(answers) == {2.5, 3.5}
        await eventually(lambda: states(core) == {2: "AVAILABLE", 1: "END"})
        assert not Path(f"/proc/{old.pid}").exists()  # its memory is free
        with pytest.raises(ServingError, match=r"Servable not found for request: Specific\(m, 1\)"):
            core.servable(ModelSpec("m", 1))

    run(body())


def test_a_request_in_flight_on_the_old_version_finishes(run, core, place):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        old = core.servable(ModelSpec("m"))
        os.kill(old.pid, signal.SIGSTOP)
        asking = asyncio.create_task(asked(core, version=1))
        await asyncio.sleep(0)
        place(THREE, "m", 2)
        await eventually(lambda: states(core)[1] == "UNLOADING")
        os.kill(old.pid, signal.SIGCONT)
        assert await asking == 2.5
        await eventually(lambda: states(core)[1] == "END")

    run(body())


def test_a_damaged_version_ends_and_the_old_one_goes_on_until_it_is_mended(run, core, place):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        whole = place(THREE, "spare", 2)
        damaged = place.base / "m" / "2"
        shutil.copytree(whole, damaged.with_name(".2"))
        graph = damaged.with_name(".2") / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[:-20])
        damaged.with_name(".2").rename(damaged)
        await eventually(lambda: states(core).get(2) == "END")
        [status, old] = core.status("m")
        assert status.code != "OK"
        assert "saved_model.pb" in status.message
        assert (old.version, old.state, old.code) == (1, "AVAILABLE", "OK")
        assert await asked(core) == 2.5
        shutil.copy(whole / "saved_model.pb", damaged / "saved_model.pb")
        await eventually(lambda: states(core) == {2: "AVAILABLE", 1: "END"})
        assert await asked(core) == 3.5

    run(body())


def test_a_version_that_is_being_copied_is_left_alone(run, core, place):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        copied = place.base / "m" / "2"
        shutil.copytree(place.base / "m" / "1" / "variables", copied / "variables")
        await asyncio.sleep(0.3)
        assert states(core) == {1: "AVAILABLE"}
        shutil.copy(place.base / "m" / "1" / "saved_model.pb", copied / "saved_model.pb")
        await eventually(lambda: states(core) == {2: "AVAILABLE", 1: "END"})

    run(body())


def test_a_killed_process_fails_its_requests_alone_and_is_there_again(run, core, place):
    async def body():
        place(TWO, "m", 1)
        place(THREE, "other", 1)
        await core.serve([ModelConfig(name, place.base / name) for name in ("m", "other")])
        first = core.servable(ModelSpec("m")).pid
        os.kill(first, signal.SIGSTOP)
        asking = asyncio.create_task(asked(core))
        await asyncio.sleep(0.05)
        os.kill(first, signal.SIGABRT)
        os.kill(first, signal.SIGCONT)
        with pytest.raises(ServingError, match=r"was killed by signal 6 \(SIGABRT\)") as caught:
            await asking
        assert caught.value.code == "UNAVAILABLE"
        assert await asked(core, "other") == 3.5
        assert await asked(core) == 2.5
        assert core.servable(ModelSpec("m")).pid != first
        assert states(core) == {1: "AVAILABLE"}

    run(body())


def test_a_hanging_process_is_killed_and_is_there_again(run, core, place):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        pid = core.servable(ModelSpec("m")).pid
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(ServingError, match="a call took over 1 s") as caught:
            await asked(core)
        assert caught.value.code == "DEADLINE_EXCEEDED"
        assert 0.9 < time.monotonic() - started < 4
        assert await asked(core) == 2.5
        await eventually(lambda: not Path(f"/proc/{pid}").exists())

    run(body())


@pytest.mark.slow
def test_a_model_that_dies_again_and_again_is_given_up(run, core, place):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        for _ in range(5):
            await asked(core)
            os.kill(core.servable(ModelSpec("m")).pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
        await eventually(lambda: states(core) == {1: "END"})
        [status] = core.status("m")
        assert "5 times within 60 s" in status.message
        assert core.waiting() == ["m"]

    run(body())


def test_processes_hold_what_graphs_need_and_no_keras(run, core, place, nursery):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        assert await asked(core) == 2.5
        maps = Path(f"/proc/{nursery.pid}/maps").read_text()
        assert "/tensorflow/" in maps
        assert "/sklearn/" not in maps  # Keras would have brought it in

    run(body())


def test_the_nursery_may_die_without_harm(run, core, place, nursery):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        before = nursery.pid
        os.kill(before, signal.SIGKILL)
        assert await asked(core) == 2.5
        place(THREE, "m", 2)
        await eventually(lambda: states(core) == {2: "AVAILABLE", 1: "END"}, 60)
        assert nursery.pid != before

    run(body())
