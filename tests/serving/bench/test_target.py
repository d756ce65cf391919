"""The address from a URL, and requests from a model's metadata."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tfkit_serving.bench.target import make_bodies, parse_target


@pytest.mark.parametrize(
    ("url", "model", "address"),
    [
        ("http://h:8501/v1/models/m", None, "http://h:8501/v1/models/m:predict"),
        ("http://h:8501/v1/models/m:predict", None, "http://h:8501/v1/models/m:predict"),
        ("https://h/v1/models/m/versions/3", None, "https://h:443/v1/models/m/versions/3:predict"),
        ("http://h:8501/proxy/", "m", "http://h:8501/proxy/v1/models/m:predict"),
        ("h:8501", "m", "http://h:8501/v1/models/m:predict"),
        ("grpc://h:8500/m", None, "grpc://h:8500/m"),
        ("grpc://h", "m", "grpc://h:8500/m"),
    ],
)
def test_addresses(url, model, address):
    assert parse_target(url, model).address == address


@pytest.mark.parametrize(
    ("url", "words"), [("ftp://h/m", "no server's URL"), ("http://h:1", "--model"), ("grpc://h:1", "grpc://h:1/NAME")]
)
def test_urls_that_say_too_little(url, words):
    with pytest.raises(ValueError, match=words):
        parse_target(url)


def _metadata(inputs):
    described = {
        name: {"dtype": dtype, "tensor_shape": {"dim": [{"size": str(each)} for each in shape], "unknown_rank": False}}
        for name, (dtype, shape) in inputs.items()
    }
    return {"metadata": {"signature_def": {"signature_def": {"serving_default": {"inputs": described}}}}}


@pytest.fixture
def answers():
    """A server that answers what the test puts into the list: a status, then a body."""
    given = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            given.append((self.path, self.headers.get("X-Key")))
            status, body = given[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models/m", given
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_input_is_sent_as_rows(answers):
    url, given = answers
    given.append((200, _metadata({"x": ("DT_FLOAT", [-1, 3])})))
    bodies = [json.loads(each) for each in make_bodies(parse_target(url), rows=2, count=3, headers=[("X-Key", "k")])]
    assert given[1] == ("/v1/models/m/metadata", "k")
    assert len({json.dumps(each) for each in bodies}) == 3
    rows = bodies[0]["instances"]
    assert [len(row) for row in rows] == [3, 3]
    assert all(isinstance(value, float) for row in rows for value in row)


def test_several_inputs_are_named_in_each_row(answers):
    url, given = answers
    given.append((200, _metadata({"ids": ("DT_INT32", [-1, -1]), "text": ("DT_STRING", [-1])})))
    (body,) = make_bodies(parse_target(url), rows=2, count=1)
    first, second = json.loads(body)["instances"]
    assert first.keys() == second.keys() == {"ids", "text"}
    assert len(first["ids"]) == 4
    assert all(isinstance(each, int) for each in first["ids"])
    assert isinstance(first["text"], str)


def test_an_input_without_rows_is_sent_whole(answers):
    url, given = answers
    given.append((200, _metadata({"x": ("DT_BOOL", [2]), "y": ("DT_DOUBLE", [])})))
    (body,) = make_bodies(parse_target(url), count=1)
    inputs = json.loads(body)["inputs"]
    assert [type(each) for each in inputs["x"]] == [bool, bool]
    assert isinstance(inputs["y"], float)


def test_an_unknown_signature_is_told_with_those_there_are(answers):
    url, given = answers
    given.append((200, _metadata({})))
    with pytest.raises(RuntimeError, match=r"no signature 'other'.*serving_default"):
        make_bodies(parse_target(url), "other")


def test_the_servers_own_words_are_told(answers):
    url, given = answers
    given.append((404, {"error": "Could not find any versions of model m"}))
    with pytest.raises(RuntimeError, match=r"404: .*Could not find any versions of model m"):
        make_bodies(parse_target(url))


def test_no_server():
    with pytest.raises(RuntimeError, match="is the server running"):
        make_bodies(parse_target("http://127.0.0.1:9/v1/models/m"))
