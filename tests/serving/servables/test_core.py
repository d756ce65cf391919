"""Versions come, go, fail and die; what is served stays right. Models are x/2+2 (hp2) and x/2+3 (hp3)."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import ModelServerConfig
from tfkit_serving.servables.core import CoreOptions, ServerCore
from tfkit_serving.servables.process import ProcessOptions
from tfkit_serving.servables.requests import ModelSpec

TWO, THREE = "hp2/00000123", "hp3/00000123"
FAST = CoreOptions(poll_seconds=0.05, retries=1, retry_seconds=0.2, process=ProcessOptions(run_seconds=1.0))


@pytest.fixture
def core(run, nursery):
    """A core that looks for versions twenty times a second."""

    async def make():
        return ServerCore(FAST, nursery)

    made = run(make())
    yield made
    run(made.close(1.0))


async def asked(core, name="m", version=None, label=None, x=1.0):
    servable = core.servable(ModelSpec(name, version, label))
    outputs = await servable.run("serving_default", {"x": np.array([x], np.float32)})
    return outputs["y"].item()


async def eventually(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def states(core, name="m"):
    return {each.version: each.state for each in core.status(name)}


def config(text):
    return text_format.Parse(text, ModelServerConfig())


def model(name, path, rest=""):
    return f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" {rest} }}'


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


def test_policies_choose_versions(run, core, place):
    async def body():
        for version in (1, 2, 3):
            place(TWO, "m", version)
        await core.serve([ModelConfig("m", place.base / "m", num_versions=2)])
        assert states(core) == {3: "AVAILABLE", 2: "AVAILABLE"}
        await core.reload(config(f"model_config_list {{ {model('m', place.base / 'm', _specific(1))} }}"))
        await eventually(lambda: states(core) == {3: "END", 2: "END", 1: "AVAILABLE"})

    run(body())


def test_labels_name_versions_and_move(run, core, place):
    async def body():
        place(TWO, "m", 1)
        place(THREE, "m", 2)
        await core.serve([ModelConfig("m", place.base / "m", None, labels={"stable": 1})])
        assert await asked(core, label="stable") == 2.5
        with pytest.raises(ServingError, match="Unrecognized servable version label: canary"):
            await asked(core, label="canary")
        both = 'model_version_policy { all {} } version_labels { key: "stable" value: 2 }'
        await core.reload(config(f"model_config_list {{ {model('m', place.base / 'm', both)} }}"))
        assert await asked(core, label="stable") == 3.5

    run(body())


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (model("m", "/nowhere"), "NOT_FOUND", "Could not find base path /nowhere"),
        (model("m", "BASE/m").replace("tensorflow", "pytorch"), "INVALID_ARGUMENT", "model_platform 'pytorch'"),
        (model("m", "BASE/m", 'version_labels { key: "a" value: 9 }'), "FAILED_PRECONDITION", "names the version 9"),
        (model("m", "BASE/m") + model("m", "BASE/m"), "INVALID_ARGUMENT", "configured 2 times"),
        (model("", "BASE/m"), "INVALID_ARGUMENT", "has no name"),
    ],
)
def test_a_wrong_configuration_changes_nothing(run, core, place, text, code, words):
    async def body():
        place(TWO, "m", 1)
        await core.serve([ModelConfig("m", place.base / "m")])
        started = time.monotonic()
        with pytest.raises(ServingError, match=words) as caught:
            await core.reload(config(f"model_config_list {{ {text.replace('BASE', str(place.base))} }}"))
        assert caught.value.code == code
        assert time.monotonic() - started < 15
        assert await asked(core) == 2.5
        assert core.models() == ["m"]

    run(body())


def test_reload_adds_and_removes_models(run, core, place):
    async def body():
        place(TWO, "old", 1)
        place(THREE, "new", 7)
        await core.serve([ModelConfig("old", place.base / "old")])
        await core.reload(config(f"model_config_list {{ {model('new', place.base / 'new')} }}"))
        assert await asked(core, "new", 7) == 3.5
        with pytest.raises(ServingError, match=r"Latest\(old\)"):
            core.servable(ModelSpec("old"))
        await eventually(lambda: states(core, "old") == {1: "END"})

    run(body())


def test_reload_refuses_a_model_without_a_version_to_serve(run, core, place):
    async def body():
        place(TWO, "m", 1)
        (place.base / "empty").mkdir()
        await core.serve([ModelConfig("m", place.base / "m")])
        for text in (model("m", place.base / "m", _specific(7)), model("new", place.base / "empty")):
            with pytest.raises(ServingError, match=r"No versions of servable .* found under base path") as caught:
                await core.reload(config(f"model_config_list {{ {text} }}"))
            assert caught.value.code == "FAILED_PRECONDITION"
            assert await asked(core) == 2.5
        assert core.models() == ["m"]

    run(body())


def test_another_base_path_with_the_same_version_takes_its_place(run, core, place):
    async def body():
        place(TWO, "a", 1)
        place(THREE, "b", 1)
        await core.serve([ModelConfig("m", place.base / "a")])
        assert await asked(core) == 2.5
        await core.reload(config(f"model_config_list {{ {model('m', place.base / 'b')} }}"))
        assert await asked(core) == 3.5
        assert states(core) == {1: "AVAILABLE"}

    run(body())


def test_a_failed_model_keeps_no_other_away(run, core, place):
    async def body():
        (place(TWO, "bad", 1) / "saved_model.pb").write_bytes(b"\xff")
        place(TWO, "good", 1)
        await core.serve([ModelConfig(name, place.base / name) for name in ("bad", "good")])
        assert await asked(core, "good") == 2.5
        assert core.waiting() == ["bad"]
        [status] = core.status("bad")
        assert (status.state, status.code != "OK") == ("END", True)
        with pytest.raises(ServingError, match="bad"):
            await core.reload(config(f"model_config_list {{ {model('bad', place.base / 'bad')} }}"))

    run(body())


def test_models_of_a_directory_come_and_go(run, core, place):
    async def body():
        await core.serve_directory(place.base)
        assert core.models() == []
        place(TWO, "first", "0007")
        await eventually(lambda: core.models() == ["first"] and not core.waiting())
        assert await asked(core, "first", 7) == 2.5
        shutil.rmtree(place.base / "first")
        await eventually(lambda: states(core, "first") == {7: "END"})
        assert core.models() == []

    run(body())


def test_unknown_models_and_versions_in_the_real_servers_words(run, core, place):
    async def body():
        place(TWO, "hp2", 123)
        await core.serve([ModelConfig("hp2", place.base / "hp2")])
        for call, text in (
            (lambda: core.servable(ModelSpec("nope")), "Servable not found for request: Latest(nope)"),
            (lambda: core.servable(ModelSpec("hp2", 99)), "Servable not found for request: Specific(hp2, 99)"),
            (lambda: core.status("nope"), "Could not find any versions of model nope"),
            (lambda: core.status("hp2", 99), "Could not find version 99 of model hp2"),
        ):
            with pytest.raises(ServingError) as caught:
                call()
            assert (caught.value.code, caught.value.message) == ("NOT_FOUND", text)

    run(body())


def _specific(version):
    return f"model_version_policy {{ specific {{ versions: {version} }} }}"
