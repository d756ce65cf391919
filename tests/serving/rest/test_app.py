import asyncio
import gzip
import json
import time

import numpy as np
import pytest
from small_core import SmallCore, ask, asked, error_of

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.options import RestOptions

PREDICT = "/v1/models/half:predict"
ONE = b'{"instances": [1.0]}'
HALF = b'{\n    "predictions": [2.5\n    ]\n}'


def test_predict(app):
    reply = asked(app, "POST", PREDICT, {"instances": [[1.0, 2.0]]})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert json.loads(reply.body) == {"predictions": [[2.5, 3.0]]}
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize("dtype", ["float", "double", "int8", "uint8", "int32", "int64", "uint64", "bool", "string"])
def test_every_dtype_there_and_back(app, dtype):
    values = {"bool": [True, False], "string": ["a", "é\0"]}.get(dtype, [1, 100])
    reply = asked(app, "POST", PREDICT, {"signature_name": f"id_{dtype}", "instances": values})
    assert json.loads(reply.body)["predictions"] == values


def test_status_and_metadata(app):
    reply = asked(app, "GET", "/v1/models/half/versions/1")
    assert reply.body == (
        b'{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
        b'    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )
    read = json.loads(asked(app, "GET", "/v1/models/half/metadata").body)
    assert read["model_spec"] == {"name": "half", "version": "2", "signature_name": ""}
    assert set(read["metadata"]["signature_def"]["signature_def"]) == set(SmallCore().versions[1].signatures)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/models/no:predict", ONE, 404, "Servable not found for request: Latest(no)"),
        ("/v1/models/half/versions/9:predict", ONE, 404, "Servable not found for request: Specific(half, 9)"),
        ("/v1/models/half/labels/x:predict", ONE, 400, "Unrecognized servable version label: x"),
        (PREDICT, b'{"signature_name": "no", "instances": [1]}', 400,
         'Serving signature name: "no" not found in signature def'),
        (PREDICT, b'{"signature_name": "none", "instances": [1]}', 400, "Failed to get input map for signature: none"),
        (PREDICT, b'{"signature_name": "id_half", "inputs": 1}', 501, "Conversion of JSON Value: 1 to type: half"),
        (PREDICT, b'{"signature_name": "pair", "instances": [[1]]}', 400,
         "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
         "tensorinfo_map"),
        (PREDICT, b"{" * 5000, 400, "JSON Parse error: Missing a name for object member. at offset: 1"),
        (PREDICT, b'{"instances": ' + b"[" * 70, 400, "JSON Parse error: Nested too deeply. at offset: 77"),
        (PREDICT, b'{"signature_name": "broken", "instances": [1]}', 500,
         "RuntimeError while answering; see the server's log"),
    ],
)  # fmt: skip
def test_errors(app, path, body, status, said):
    reply = asked(app, "POST", path, body)
    assert (reply.status, error_of(reply)) == (status, said)
    assert reply.headers["content-type"] == "application/json"


def test_names_that_are_not_utf8_come_back_as_they_were(app):
    assert b"Latest(\xff\\u0000)" in asked(app, "POST", "/v1/models/%FF%00:predict", ONE).body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/v1", 404), ("POST", "/x", 404), ("GET", "/v1/a b", 400), ("GET", "/%", 400),
     ("TRACE", "/v1/models/half", 501), ("TRACE", "/", 501)],
)  # fmt: skip
def test_pages_of_the_http_library(app, method, path, status):
    reply = asked(app, method, path)
    assert (reply.status, reply.headers["content-type"], reply.headers["connection"]) == (status, "text/html", "close")
    assert reply.body.startswith(b"<HTML><HEAD>\n<TITLE>%d " % status)


def test_preflight():
    site = {"Origin": "http://x.y"}
    plain = asked(create_app(SmallCore()), "OPTIONS", PREDICT, b"", site)
    assert (plain.status, plain.body, plain.headers["content-type"]) == (200, b"", "text/html; charset=ISO-8859-1")
    assert "access-control-allow-origin" not in plain.headers
    open_to_all = create_app(SmallCore(), RestOptions(cors=True))
    for reply in (asked(open_to_all, "OPTIONS", PREDICT, b"", site), asked(open_to_all, "POST", PREDICT, ONE)):
        assert reply.headers["access-control-allow-origin"] == "*"


def test_gzip_bodies(app):
    headers = {"Content-Encoding": "gzip"}
    assert asked(app, "POST", PREDICT, gzip.compress(ONE), headers).body == HALF
    for broken in (ONE, gzip.compress(ONE)[:-10], b""):
        assert error_of(asked(app, "POST", PREDICT, broken, headers)) == "JSON Parse error: The document is empty"


def test_a_gzip_bomb_is_refused():
    app = create_app(SmallCore(), RestOptions(max_body_bytes=1 << 16))
    bomb = gzip.compress(bytes(1 << 24))
    assert len(bomb) < 1 << 16
    reply = asked(app, "POST", PREDICT, bomb, {"Content-Encoding": "gzip"})
    assert reply.status == 413


def test_large_bodies_are_refused_before_they_are_read():
    app = create_app(SmallCore(), RestOptions(max_body_bytes=100))
    announced = asked(app, "POST", PREDICT, chunks=[], headers={"Content-Length": "1000000000"})
    sent = asked(app, "POST", PREDICT, chunks=[b"x" * 60, b"x" * 60, b"never"])
    for reply in (announced, sent, asked(app, "POST", PREDICT, b"x" * 101)):
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert error_of(reply) == "the body is larger than 100 bytes (max_body_bytes)"


