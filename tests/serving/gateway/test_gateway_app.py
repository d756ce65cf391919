"""The gateway's API over a fake server that computes in Python."""

import asyncio
import json

import numpy as np
import pytest

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits

GOOD = {"text": "good"}  # half of its letters are "o"


def test_a_text_is_answered_with_its_label(gateway):
    api = gateway()
    reply = api.post("/sentiment", {"text": "ooog"})
    assert (reply.status_code, reply.json()) == (200, {"label": "positive", "score": 0.75})
    assert reply.headers["x-model-version"] == "10"
    model, version, inputs = api.server.calls[-1]
    assert (model, version, inputs["text"].shape, inputs["text"][0, 0]) == ("sentiment", 10, (1, 1), b"ooog")
    every = api.post("/sentiment?scores=true", {"text": "ooog"}).json()
    assert every["scores"] == {"negative": 0.25, "positive": 0.75}


def test_rows_are_sent_at_once_and_come_back_in_order(gateway):
    api = gateway()
    rows = [{"rooms": rooms, "place": [rooms, 1.5]} for rooms in range(5)]
    reply = api.post("/price", {"rows": rows})
    assert reply.json() == {"rows": [{"value": rooms * (rooms + 1.5)} for rooms in range(5)]}
    _, _, inputs = api.server.calls[-1]
    assert len(api.server.calls) == 1
    assert inputs["rooms"].dtype == np.int32
    assert inputs["place"].dtype == np.float32


def test_outputs_of_an_unknown_task_keep_their_names(gateway):
    assert gateway().post("/embed", GOOD).json() == {"vector": [0.5, 0.5, 0.5], "n": 4}


