"""API keys over REST: by the long way, and by the quick one."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_core import SmallCore, asked, error_of
from small_server import serving, talk

from tfkit_serving.access import Gate, Key, KeyRing
from tfkit_serving.rest.app import create_app
from tfkit_serving.rest.options import RestOptions

PREDICT = "/v1/models/half:predict"
ONE = {"instances": [1.0]}
HALF = b'{\n    "predictions": [2.5\n    ]\n}'
WEB = {"Authorization": "Bearer web-key"}


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def keyed(options=None, rate=None, models=("half", "nope"), core=None):
    """An application with the keys web-key, of some models, and all-key; and what it counts."""
    reasons = []
    keys = [Key("web", digest("web-key"), rate, frozenset(models)), Key("all", digest("all-key"))]
    gate = Gate(KeyRing(keys), reasons.append, clock=lambda: 0.0)
    return create_app(core or SmallCore(), options or RestOptions(), gate=gate), reasons


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", PREDICT),
        ("POST", "/v1/models/half/versions/1:classify"),
        ("POST", "/v1/models/nope:regress"),
        ("GET", "/v1/models/half"),
        ("GET", "/V1/models/half/metadata"),
        ("GET", "/v1/models"),
        ("PUT", "/v1/models/half"),
        ("GET", "/v1/other"),
        ("GET", "/openapi.json"),
    ],
)
def test_the_api_takes_a_key_whatever_is_asked(method, path):
    app, reasons = keyed()
    none = asked(app, method, path, ONE)
    assert (none.status, none.headers["www-authenticate"]) == (401, "Bearer")
    assert none.headers["content-type"] == "application/json"
    assert none.body == b'{\n    "error": "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"\n}'
    wrong = asked(app, method, path, ONE, {"X-API-Key": "web-kez"})
    assert (wrong.status, error_of(wrong)) == (401, "the API key is not known")
    assert reasons == ["no key", "unknown key"]


def test_probes_metrics_and_preflights_take_none():
    app, _ = keyed(RestOptions(cors=True))
    for path in ("/healthz", "/readyz", "/monitoring/prometheus/metrics"):
        assert asked(app, "GET", path).status == 200
    preflight = asked(app, "OPTIONS", PREDICT, headers={"Origin": "https://example.org"})
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-headers"] == "Content-Type, Authorization, X-API-Key"
    assert asked(app, "GET", "/nowhere").status == 404


@pytest.mark.parametrize("header", [{"authorization": "bearer web-key"}, {"x-api-key": "web-key"}])
def test_a_key_opens_its_models(header):
    app, _ = keyed()
    assert asked(app, "POST", PREDICT, ONE, header).body == HALF
    assert asked(app, "GET", "/v1/models/half/metadata", headers=header).status == 200
    assert asked(app, "POST", "/v1/models/nope:predict", ONE, header).status == 404
    for method, path in (("POST", "/v1/models/third:predict"), ("GET", "/v1/models/third"), ("GET", "/v1/models")):
        refused = asked(app, method, path, ONE, header)
        assert refused.status == 403
        assert error_of(refused).startswith("the key 'web' does not open '")
    assert asked(app, "POST", "/v1/models/third:predict", ONE, {"x-api-key": "all-key"}).status == 404


def test_beyond_its_rate_a_key_waits():
    app, reasons = keyed(rate=2.0)
    replies = [asked(app, "POST", PREDICT, ONE, WEB) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].headers["retry-after"] == "1"
    assert error_of(replies[2]) == "the key 'web' may send 2 requests a second"
    assert asked(app, "GET", "/v1/models/half", headers={"x-api-key": "all-key"}).status == 200
    assert reasons == ["rate"]


def test_paths_are_learned_from_callers_with_a_key_alone():
    app, _ = keyed()
    for number in range(3):
        asked(app, "POST", f"/v1/models/half/versions/{number}:predict", ONE)
    assert app.direct(PREDICT.encode(), []) is None
    asked(app, "POST", PREDICT, ONE, WEB)
    assert app.direct(PREDICT.encode(), [(b"x-api-key", b"web-key")]) is not None
    assert list(app._known) == [("POST", PREDICT.encode())]


def test_the_document_tells_of_the_models_that_a_key_opens(tmp_path):
    core = SmallCore()
    for each in core.versions.values():
        each.path = tmp_path
    core.servables = lambda: list(core.versions.values())
    app, _ = keyed(models=("half",), core=core)
    document = json.loads(asked(app, "GET", "/openapi.json", headers=WEB).body)
    assert list(document["paths"]) == ["/v1/models/half", "/v1/models/half/metadata"]
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
    app, _ = keyed(models=("other",), core=core)
    assert json.loads(asked(app, "GET", "/openapi.json", headers=WEB).body)["paths"] == {}


def test_the_log_has_the_keys_name_and_no_key(tmp_path):
    path = tmp_path / "requests.jsonl"
    app, _ = keyed(RestOptions(request_log=str(path)))
    for headers in (WEB, {"x-api-key": "guessed-key"}):
        asked(app, "POST", PREDICT, ONE, headers)
    asked(app, "POST", "/v1/models/third:predict", ONE, WEB)
    app._observer.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["user"], line["status"]) for line in lines] == [("web", 200), (None, 401), ("web", 403)]
    assert "-key" not in path.read_text()


def test_a_key_of_ten_megabytes_is_unknown():
    app, _ = keyed()
    for header in ({"x-api-key": "k" * 10_000_000}, {"authorization": "Bearer " + "k" * 10_000_000}):
        reply = asked(app, "POST", PREDICT, ONE, header)
        assert (reply.status, len(reply.body) < 200) == (401, True)


def raw(path, *headers):
    body = json.dumps(ONE).encode()
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.serving
def test_the_quick_way_is_no_way_around(monkeypatch):
    app, reasons = keyed(rate=3.0)
    direct, quick = app.direct, []
    monkeypatch.setattr(app, "direct", lambda *given: quick.append(direct(*given)) or quick[-1])
    path, key, close = PREDICT.encode(), b"Authorization: Bearer web-key", b"Connection: close"
    with serving(app=app) as port:
        learned = talk(port, raw(path, key, close))
        assert (learned.endswith(HALF), quick.pop()) == (True, None)
        assert talk(port, raw(path, key, close)).endswith(HALF)
        assert quick.pop() is not None
        for wrong in (b"X-Other: web-key", b"X-API-Key: nope", b"Authorization: Basic web-key"):
            assert talk(port, raw(path, wrong, close)).startswith(b"HTTP/1.1 401 ")
            assert quick.pop() is None
        # One connection: with the key, without one, with another, and beyond the rate.
        pipeline = talk(port, raw(path, key) + raw(path) + raw(path, b"X-API-Key: all-key") + raw(path, key, close))
        statuses = [part[:3] for part in pipeline.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"401", b"200", b"429"]
        assert b"\r\nretry-after: 1\r\n" in pipeline
        over = talk(port, raw(path, key, close))
        assert (over[9:12], quick.pop()) == (b"429", None)
    assert reasons == ["no key", "unknown key", "no key", "no key", "rate", "rate"]


@pytest.mark.serving
def test_odd_and_endless_keys_over_a_socket():
    app, _ = keyed()
    with serving(app=app) as port:
        talk(port, raw(PREDICT.encode(), b"X-API-Key: all-key"))
        assert b" 431 " in talk(port, raw(PREDICT.encode(), b"X-API-Key: " + b"k" * 10_000_000)[:200_000])

        @settings(max_examples=50, deadline=None)
        @given(st.binary(min_size=1, max_size=40))
        def ask(key):
            if not {0, 10, 13}.isdisjoint(key):
                return
            reply = talk(port, raw(PREDICT.encode(), b"Connection: close", b"Authorization: Bearer " + key))
            # Bytes that no header may hold are no HTTP.
            assert reply[9:12] in (b"401", b"400")

        ask()
