"""Where the embedded server sends requests that name no version, over versions that need no TensorFlow."""

import asyncio
import logging
from collections import Counter

import numpy as np
import pytest

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits
from tfkit_serving.routing.router import Router
from tfkit_serving.servables.requests import ModelSpec

X = {"x": np.float32([1, 2])}


class Version:
    """Adds `step` to x, after `wait` was set."""

    signatures = {}

    def __init__(self, name, version, folder, step=0.0):
        self.name, self.version, self.path, self.step = name, version, folder, np.float32(step)
        self.wait = asyncio.Event()
        self.wait.set()
        self.asked = []

    async def run(self, signature, inputs, outputs=None):
        self.asked.append(signature)
        await self.wait.wait()
        if self.step is None:
            raise ServingError("UNAVAILABLE", "its process died")
        return {"y": inputs["x"] + self.step}


class Core:
    """A model m of the versions 1, 2 and 3, which `labels` name."""

    def __init__(self, folder):
        self.versions = {number: Version("m", number, folder) for number in (1, 2, 3)}
        self.labels = {"stable": 1, "canary": 2}

    def models(self):
        return ["m"]

    def servable(self, spec):
        if spec.label is not None and spec.label not in self.labels:
            raise ServingError("INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.label}")
        version = self.labels.get(spec.label, spec.version) or max(self.versions, default=0)
        if spec.name != "m" or version not in self.versions:
            raise ServingError("NOT_FOUND", f"Servable not found for request: {spec}")
        return self.versions[version]


@pytest.fixture
def core(tmp_path):
    return Core(tmp_path)


def router(core, *splits, shadow=()):
    return Router(core, RoutingOptions(parse_splits(splits), parse_shadows(shadow)))


def versions(routed, count=2000, **spec):
    return Counter(routed.servable(ModelSpec("m", **spec)).version for _ in range(count))


def test_requests_that_name_no_version_are_split(core):
    found = versions(router(core, "m:stable=90,canary=10"))
    assert set(found) == {1, 2}
    # Five standard deviations of a binomial of 2000 times 0.1.
    assert abs(found[2] - 200) <= 67


def test_a_split_takes_numbers_too(core):
    assert set(versions(router(core, "1=1,3=1"), 200)) == {1, 3}


def test_a_caller_with_a_key_stays(core):
    routed = router(core, "m:stable=50,canary=50")
    kept = [versions(routed, 20, key=f"user-{number}") for number in range(50)]
    assert all(len(each) == 1 for each in kept)
    assert {version for each in kept for version in each} == {1, 2}


def test_requests_that_name_a_version_go_there(core):
    routed = router(core, "m:stable=1", shadow=["m:canary"])
    assert routed.servable(ModelSpec("m", version=3)) is core.versions[3]
    assert routed.servable(ModelSpec("m", label="canary")) is core.versions[2]
    with pytest.raises(ServingError, match="version label: nope"):
        routed.servable(ModelSpec("m", label="nope"))
    with pytest.raises(ServingError, match=r"Latest\(other\)"):
        routed.servable(ModelSpec("other"))


def test_other_models_go_to_the_newest_unless_all_are_split(core):
    assert set(versions(router(core, "other:stable=1"), 20)) == {3}
    assert set(versions(router(core, "stable=1", "other:canary=1"), 20)) == {1}


def test_a_version_that_is_gone_leaves_its_share_until_it_is_back(core, caplog):
    caplog.set_level(logging.INFO)
    routed = router(core, "m:stable=45,canary=45,3=10")
    before = METRICS.split_passed_over.get(("m", "canary"))
    label = core.labels.pop("canary")
    found = versions(routed)
    assert set(found) == {1, 3}
    # 45 to 10 among those that are there: 2000 times 10 / 55, five standard deviations.
    assert abs(found[3] - 364) <= 87
    assert METRICS.split_passed_over.get(("m", "canary")) - before == pytest.approx(900, abs=120)
    del core.versions[1]
    assert set(versions(routed, 200)) == {3}
    assert [each.levelname for each in caplog.records] == ["WARNING", "WARNING"]
    assert "there is no canary to send requests to: Unrecognized servable" in caplog.text
    core.labels["canary"] = label
    assert set(versions(routed, 200)) == {2, 3}
    assert caplog.messages[2:] == ["model m: canary is there, version 2"]