@pytest.mark.parametrize(
    ("path", "body", "field", "words"),
    [
        ("/sentiment", {"text": 3}, "text", "expected a string; got 3"),
        ("/sentiment", {}, "text", "is missing; expected a string"),
        ("/sentiment", {"texts": "a"}, "texts", "is no field of 'sentiment'; there is text"),
        ("/sentiment", [1], "body", "expected an object with text"),
        ("/sentiment", {"rows": []}, "rows", "expected a list of rows; got none"),
        (
            "/sentiment", {"rows": [GOOD] * 5}, "rows",
            "expected a list of rows; got 5, and one request takes 4: send them in several",
        ),
        (
            "/price", {"rows": [{"rooms": 1, "place": [1, 2]}, {"rooms": 1, "place": [1]}]}, "rows[1].place",
            "expected a list of 2 numbers; got a list of 1",
        ),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_in_words(gateway, path, body, field, words):
    reply = gateway(max_rows=4).post(path, body)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert {"field": field, "detail": words} in reply.json()["errors"]
    assert f"{field}: {words}" in reply.json()["detail"]
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"text": "a"} x', b'{"text": NaN}', b"null", b'"a"']
)
def test_a_body_that_is_no_row_is_the_callers_fault(gateway, body):
    reply = gateway().ask("POST", "/sentiment", content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    assert reply.json()["detail"]


@pytest.mark.parametrize(
    ("code", "status", "again"),
    [
        ("INVALID_ARGUMENT", 400, False),
        ("NOT_FOUND", 503, True),
        ("UNAVAILABLE", 503, True),
        ("DEADLINE_EXCEEDED", 504, False),
        ("INTERNAL", 502, False),
    ],
)
def test_the_servers_own_text_is_passed_on(gateway, code, status, again):
    api = gateway()
    api.post("/sentiment", GOOD)
    api.server.error = ServingError(code, "Matrix size-incompatible: In[0]: [1,31]")
    reply = api.post("/sentiment", GOOD)
    assert reply.status_code == status
    assert "Matrix size-incompatible: In[0]: [1,31]" in reply.json()["detail"]
    assert ("retry-after" in reply.headers) == again
    assert api.metric("tfkit_gateway_upstream_seconds_count", model="sentiment", code=code) >= 1


def test_a_server_that_hangs_is_not_waited_for(gateway):
    api = gateway(timeout=0.05)
    api.server.delay = 10
    reply = api.post("/sentiment", GOOD)
    assert (reply.status_code, "0.05 seconds" in reply.json()["detail"]) == (504, True)


def test_a_version_that_was_unloaded_meanwhile_is_looked_up_again(gateway):
    api = gateway()
    assert api.post("/sentiment", GOOD).headers["x-model-version"] == "10"
    api.server.versions = {11}
    assert api.post("/sentiment", {"text": "oog"}).headers["x-model-version"] == "11"


def test_versions_and_labels_are_routed(gateway):
    api = gateway()
    one = api.post("/sentiment?label=stable", {"text": "ooog"})
    # Version 9 answers the other way round, and its own tfkit.json has other labels.
    assert (one.headers["x-model-version"], one.headers["x-model-label"]) == ("9", "stable")
    assert one.json() == {"label": "bad", "score": 0.75}
    assert api.post("/sentiment?version=9", GOOD).headers["x-model-version"] == "9"
    unknown = api.post("/sentiment?label=nope", GOOD)
    assert (unknown.status_code, "label 'nope'" in unknown.json()["detail"]) == (400, True)
    assert api.post("/sentiment?label=stable&version=9", GOOD).status_code == 400
    for query in ("version=x", "version=-1", f"version={2**63}", "label=..%2F..", "label=", "label=a%00"):
        assert api.post(f"/sentiment?{query}", GOOD).status_code == 422


def test_a_split_is_kept_by_weight_and_by_caller(gateway):
    api = gateway(routing=RoutingOptions(parse_splits(["sentiment:stable=70,canary=30"])))
    for user in range(300):
        headers = {"x-sticky-key": f"user-{user}"}
        labels = {api.post("/sentiment", GOOD, headers=headers).headers["x-model-label"] for _ in range(2)}
        assert len(labels) == 1
    canary = api.metric("tfkit_gateway_routed_rows_total", label="canary", version="10")
    stable = api.metric("tfkit_gateway_routed_rows_total", label="stable", version="9")
    assert stable + canary == 600
    # Four standard deviations of a share of 0.3 over 300 callers.
    assert canary / 600 == pytest.approx(0.3, abs=0.106)
    assert "x-model-label" not in api.post("/price", {"rooms": 1, "place": [1, 1]}).headers


def test_a_label_that_was_taken_back_leaves_its_share_to_the_others(gateway):
    api = gateway(routing=RoutingOptions(parse_splits(["stable=1,canary=99"])))
    del api.server.labels["canary"]
    assert {api.post("/sentiment", GOOD).headers["x-model-label"] for _ in range(5)} == {"stable"}
    api.server.labels.clear()
    api.rest(1.1)
    assert api.post("/sentiment", GOOD).status_code == 503


def test_a_shadow_is_compared_and_never_waited_for(gateway):
    api = gateway(routing=RoutingOptions(shadows=parse_shadows(["stable"])))
    # "oo--" is half each way: both versions say class 1's 0.5; "ooog" they tell apart.
    for text in ("ooog", "oooo", "gggg"):
        assert api.post("/sentiment", {"text": text}).status_code == 200
    api.rest()
    assert api.metric("tfkit_gateway_shadow_rows_total", model="sentiment", outcome="disagreed") == 3
    api.post("/price", {"rooms": 2, "place": [1, 1]})
    api.rest()
    assert api.metric("tfkit_gateway_shadow_rows_total", model="price", outcome="agreed") == 1
    del api.server.labels["stable"]
    api.rest(1.1)
    assert api.post("/sentiment", GOOD).status_code == 200
    api.rest()
    assert api.metric("tfkit_gateway_shadow_rows_total", model="sentiment", outcome="failed") == 1


def test_labels_that_come_back_make_the_accuracy(gateway):
    api = gateway()
    for number in range(10):
        text = "ooog" if number < 6 else "gggo"
        reply = api.post("/sentiment", {"text": text}, headers={"x-request-id": f"id-{number}"})
        assert reply.headers["x-request-id"] == f"id-{number}"
        told = api.post("/sentiment/feedback", {"request_id": f"id-{number}", "label": "positive"})
    assert told.json()["version"] == 10
    assert told.json()["accuracy"] == 0.6
    assert api.metric("tfkit_feedback_accuracy", model="sentiment", version="10") == 0.6
    assert api.metric("tfkit_feedback_rows_total", model="sentiment", version="10") == 10
    again = api.post("/sentiment/feedback", {"request_id": "id-0", "label": "positive"})
    assert (again.status_code, "labelled before" in again.json()["detail"]) == (404, True)


def test_values_that_come_back_make_the_error(gateway):
    api = gateway()
    api.post("/price", {"rows": [{"rooms": 1, "place": [1, 1]}] * 2}, headers={"x-request-id": "a"})
    told = api.post("/price/feedback", {"request_id": "a", "label": [3.0, 2.0]}).json()
    assert (told["mean_absolute_error"], told["root_mean_squared_error"]) == (0.5, pytest.approx(0.5**0.5))


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, "float32"), (np.inf, "float32"), (1e308, "float64")])
def test_an_answer_that_no_error_can_be_taken_of_spoils_none(gateway, value, dtype):
    api = gateway()
    row = {"rooms": 1, "place": [1, 1]}
    api.post("/price", row, headers={"x-request-id": "good"})
    api.server.predict = lambda *_, **__: asyncio.sleep(0, np.full((1, 1), value, dtype))
    assert api.post("/price", row, headers={"x-request-id": "bad"}).status_code == 200
    assert api.post("/price/feedback", {"request_id": "bad", "label": -1e38}).status_code == 404
    assert api.post("/price/feedback", {"request_id": "good", "label": 2.5}).json()["mean_absolute_error"] == 0.5
    assert api.metric("tfkit_feedback_mean_absolute_error", model="price", version="10") == 0.5


