"""Dockerfiles, compose and the workflow templates, judged by the programs that know them; health checks that run."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from tfkit_serving.configuration.flags import Flags

from .conftest import ROOT, SERVING

COMPOSE = SERVING / "compose" / "compose.yaml"
SETTINGS = {"MODELS": "/tmp", "GRAFANA_PASSWORD": "secret"}


def _services(passes, profile):
    text = passes("docker-compose", "-f", COMPOSE, "--profile", profile, "config", environment=SETTINGS)
    services = yaml.safe_load(text)["services"]
    return {name: each for name, each in services.items() if each.get("profiles", [profile]) == [profile]}


@pytest.mark.parametrize(("profile", "name"), [("real", "tensorflow-serving"), ("embedded", "embedded")])
def test_compose_starts_one_server_under_the_name_that_others_know(passes, profile, name):
    services = _services(passes, profile)
    assert services.keys() == {name, "gateway", "prometheus", "grafana"}
    server = services[name]
    assert server["networks"]["default"]["aliases"] == ["server"]
    flags = Flags.parse([each for each in server["command"] if each.startswith("--")])
    assert (flags.port, flags.rest_api_port) == (8500, 8501)
    assert {each["target"] for each in server["volumes"]} == {"/models", "/config"}
    assert all(each["read_only"] for each in server["volumes"])
    for flag in ("model_config_file", "monitoring_config_file"):
        assert (SERVING / getattr(flags, flag).removeprefix("/config/")).is_file()
    for each in services.values():
        assert "healthcheck" in each


def test_compose_mounts_what_there_is_and_scrapes_who_there_is(passes):
    services = _services(passes, "real")
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and volume["source"] != "/tmp":
                assert (COMPOSE.parent / volume["source"]).exists()
    jobs = yaml.safe_load((SERVING / "monitoring" / "prometheus.yml").read_text())["scrape_configs"]
    hosts = {each["job_name"]: each["static_configs"][0]["targets"][0].split(":")[0] for each in jobs}
    assert hosts == {"model-server": "server", "gateway": "gateway", "prometheus": "localhost"}
    assert hosts["gateway"] in services


def test_compose_asks_for_the_models(tool):
    done = tool("docker-compose", "-f", COMPOSE, "--profile", "real", "config", environment={"GRAFANA_PASSWORD": "x"})
    assert done.returncode != 0
    assert "set MODELS to the folder that holds <model>/<version>/" in done.stderr


def test_compose_keeps_its_schema(passes):
    passes("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.fixture
def page():
    """A server whose every page has the status that the test puts into the list."""
    statuses = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(statuses[0])
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, statuses
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("service", ["tensorflow-serving", "embedded", "gateway"])
def test_health_checks_tell_the_healthy(page, service):
    port, statuses = page
    check = yaml.safe_load(COMPOSE.read_text())["services"][service]["healthcheck"]["test"]
    command = [each.replace("127.0.0.1/8501", f"127.0.0.1/{port}") for each in check[1:]]
    command = [each.replace("127.0.0.1:8501", f"127.0.0.1:{port}") for each in command]
    command = [each.replace("127.0.0.1:8080", f"127.0.0.1:{port}") for each in command]
    assert subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    statuses[0] = 503
    assert subprocess.run(command, capture_output=True, timeout=10).returncode != 0


@pytest.mark.parametrize("name", ["tensorflow-serving", "embedded"])
def test_dockerfiles(passes, name):
    path = SERVING / "docker" / f"{name}.Dockerfile"
    passes("hadolint", path)
    lines = path.read_text().splitlines()
    assert sum(line.startswith("HEALTHCHECK") for line in lines) == 1
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]
    copied = [part for line in lines if line.startswith("COPY") and "--from" not in line for part in line.split()[1:-1]]
    ignored = {line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines()}
    for source in copied:
        assert source == "${MODELS}" or ((ROOT / source).exists() and source not in ignored)


@pytest.mark.parametrize("path", sorted((SERVING / "github").glob("*.yml")), ids=lambda path: path.name)
def test_workflow_templates(passes, path):
    passes("actionlint", path)
    passes("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_our_own_workflows_keep_their_schema(passes):
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        passes("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)
