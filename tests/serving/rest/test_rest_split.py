"""REST requests that name no version, by weight: through ASGI, and by the short way around it."""

import asyncio
import contextlib
import http.client
import json
from collections import Counter
from pathlib import Path

import pytest
from small_core import SmallCore, ask
from small_server import serving

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.options import RestOptions
from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits
from tfkit_serving.routing.router import Router

PREDICT = "/v1/models/half:predict"
ONE = b'{"instances": [1.0]}'
HALF = b'{\n    "predictions": [2.5\n    ]\n}'


def app(split="half:1=90,2=10", shadow=(), options=None):
    core = SmallCore()
    for each in core.versions.values():
        each.path = Path("nowhere")
    router = Router(core, RoutingOptions(parse_splits([split]), parse_shadows(shadow)))
    return create_app(core, options or RestOptions(), router)


class Answered:
    """Requests by the version that answered, as the metrics count them, since the block began."""

    def __enter__(self):
        self._before = self._now()
        return self

    def __exit__(self, *_):
        self.by_version = self._now() - self._before

    def _now(self):
        counts = Counter()
        for (model, version, _, code), count in METRICS.signature_requests.values.items():
            if (model, code) == ("half", "OK"):
                counts[int(version)] += int(count)
        return counts


def together(application, *requests):
    async def main():
        return [await ask(application, method, path, ONE, headers) for method, path, headers in requests]

    return asyncio.run(main())


@pytest.fixture
def connection():
    """A connection to a server with a split, whose paths are known: requests take the short way."""
    application = app()
    with (
        serving(app=application) as port,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as found,
    ):
        post(found)
        assert application.direct(PREDICT.encode(), [(b"x-sticky-key", b"user")]) is not None
        yield found


def post(connection, **headers):
    connection.request("POST", PREDICT, ONE, headers)
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (200, HALF)


def test_replies_are_the_same_and_versions_come_by_weight():
    with Answered() as answered:
        replies = together(app(), *[("POST", PREDICT, {})] * 2000)
    assert {(each.status, each.body) for each in replies} == {(200, HALF)}
    # Five standard deviations of a binomial of 2000 times 0.1.
    assert answered.by_version.total() == 2000
    assert abs(answered.by_version[2] - 200) <= 67


def test_the_short_way_is_split_too(connection):
    with Answered() as answered:
        for _ in range(2000):
            post(connection)
    assert answered.by_version.total() == 2000
    assert abs(answered.by_version[2] - 200) <= 67


def test_a_key_keeps_a_caller_by_either_way(connection):
    users = [f"user-{number}" for number in range(60)]
    seen = set()
    for user in users:
        with Answered() as answered:
            post(connection, **{"X-Sticky-Key": user})
            post(connection, **{"X-Sticky-Key": user, "X-Request-Id": "1"})  # the long way
            together(app(), ("POST", PREDICT, {"X-Sticky-Key": user}))
        ((version, count),) = answered.by_version.items()
        assert count == 3
        seen.add(version)
    assert seen == {1, 2}


@pytest.mark.parametrize(("path", "version"), [("/v1/models/half/versions/2:predict", 2), (PREDICT, 1)])
def test_a_version_that_is_named_is_asked(path, version):
    with Answered() as answered:
        together(app("half:1=1"), *[("POST", path, {})] * 20)
    assert answered.by_version == {version: 20}


def test_metadata_and_status_stay_the_newest_ones():
    metadata, status = together(
        app("half:1=1"), ("GET", "/v1/models/half/metadata", {}), ("GET", "/v1/models/half", {})
    )
    assert json.loads(metadata.body)["model_spec"]["version"] == "2"
    assert len(json.loads(status.body)["model_version_status"]) == 2


def test_the_request_log_names_the_version_that_answered(tmp_path):
    path = tmp_path / "log"
    application = app("half:1=1", options=RestOptions(request_log=str(path)))
    together(application, ("POST", PREDICT, {"X-Sticky-Key": "a user"}))
    application._observer.close()
    line = path.read_text()
    assert json.loads(line)["version"] == 1
    assert "a user" not in line


def test_a_body_that_is_read_twice_is_drawn_once():
    before = METRICS.split_passed_over.get(("half", "9"))
    twice = b'{"instances": [1.0], "instances": [2.0]}'  # a name that comes twice is for the exact reader
    reply = asyncio.run(ask(app("half:9=1"), "POST", PREDICT, twice))
    assert (reply.status, reply.body) == (200, HALF)
    assert METRICS.split_passed_over.get(("half", "9")) == before + 1


def test_a_shadow_of_rest_requests_is_compared():
    application = app("half:1=1", ["half:2"])
    before = METRICS.shadow.get(("half", "2", "agreed"))

    async def main():
        await ask(application, "POST", PREDICT, b'{"instances": [1.0, 2.0, 3.0]}')
        while METRICS.shadow.get(("half", "2", "agreed")) == before:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 10))
    assert METRICS.shadow.get(("half", "2", "agreed")) == before + 3
