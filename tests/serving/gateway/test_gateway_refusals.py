"""What the gateway refuses, and in which words."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfkit_serving.access import Key, KeyRing
from tfkit_serving.routing.options import RoutingOptions, parse_splits

GOOD = {"text": "good"}


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
KNOWN = st.fixed_dictionaries({}, optional={"rooms": JSON, "place": JSON, "rows": JSON})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"request_id": "a", "label": "positve"}, "has no class 'positve'; there are negative, positive"),
        ({"request_id": "a", "label": 1}, "a class, a string; got 1"),
        ({"request_id": "a", "label": ["positive", "negative"]}, "takes as many labels; got 2"),
        ({"request_id": "a"}, "label: is missing"),
    ],
)
def test_wrong_feedback_is_told(gateway, body, words):
    api = gateway()
    api.post("/sentiment", GOOD, headers={"x-request-id": "a"})
    reply = api.post("/sentiment/feedback", body)
    assert (reply.status_code, words in reply.json()["detail"]) == (422, True), reply.text


def test_keys_open_what_they_may(gateway):
    digest = hashlib.sha256(b"s3cret").hexdigest()
    ring = KeyRing([Key("web", digest, 2.0, frozenset({"sentiment"}))])
    api = gateway(keys=ring)
    none = api.post("/sentiment", GOOD)
    assert (none.status_code, none.headers["www-authenticate"]) == (401, "Bearer")
    assert api.post("/sentiment", GOOD, headers={"authorization": "Bearer guess"}).status_code == 401
    assert api.post("/sentiment", GOOD, headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert api.post("/price", {"rooms": 1, "place": [1, 1]}, headers={"x-api-key": "s3cret"}).status_code == 403
    assert api.post("/sentiment/feedback", {}).status_code == 401
    assert api.post("/sentiment", GOOD, headers={"x-api-key": "s3cret"}).status_code == 200
    over = api.post("/sentiment", GOOD, headers={"x-api-key": "s3cret"})
    assert (over.status_code, over.headers["retry-after"]) == (429, "1")
    assert api.ask("GET", "/healthz").status_code == 200
    assert "s3cret" not in "".join(api.lines)
    assert json.loads(api.lines[2])["user.name"] == "web"


def test_large_bodies_are_refused_with_and_without_their_length(gateway):
    api = gateway(max_body_bytes=100)
    body = json.dumps({"text": "o" * 200}).encode()

    async def pieces():
        for _ in range(10):
            yield body

    for content in (body, pieces()):
        reply = api.ask("POST", "/sentiment", content=content, headers={"content-type": "application/json"})
        assert (reply.status_code, reply.headers["connection"]) == (413, "close")
    assert not api.server.calls


def test_more_requests_than_may_be_at_a_time_are_sent_away(gateway):
    api = gateway(max_concurrent=2)
    api.server.delay = 0.2
    replies = api.together(*[("POST", "/sentiment", {"json": GOOD})] * 5)
    codes = sorted(reply.status_code for reply in replies)
    assert codes == [200, 200, 503, 503, 503]
    assert all("retry-after" in reply.headers for reply in replies if reply.status_code == 503)


def test_unknown_paths_and_verbs_say_what_there_is(gateway):
    api = gateway()
    for method, path, status in (("GET", "/sentiment", 405), ("POST", "/nope", 404), ("GET", "/..%2f..%2fetc", 404)):
        reply = api.ask(method, path)
        assert reply.status_code == status
        assert "POST /sentiment" in reply.json()["detail"]
    assert api.metric("tfkit_gateway_requests_total", route="other", code="404") == 2


def test_a_caller_who_leaves_is_logged_and_nobody_else_is_touched(gateway):
    api = gateway()
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/sentiment", "query_string": b"", "scheme": "http",
        "headers": [(b"content-type", b"application/json")], "server": ("gateway", 80), "root_path": "",
    }  # fmt: skip
    api.loop.run_until_complete(api.application(scope, receive, send))
    assert api.post("/sentiment", GOOD).status_code == 200
    assert api.metric("tfkit_gateway_in_flight_requests") == 1  # that of /metrics itself


def test_no_json_is_the_gateways_fault(gateway):
    api = gateway()

    @settings(max_examples=150, deadline=None)
    @given(JSON | KNOWN | st.fixed_dictionaries({"rows": st.lists(KNOWN, max_size=3)}))
    def ask(body):
        content = json.dumps(body).encode()
        reply = api.ask("POST", "/price", content=content, headers={"content-type": "application/json"})
        assert reply.status_code in (200, 400, 422)
        json.loads(reply.content, parse_constant=pytest.fail)

    ask()


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "takes the header Content-Type: application/json; got"),
        ({}, "takes the header Content-Type: application/json"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "a body in gzip is not taken: send it as"),
    ],
)
def test_a_body_of_another_form_is_told_apart_from_a_wrong_one(gateway, headers, words):
    reply = gateway().ask("POST", "/sentiment", content=json.dumps(GOOD).encode(), headers=headers)
    assert reply.status_code == 415
    assert words in reply.json()["detail"]


def test_errors_of_feedback_name_its_own_fields(gateway):
    api = gateway()
    wrong = api.post("/sentiment/feedback", {"request_id": "a", "label": "positive", "labels": ["positive"]})
    assert wrong.json()["detail"] == "labels: is no field of 'sentiment'; there are request_id, label"
    assert "expected an object with request_id, label" in api.post("/sentiment/feedback", []).json()["detail"]


def test_a_split_that_nothing_answers_is_not_ready(gateway):
    api = gateway(routing=RoutingOptions(parse_splits(["sentiment:nolabel=100"])))
    reply = api.ask("GET", "/readyz")
    assert reply.status_code == 503
    assert "none of the labels nolabel of 'sentiment'" in reply.text
