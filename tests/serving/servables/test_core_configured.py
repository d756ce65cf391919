"""What a configuration says is served: policies, labels, reloads, directories."""

import shutil
import time

import pytest
from core_asked import THREE, TWO, _specific, asked, config, eventually, model, states

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec


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
        (model("m", "BASE/m").replace("tensorflow", "pytorch"), "INVALID_ARGUMENT", "unsupported platform pytorch"),
        (
            model("m", "BASE/m", 'version_labels { key: "a" value: 9 }'),
            "FAILED_PRECONDITION",
            "label to version 9 of model m,",
        ),
        (model("m", "BASE/m") + model("m", "BASE/m"), "INVALID_ARGUMENT", "Illegal to list model m multiple times"),
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
