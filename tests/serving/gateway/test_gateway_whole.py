"""`tfkit gateway` as a process of its own, in front of a server over the recorded models."""

import contextlib
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
from types import SimpleNamespace

import httpx
import pytest

pytestmark = pytest.mark.serving


@contextlib.contextmanager
def running(models, server, *arguments):
    """A gateway, until the block ends; it is told to stop as an orchestrator would, and has to end with 0."""
    command = [sys.executable, "-m", "tfkit", "gateway", "--models", str(models), "--server", server, "--port", "0"]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    told, lines = [], []
    try:
        for line in process.stderr:
            told.append(line)
            if found := re.search(r"docs on (\S+)/docs", line):
                break
        else:
            pytest.fail("".join(told))
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        yield SimpleNamespace(url=found.group(1), lines=lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        reader.join(5)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="module")
def recorded_models(tmp_path_factory, write_sidecar):
    """What `tfkit.json` would say of the recorded models."""
    directory = tmp_path_factory.mktemp("recorded")
    text, x = ("text", "string", [None, 1]), ("x", "float32", [None, 1])
    labels = {"task": "classification", "labels": ["negative", "positive"]}
    write_sidecar(directory, "text", 1, [text], [("score", "float32", [None, 1])], **labels)
    for version in (123, 124):
        write_sidecar(directory, "hp2", version, [x], [("y", "float32", [None, 1])], task="regression")
    return directory


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_raw_sentence_is_answered_through_the_gateway(recorded_models, recorded_server, transport):
    port = recorded_server.rest_port if transport == "rest" else recorded_server.grpc_port
    server = f"http://127.0.0.1:{port}" if transport == "rest" else f"127.0.0.1:{port}"
    arguments = ["--transport", transport, "--split", "hp2:stable=1,canary=0"]
    with (
        running(recorded_models, server, *arguments) as gateway,
        httpx.Client(base_url=gateway.url, timeout=30) as client,
    ):
        assert client.get("/readyz").json()["versions"] == {"hp2": 123, "text": 1}  # the split's stable
        reply = client.post("/text?scores=true", json={"text": "hello world"})
        # The real server's own reply to this sentence is 0.495827258.
        assert reply.status_code == 200, reply.text
        assert reply.json()["label"] == "negative"
        assert reply.json()["scores"]["positive"] == pytest.approx(0.495827258, rel=1e-6)
        rows = client.post("/hp2", json={"rows": [{"x": 1.0}, {"x": 2.0}, {"x": 5.0}]})
        assert rows.json() == {"rows": [{"value": 2.5}, {"value": 3.0}, {"value": 4.5}]}
        assert (rows.headers["x-model-label"], rows.headers["x-model-version"]) == ("stable", "123")
        assert client.post("/hp2?label=canary", json={"x": 1}).headers["x-model-version"] == "124"
        unknown = client.post("/hp2?label=nolabel", json={"x": 1})
        assert (unknown.status_code, "'nolabel'" in unknown.json()["detail"]) == (400, True)
        gone = client.post("/hp2?version=99", json={"x": 1})
        assert "Servable not found for request: Specific(hp2, 99)" in gone.json()["detail"]
    codes = [json.loads(line)["http.response.status_code"] for line in gateway.lines]
    assert codes == [200, 200, 200, 400, 404]


def test_a_server_that_is_not_there_is_told_at_once(recorded_models, free_port):
    with running(recorded_models, f"http://127.0.0.1:{free_port}") as gateway:
        reply = httpx.post(f"{gateway.url}/text", json={"text": "hello"}, timeout=30)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert reply.elapsed.total_seconds() < 5
        assert httpx.get(f"{gateway.url}/healthz").status_code == 200
        assert httpx.get(f"{gateway.url}/readyz", timeout=30).status_code == 503


def test_tls_is_served(recorded_models, free_port, certificates):
    certificate, key = certificates
    options = ["--tls_certificate", str(certificate), "--tls_key", str(key)]
    with running(recorded_models, f"http://127.0.0.1:{free_port}", *options) as gateway:
        assert gateway.url.startswith("https://")
        context = ssl.create_default_context(cafile=certificate)
        assert httpx.get(f"{gateway.url}/healthz", verify=context).json() == {"status": "ok"}