def test_where_none_is_there_the_newest_answers(core):
    core.labels.clear()
    assert set(versions(router(core, "m:stable=90,canary=10"), 20)) == {3}
    core.versions.clear()
    with pytest.raises(ServingError, match=r"Latest\(m\)"):
        router(core, "m:stable=1").servable(ModelSpec("m"))


def test_what_is_missing_at_the_start_is_told(core, caplog):
    routed = router(core, "m:stable=90,canry=10", "n:stable=1", shadow=["m:9"])
    routed.tell_missing()
    assert [each.split(":")[0] for each in caplog.messages[1:]] == ["model m"] * 2
    assert "names the model n, which is not there yet" in caplog.messages[0]
    versions(routed, 50)
    assert len(caplog.messages) == 3  # once


def counted(outcome, label="canary"):
    return METRICS.shadow.get(("m", label, outcome))


def shadowed(core, work, options="m:canary", split="m:stable=1"):
    """Rows by outcome that came of `await work(ask)`; `ask()` asks once and gives y."""
    outcomes = ("agreed", "disagreed", "failed", "dropped")
    before = {each: counted(each) for each in outcomes}

    async def main():
        routed = router(core, split, shadow=[options])

        async def ask():
            return (await routed.servable(ModelSpec("m")).run("serving_default", X))["y"].tolist()

        await work(ask)
        for _ in range(3):  # what was sent begins, and reads the folders
            await asyncio.sleep(0.02)
        await routed.close()

    asyncio.run(main())
    return {each: counted(each) - before[each] for each in outcomes if counted(each) > before[each]}


def test_a_shadow_is_compared_row_by_row(core):
    async def work(ask):
        assert await ask() == [1, 2]

    assert shadowed(core, work) == {"agreed": 2}
    core.versions[2].step = np.float32([0, 1])
    assert shadowed(core, work) == {"agreed": 1, "disagreed": 1}
    assert core.versions[2].asked == ["serving_default"] * 2


def test_a_shadow_that_dies_or_hangs_or_is_not_there_changes_nothing(core):
    async def work(ask):
        assert await asyncio.wait_for(ask(), 1) == [1, 2]

    core.versions[2].step = None
    assert shadowed(core, work) == {"failed": 2}
    core.labels.clear()
    assert shadowed(core, work, split="m:1=1") == {"failed": 2}


def test_a_shadow_that_hangs_is_neither_waited_for_nor_asked_for_ever(core):
    core.versions[2].wait.clear()

    async def work(ask):
        for _ in range(150):
            assert await asyncio.wait_for(ask(), 1) == [1, 2]
        await asyncio.sleep(0.01)
        assert len(core.versions[2].asked) == 128

    assert shadowed(core, work)["dropped"] == 2 * (150 - 128)


def test_a_version_is_no_shadow_of_itself(core, caplog):
    async def work(ask):
        assert await ask() == [1, 2]

    assert shadowed(core, work, split="m:canary=1") == {}
    assert "answers itself" not in caplog.text
    assert shadowed(core, work, options="m:3", split="other:a=1") == {}
    assert "model m: 3 is the newest and answers itself" in caplog.text


def test_a_shadow_is_asked_its_share(core):
    async def work(ask):
        for _ in range(2000):
            await ask()
            await asyncio.sleep(0)

    found = shadowed(core, work, options="m:canary=10")
    # Five standard deviations of a binomial of 2000 times 0.1; two rows each.
    assert abs(sum(found.values()) / 2 - 200) <= 67