def test_drift_gauges_stay_still_and_move_with_the_inputs(gateway):
    api = gateway(drift_window=500)
    generator = np.random.default_rng(1)
    psi = []
    for shift in (0.0, 1.0):
        rows = [{"rooms": 1, "place": (generator.normal(shift, 1, 2)).tolist()} for _ in range(500)]
        assert api.post("/price", {"rows": rows}).status_code == 200
        psi.append(api.metric("tfkit_drift_psi", model="price", version="10", feature="place[0]"))
        # Both places shifted by one shift their sum by √2 of its own standard deviations: the index is δ².
        psi.append(api.metric("tfkit_drift_psi", model="price", version="10", feature="price[0]"))
    assert max(psi[:2]) < 0.1
    assert psi[2] == pytest.approx(1.0, abs=0.25)
    assert psi[3] == pytest.approx(2.0, abs=0.5)
    assert api.metric("tfkit_drift_rows", model="price", version="10") == 500
    for _ in range(30):
        api.post("/sentiment", {"rows": [{"text": "ooog"}] * 3 + [{"text": "gggg"}]})
    assert api.metric("tfkit_drift_rows", model="sentiment") is None  # it has no profile


def test_health_tells_the_gateway_and_readiness_the_server(gateway):
    api = gateway()
    assert api.ask("GET", "/readyz").json()["versions"] == {"embed": 10, "price": 10, "sentiment": 10}
    api.server.error = ServingError("UNAVAILABLE", "connection refused")
    api.rest(1.1)
    assert api.ask("GET", "/healthz").status_code == 200
    reply = api.ask("GET", "/readyz")
    assert (reply.status_code, "connection refused" in reply.text) == (503, True)


def test_the_document_has_the_types_and_the_example(gateway):
    api = gateway()
    document = api.ask("GET", "/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert schemas["sentiment_row"]["properties"]["text"]["type"] == "string"
    assert schemas["sentiment_row"]["examples"] == [{"text": "good"}]
    assert schemas["price_row"]["properties"]["place"]["minItems"] == 2
    assert schemas["price_row"]["properties"]["rooms"]["type"] == "integer"
    assert "/sentiment/feedback" in document["paths"]
    assert "/embed/feedback" not in document["paths"]
    assert "openapi.json" in api.ask("GET", "/docs").text


def test_requests_are_counted_and_logged(gateway):
    api = gateway()
    api.post("/sentiment", GOOD, headers={"traceparent": f"00-{'ab' * 16}-{'12' * 8}-01"})
    api.post("/sentiment", {}, headers={"x-request-id": "bad id\x01"})
    assert api.metric("tfkit_gateway_requests_total", route="/sentiment", code="200") == 1
    assert api.metric("tfkit_gateway_requests_total", route="/sentiment", code="422") == 1
    assert api.metric("tfkit_gateway_request_seconds_count", route="/sentiment") == 2
    first, second = (json.loads(line) for line in api.lines[:2])
    assert (first["trace.id"], first["labels.model_version"]) == ("ab" * 16, "10")
    assert (second["log.level"], "text: is missing" in second["error.message"]) == ("warn", True)
    assert second["http.request.id"] != "bad id\x01"