def test_a_body_in_pieces(app):
    async def pieces():
        return await ask(app, "POST", PREDICT, chunks=[ONE[:5], b"", ONE[5:], None])

    assert asyncio.run(pieces()) is None  # it was never finished
    big = json.dumps({"instances": [[0.5] * 4_000]}).encode()
    assert len(json.loads(asked(app, "POST", PREDICT, big).body)["predictions"][0]) == 4_000


def test_a_body_that_pauses():
    app = create_app(SmallCore(), RestOptions(body_timeout_seconds=0.05))
    reply = asked(app, "POST", PREDICT, chunks=[b"{"])
    assert (reply.status, reply.headers["connection"]) == (408, "close")


def test_only_so_many_at_a_time():
    app = create_app(SmallCore(), RestOptions(max_in_flight=2))
    slow = b'{"signature_name": "slow", "instances": [1]}'

    async def several():
        return await asyncio.gather(*(ask(app, "POST", PREDICT, slow) for _ in range(4)))

    assert sorted(reply.status for reply in asyncio.run(several())) == [200, 200, 503, 503]
    assert asked(app, "POST", PREDICT, ONE).status == 200


def test_a_call_that_takes_too_long():
    app = create_app(SmallCore(), RestOptions(timeout_seconds=0.05))
    reply = asked(app, "POST", PREDICT, b'{"signature_name": "slow", "instances": [1]}')
    assert (reply.status, error_of(reply)) == (504, "no answer within 0.05 seconds (timeout_seconds)")


def test_health_and_readiness():
    core = SmallCore()
    app = create_app(core)
    core.missing = {"b", "a"}
    assert asked(app, "GET", "/healthz").status == 200
    reply = asked(app, "GET", "/readyz")
    assert (reply.status, reply.body) == (503, b"no version is available of: a, b\n")
    core.missing = set()
    assert asked(app, "GET", "/readyz").status == 200


def test_metrics_page(app):
    before = METRICS._requests.get(("half", "OK"))
    asked(app, "POST", PREDICT, ONE)
    asked(app, "POST", PREDICT, b"{")
    page = asked(app, "GET", "/monitoring/prometheus/metrics")
    assert (page.status, page.headers["content-type"]) == (200, "text/plain")
    lines = page.body.decode().splitlines()
    assert f':tensorflow:serving:request_count{{model_name="half",status="OK"}} {before + 1:g}' in lines
    name = ':tensorflow:serving:request_latency_bucket{model_name="half",API="predict",entrypoint="REST",le='
    assert len([line for line in lines if line.startswith(name)]) == 34
    assert any(line.startswith('tfkit_serving_requests_total{model="half",version="2"') for line in lines)
    query = asked(app, "GET", "/monitoring/prometheus/metrics?x=1")
    assert (query.status, query.body) == (
        400,
        b"Unexpected path: /monitoring/prometheus/metrics?x=1. Should be /monitoring/prometheus/metrics",
    )
    hidden = create_app(SmallCore(), RestOptions(metrics_path=None))
    assert asked(hidden, "GET", "/monitoring/prometheus/metrics").status == 404


def lines_of(path, count):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        time.sleep(0.01)
    raise AssertionError(f"{count} lines were to come; got {lines}")


def test_request_log(tmp_path):
    path = tmp_path / "requests.jsonl"
    app = create_app(SmallCore(), RestOptions(request_log=str(path)))
    named = asked(app, "POST", PREDICT, {"instances": [1, 2, 3]}, {"X-Request-Id": "abc-1"})
    failed = asked(app, "POST", "/v1/models/no:predict", ONE)
    assert named.headers["x-request-id"] == "abc-1"
    first, second = lines_of(path, 2)
    assert abs(first.pop("time") - time.time()) < 60
    assert 0 < first.pop("latency_ms") < 5000
    assert first == {
        "method": "POST", "path": PREDICT, "model": "half", "version": 2, "signature": "serving_default", "status": 200,
        "code": "OK", "rows": 3, "request_id": "abc-1", "user": None,
    }  # fmt: skip
    assert (second["code"], second["status"], second["version"]) == ("NOT_FOUND", 404, None)
    assert second["request_id"] == failed.headers["x-request-id"]


def test_the_log_takes_a_share_and_every_failure(tmp_path):
    path = tmp_path / "requests.jsonl"
    app = create_app(SmallCore(), RestOptions(request_log=str(path), request_log_fraction=0))
    for body in (ONE, b"{", ONE):
        asked(app, "POST", PREDICT, body)
    assert [line["status"] for line in lines_of(path, 1)] == [400]


def test_a_full_disk_costs_lines_only():
    lost = METRICS.counter("tfkit_serving_log_lost_lines_total")
    before = lost.get()
    app = create_app(SmallCore(), RestOptions(request_log="/dev/full"))
    assert asked(app, "POST", PREDICT, ONE).body == HALF
    deadline = time.monotonic() + 5
    while lost.get() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lost.get() == before + 1


def test_lifespan(app):
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_many_requests_at_once_get_their_own_answers(app):
    async def several():
        values = np.arange(500)
        replies = await asyncio.gather(
            *(ask(app, "POST", PREDICT, json.dumps({"instances": [int(value)]}).encode()) for value in values)
        )
        return [json.loads(reply.body)["predictions"][0] for reply in replies]

    assert asyncio.run(several()) == (np.arange(500) / 2 + 2).tolist()


@pytest.mark.parametrize("options", [{"max_depth": 65}, {"max_depth": 1}, {"request_log_fraction": 1.5}])
def test_options_out_of_bounds(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        RestOptions(**options)
