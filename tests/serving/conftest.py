"""A server over the recorded models, a process per version in one's own loop, and models made of the recorded ones."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

RECORDED = Path(__file__).parent / "recorded"
_START_SECONDS = 120


@dataclass
class Running:
    """A `tfkit serve` in a process of its own."""

    process: subprocess.Popen
    rest_port: int
    grpc_port: int
    log: Path

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """Ends it as an operator does; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()


def start_server(folder, *arguments):
    """Starts `tfkit serve` on free ports of 127.0.0.1 and returns it once it listens."""
    folder.mkdir(parents=True, exist_ok=True)
    ports, log = folder / "ports.json", folder / "log"
    command = [sys.executable, "-m", "tfkit", "serve", *map(str, arguments), "--host=127.0.0.1"]
    if not any("port=" in str(each) for each in arguments):
        command += ["--port=0", "--rest_api_port=0"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, f"--port_file={ports}"], stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + _START_SECONDS
    while not ports.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the server did not start: {log.read_text()}")
        time.sleep(0.02)
    found = json.loads(ports.read_text())
    return Running(process, found["rest"], found["grpc"], log)


@pytest.fixture(scope="session")
def recorded_config(tmp_path_factory):
    """models.config of the recorded server, over the copies of its models here."""
    text = (RECORDED / "models.config").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("recorded") / "models.config"
    path.write_text(text.replace("BASE", str(RECORDED / "models")), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def recorded_server(recorded_config, tmp_path_factory):
    """The embedded server over all recorded models: `.rest_port`, `.grpc_port`, `.pid`."""
    running = start_server(
        tmp_path_factory.mktemp("recorded-server"),
        f"--model_config_file={recorded_config}",
        "--allow_version_labels_for_unavailable_models",
        "--enable_grpc_healthcheck_service",
    )
    yield running
    running.stop()


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory):
    """PEM files of a certificate for 127.0.0.1 and localhost that signs itself, and its key, by name."""
    folder = tmp_path_factory.mktemp("certificates")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"

    def make(name):
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={name}", "-addext", names]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return certificate, key

    return make


@pytest.fixture(scope="session")
def certificates(make_certificate):
    """A server's certificate and its key."""
    return make_certificate("server")


@pytest.fixture(scope="session")
def run():
    """Runs a coroutine to its end, always in the same loop."""
    with asyncio.Runner() if sys.version_info >= (3, 11) else _Runner() as runner:
        yield runner.run


@pytest.fixture(scope="session")
def nursery(run):
    """One nursery for all tests of a process: it has imported TensorFlow once."""
    from tfkit_serving.servables.nursery import Nursery

    found = Nursery()
    yield found
    run(found.close())


@pytest.fixture
def place(tmp_path):
    """Puts a recorded version into a model's folder, as a whole: place("hp2/00000123", "m", 1)."""

    def put(source, model, version):
        target = tmp_path / "models" / model / str(version)
        beside = target.with_name(f".{version}")
        shutil.copytree(RECORDED / "models" / source, beside)
        beside.rename(target)
        return target

    (tmp_path / "models").mkdir()
    put.base = tmp_path / "models"
    return put


@pytest.fixture
def serve(tmp_path):
    """Starts servers with flags, serve("--model_config_file=…"), and ends those that still run: `.stop()` does it."""
    started = []

    def start(*arguments):
        started.append(start_server(tmp_path / f"server{len(started)}", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.stop()


class _Runner:
    """asyncio.Runner of Python 3.11."""

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        return self

    def run(self, work):
        return self.loop.run_until_complete(work)

    def __exit__(self, *_):
        self.loop.close()
