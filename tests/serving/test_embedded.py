"""`tfkit serve` as a whole: what it prints, how it ends, and what it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tfkit_serving import Client

pytestmark = pytest.mark.serving

TWO, THREE = "hp2/00000123", "hp3/00000123"


def ask(server, model="m", x=1.0):
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/{model}:predict"
    body = json.dumps({"instances": [x]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
        return json.load(answer)["predictions"][0]


def until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    """All processes below a process."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in below] + [deep for each in below for deep in children(each)]


def serves(server, model, answer):
    try:
        return ask(server, model) == answer
    except urllib.error.HTTPError:
        return False


def test_a_directory_is_served_watched_and_left(serve, place):
    server = serve(place.base, "--file_system_poll_wait_seconds=0.1", "--num_unload_threads=2", "--enable_batching")
    place(TWO, "m", 1)
    until(lambda: serves(server, "m", 2.5))
    place(THREE, "m", 2)
    place(THREE, "new", 1)
    until(lambda: serves(server, "m", 3.5) and serves(server, "new", 3.5))
    until(lambda: len(children(server.pid)) == 3)  # the nursery and two versions
    processes = children(server.pid)
    assert server.stop() == 0
    until(lambda: not any(map(is_running, processes)))
    text = server.log.read_text()
    assert f"REST at http://127.0.0.1:{server.rest_port}\n" in text
    assert f"gRPC at 127.0.0.1:{server.grpc_port}\n" in text
    assert f"no models in {place.base} yet" in text
    assert text.count("changes nothing here") == text.count("WARNING --num_unload_threads=2 changes nothing here:") == 1
    assert f"model m version 2 is available, from {place.base / 'm' / '2'}\n" in text
    assert "Traceback" not in text


def test_killing_the_server_leaves_nothing(serve, place):
    place(TWO, "m", 1)
    server = serve(place.base)
    processes = children(server.pid)
    assert len(processes) == 2
    server.process.kill()
    server.process.wait()
    until(lambda: not any(map(is_running, processes)))
    assert "Traceback" not in server.log.read_text()


def test_requests_in_flight_finish_when_it_is_told_to_stop(serve, place):
    place(TWO, "m", 1)
    server = serve(place.base)
    version = children(server.pid)[-1]
    os.kill(version, signal.SIGSTOP)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(server)))
    asking.start()
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises(OSError):  # nobody new
        socket.create_connection(("127.0.0.1", server.rest_port), timeout=2).close()
    os.kill(version, signal.SIGCONT)
    asking.join(20)
    assert answers == [2.5]
    assert server.process.wait(20) == 0


@pytest.mark.nightly
def test_a_second_signal_ends_it_at_once(serve, place):
    place(TWO, "m", 1)
    server = serve(place.base)
    version = children(server.pid)[-1]
    os.kill(version, signal.SIGSTOP)

    def given_up():
        with pytest.raises(OSError):
            ask(server)

    asking = threading.Thread(target=given_up)
    asking.start()
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(5) == 1
    asking.join(5)
    os.kill(version, signal.SIGCONT)
    until(lambda: not is_running(version))


def refused(*arguments):
    """What a command line is refused with; exit status 2."""
    command = [sys.executable, "-m", "tfkit", "serve", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_be_served_is_refused_before_anything_is_loaded(tmp_path, place):
    version = place(TWO, "m", 1)
    free = ("--port=0", "--rest_api_port=0", "--host=127.0.0.1")
    assert "there is no directory" in refused(tmp_path / "nowhere", *free)
    assert "holds versions, not models" in refused(version.parent, *free)
    assert "did you mean --rest_api_port?" in refused(place.base, "--rest_api_prot=1")
    assert "--version_split 'stable': a weight must be" in refused(place.base, "--version_split=m:stable", *free)
    assert "Could not find base path" in refused(f"--model_base_path={tmp_path / 'nowhere'}", *free)
    (tmp_path / "models.config").write_text("not one")
    words = "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:"
    assert words in refused(f"--model_config_file={tmp_path / 'models.config'}", *free)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = refused(place.base, "--host=127.0.0.1", f"--rest_api_port={port}", "--port=0")
        assert f"--rest_api_port={port} on 127.0.0.1: Address already in use" in words


@pytest.mark.nightly
def test_a_changed_configuration_file_is_taken_and_a_wrong_one_is_not(serve, place, tmp_path):
    place(TWO, "m", 1)
    place(THREE, "n", 1)
    path = tmp_path / "models.config"

    def write(name):
        path.with_suffix(".new").write_text(
            f'model_config_list {{ config {{ name: "{name}" base_path: "{place.base / name}" '
            'model_platform: "tensorflow" } }'
        )
        path.with_suffix(".new").rename(path)

    write("m")
    server = serve(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1")
    assert ask(server) == 2.5
    write("nowhere")
    until(lambda: "Could not find base path" in server.log.read_text())
    assert ask(server) == 2.5
    write("n")
    until(lambda: serves(server, "n", 3.5))


def test_requests_are_split_and_shadowed_over_both_protocols(serve, place):
    for version, source in ((1, TWO), (2, THREE)):
        place(source, "m", version)
    policy = 'model_platform: "tensorflow" model_version_policy { all {} }'
    labels = " ".join(f'version_labels {{ key: "{name}" value: {number} }}' for number, name in ((1, "a"), (2, "b")))
    path = place.base / "models.config"
    path.write_text(f'model_config_list {{ config {{ name: "m" base_path: "{place.base / "m"}" {policy} {labels} }} }}')
    server = serve(f"--model_config_file={path}", "--version_split=m:a=50,b=50;none:a=1", "--version_shadow=m:b")
    assert {ask(server) for _ in range(40)} == {2.5, 3.5}
    with Client(f"127.0.0.1:{server.grpc_port}", transport="grpc") as client:
        assert {client.predict("m", np.float32([1.0])).item() for _ in range(40)} == {2.5, 3.5}
        assert client.predict("m", np.float32([1.0]), label="a").item() == 2.5
        assert client.metadata("m").version == 2

    def disagreed():
        url = f"http://127.0.0.1:{server.rest_port}/monitoring/prometheus/metrics"
        with urllib.request.urlopen(url, timeout=20) as page:
            return 'tfkit_serving_shadow_rows_total{model="m",label="b",outcome="disagreed"}' in page.read().decode()

    until(disagreed)
    assert server.stop() == 0
    assert "names the model none, which is not there yet" in server.log.read_text()
