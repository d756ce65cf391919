"""The order of loading and unloading, with versions that take no process."""

import asyncio
from pathlib import Path

import pytest

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.model import ModelVersions


class Fake:
    """A version that loads when it is let, or fails as often as it is told."""

    def __init__(self, version, path):
        self.version, self.path, self.closed = version, path, False
        self.failed = None

    async def close(self, drain_seconds=30.0):
        self.closed = True


class Loader:
    def __init__(self, failures=None):
        self.failures, self.loads, self.most, self.now = failures or {}, [], 0, 0

    async def __call__(self, name, version, path):
        self.loads.append(version)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        if self.failures.get(version, 0) > 0:
            self.failures[version] -= 1
            raise ServingError("INVALID_ARGUMENT", f"version {version} is damaged")
        return Fake(version, path)


def folders(*versions, base="/m"):
    return {each: Path(base, str(each)) for each in versions}


def stamps(*versions, files=1):
    return dict.fromkeys(versions, (("saved_model.pb", files, 0),))


def versions(loader, slots=2, retries=2):
    return ModelVersions("m", loader, asyncio.Semaphore(slots), retries=retries, retry_seconds=0.02)


def states(model):
    return {each.version: each.state for each in model.statuses()}


def test_no_more_are_loaded_at_a_time_than_there_are_slots():
    async def body():
        loader = Loader()
        model = versions(loader, slots=3)
        model.aspire(folders(*range(8)), stamps(*range(8)))
        assert set(states(model).values()) == {"START"}
        await model.tried()
        assert loader.most == 3
        assert set(states(model).values()) == {"AVAILABLE"}
        assert model.servable().version == 7
        assert [each.version for each in model.servables()] == list(range(7, -1, -1))

    asyncio.run(body())


@pytest.mark.parametrize(("failures", "loads", "state"), [(2, 3, "AVAILABLE"), (3, 3, "END")])
def test_a_failed_load_is_tried_again_so_often(failures, loads, state):
    async def body():
        loader = Loader({1: failures})
        model = versions(loader)
        model.aspire(folders(1), stamps(1))
        await model.tried()
        assert [(each.state, each.code, each.message) for each in model.statuses()] == [
            ("END", "INVALID_ARGUMENT", "version 1 is damaged")
        ]
        await asyncio.sleep(0.2)
        assert loader.loads == [1] * loads
        assert states(model) == {1: state}
        model.aspire(folders(1), stamps(1))  # nothing has changed
        await asyncio.sleep(0.05)
        assert len(loader.loads) == loads
        if state == "END":
            model.aspire(folders(1), stamps(1, files=2))
            await model.tried()
            assert states(model) == {1: "AVAILABLE"}

    asyncio.run(body())


def test_an_old_version_goes_only_when_a_new_one_is_there():
    async def body():
        model = versions(Loader({2: 99}))
        model.aspire(folders(1), stamps(1))
        await model.tried()
        old = model.servable()
        model.aspire(folders(2), stamps(2))
        await model.tried()
        await asyncio.sleep(0.1)
        assert states(model) == {1: "AVAILABLE", 2: "END"}
        assert model.servable() is old
        model.aspire(folders(2, 3), stamps(2, 3))
        await model.tried()
        await asyncio.sleep(0.01)
        assert states(model) == {1: "END", 2: "END", 3: "AVAILABLE"}
        assert old.closed

    asyncio.run(body())


def test_nothing_to_serve_unloads_all_and_loading_is_given_up():
    async def body():
        loader = Loader()
        model = versions(loader, slots=1)
        model.aspire(folders(1, 2), stamps(1, 2))
        await asyncio.sleep(0)
        model.aspire({})
        await asyncio.wait_for(model.tried(), 1)
        await asyncio.sleep(0.05)
        assert states(model) == {1: "END", 2: "END"}
        assert model.servable() is None

    asyncio.run(body())


def test_a_version_that_is_wanted_again_is_loaded_again():
    async def body():
        model = versions(Loader())
        for wanted in (folders(1), {}, folders(1)):
            model.aspire(wanted, stamps(*wanted))
        await asyncio.wait_for(model.tried(), 1)
        assert states(model) == {1: "AVAILABLE"}
        model.aspire({})
        model.aspire(folders(1), stamps(1))  # while it unloads
        await asyncio.wait_for(model.tried(), 1)
        assert states(model) == {1: "AVAILABLE"}

    asyncio.run(body())


def test_another_folder_takes_over_without_a_gap():
    async def body():
        loader = Loader()
        model = versions(loader)
        model.aspire(folders(1), stamps(1))
        await model.tried()
        first = model.servable()
        model.aspire(folders(1, base="/other"), stamps(1))
        assert model.servable(1) is first
        await model.tried()
        await asyncio.sleep(0.01)
        assert model.servable(1).path == Path("/other/1")
        assert model.servable() is model.servable(1)
        assert first.closed

    asyncio.run(body())


def test_one_that_is_given_up_ends_and_a_lower_one_takes_over():
    async def body():
        model = versions(Loader())
        model.aspire(folders(1, 2), stamps(1, 2))
        await model.tried()
        broken = model.servable(2)
        broken.failed(ServingError("UNAVAILABLE", "it died too often"))
        assert model.servable().version == 1
        assert model.statuses()[0].message == "it died too often"
        await asyncio.sleep(0)
        assert broken.closed

    asyncio.run(body())
