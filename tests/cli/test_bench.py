"""`tfkit bench`, as a user calls it."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


def _tfkit(*arguments):
    command = [sys.executable, "-m", "tfkit", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_list_has_serve_and_the_benchmarks_of_a_checkout():
    done = _tfkit("--help")
    assert done.returncode == 0
    names = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert {"serve", "prune", "search"} <= names


def test_a_url_without_a_model_is_the_users_mistake():
    done = _tfkit("serve", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "--model NAME" in done.stderr


def test_a_server_that_is_not_there_is_a_failure():
    done = _tfkit("serve", "http://127.0.0.1:9/v1/models/m")
    assert done.returncode == 1
    assert "is the server running?" in done.stderr


@pytest.fixture
def server():
    """A server with one model of three numbers, that refuses every request but those with the header X-Key."""
    inputs = {"x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "3"}]}}}
    metadata = {"metadata": {"signature_def": {"signature_def": {"serving_default": {"inputs": inputs}}}}}
    keys = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer(200, metadata)

        def do_POST(self):
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            keys.append(self.headers.get("X-Key"))
            allowed = keys[-1] == "k" and len(rows) == 2 and len(rows[0]) == 3
            self._answer(200 if allowed else 401, {"predictions": [1.0]} if allowed else {"error": "who?"})

        def _answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads = True
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}/v1/models/m"
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.mark.serving
def test_a_load_with_rows_and_a_key_as_json(server):
    shared = ("--clients", 2, "--duration", 0.5, "--warm-up", 0, "--rows", 2, "--json")
    done = _tfkit("serve", server, *shared, "--rate", 60, "--arrivals", "uniform", "--header", "X-Key: k")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 20 <= found["requests"] <= 31
    assert found["failed"] == 0
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]

    refused = _tfkit("serve", server, *shared, "--rate", 60)
    assert refused.returncode == 1
    assert list(json.loads(refused.stdout)["errors"]) == ['HTTP 401: {"error": "who?"}']
