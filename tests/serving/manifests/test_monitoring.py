"""Prometheus's files by promtool, rules by its unit tests, the dashboard by a Prometheus that scrapes a server."""

import dataclasses
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import yaml

from tfkit.formats.profile import take_profile
from tfkit_serving.bench.load import run_load
from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.target import make_bodies, parse_target
from tfkit_serving.drift import DriftObserver
from tfkit_serving.feedback import Quality
from tfkit_serving.gateway.metrics import GatewayMetrics

from .conftest import SERVING

MONITORING = SERVING / "monitoring"


def _module(name):
    spec = importlib.util.spec_from_file_location(f"monitoring_{name}", MONITORING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dashboard():
    return _module("make_dashboard")


def test_promtool_takes_configuration_and_rules(passes):
    passes("promtool", "check", "config", MONITORING / "prometheus.yml")
    passes("promtool", "check", "rules", *sorted((MONITORING / "rules").glob("[ra]*.yml")))


def test_rules_do_what_their_tests_say(passes):
    assert "SUCCESS" in passes("promtool", "test", "rules", MONITORING / "rules" / "tests.yml")


def test_every_alert_has_a_test():
    tests = (MONITORING / "rules" / "tests.yml").read_text()
    alerts = yaml.safe_load((MONITORING / "rules" / "alerts.yml").read_text())["groups"]
    names = {rule["alert"] for group in alerts for rule in group["rules"]}
    tested = set(re.findall(r"alertname: (\w+)", tests))
    assert tested == names


def test_files_that_are_written_are_up_to_date(dashboard):
    assert dashboard.PAGE.read_text() == dashboard.as_text()
    rules = _module("make_rules")
    assert rules.KUSTOMIZE.read_text() == rules.rule_as_text()
    assert yaml.safe_load(rules.HELM.read_text()) == yaml.safe_load(rules.groups_as_text())


def test_the_dashboard_is_one_that_grafana_finds(dashboard):
    page = json.loads(dashboard.PAGE.read_text())
    panels = page["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    boxes = [each["gridPos"] for each in panels]
    cells = [(box["x"] + x, box["y"] + y) for box in boxes for x in range(box["w"]) for y in range(box["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    provided = yaml.safe_load((MONITORING / "grafana" / "provisioning" / "dashboards" / "tfkit.yml").read_text())
    compose = yaml.safe_load((SERVING / "compose" / "compose.yaml").read_text())
    mounted = {each["source"]: each["target"] for each in compose["services"]["grafana"]["volumes"]}
    assert mounted["../monitoring/grafana/dashboards"] == provided["providers"][0]["options"]["path"]


def test_every_query_can_be_parsed(dashboard, passes, tmp_path):
    rules = [{"record": f"q{index}", "expr": _plain(each)} for index, (_, _, each) in enumerate(dashboard.queries())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in passes("promtool", "check", "rules", tmp_path / "rules.yml")


def _plain(expression):
    """A query as Grafana sends it with every job and model chosen."""
    return expression.replace("$__rate_interval", "20s").replace("$job", ".*").replace("$model", ".*")


class _Prometheus:
    """A Prometheus over some targets, once a second."""

    def __init__(self, program, folder, jobs, rules):
        self.port = _free_port()
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(each) for each in rules],
            "scrape_configs": [
                {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [target]}]}
                for job, (target, path) in jobs.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def query(self, expression):
        """The samples of a query now."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def wait(self, condition, seconds=30):
        """Waits until a condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.25)

    def stop(self):
        self._process.terminate()
        self._process.wait(30)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def _page(text):
    """A page of metrics, as a gateway's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text().encode())

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _filled_gateway():
    """The text of a gateway's own metrics, growing by each scrape, as its own observers fill them.

    Of the inputs the first has shifted by one standard deviation.
    """
    rows = np.random.default_rng(0).normal(size=(2000, 2))
    scores = np.stack([np.linspace(0, 1, 2000), np.linspace(1, 0, 2000)], axis=1)
    profile = take_profile({"x": rows}, {"scores": scores}, task="classification")
    observer = DriftObserver(profile, labels=["no", "yes"])
    observer.observe({"x": rows[:1000] + np.array([1.0, 0.0])}, {"scores": scores[::2]})
    metrics = GatewayMetrics()
    metrics.set_drift("mlp", "1", observer.metrics())
    metrics.set_quality("mlp", "1", Quality(200, accuracy=0.9))

    def text():
        for route, code in (("/mlp", "200"), ("/mlp", "422")):
            metrics.requests.add((route, code), 5)
        for seconds in (0.002, 0.004, 0.03):
            metrics.latency.observe(("/mlp",), seconds)
            metrics.upstream.observe(("mlp", "OK"), seconds / 2)
        metrics.feedback.add(("mlp", "1"), 2)
        metrics.shadow.add(("mlp", "canary", "agreed"), 3)
        return metrics.render()

    return text


@pytest.fixture(scope="module")
def monitored(recorded_server, tmp_path_factory):
    """A Prometheus that has watched the embedded server, and a gateway's metrics, under load."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no prometheus: .ci/validators installs it")
    metrics = _filled_gateway()
    rules = [MONITORING / "rules" / f"{name}.yml" for name in ("recording", "alerts")]
    with _page(metrics) as gateway:
        jobs = {
            "model-server": (f"127.0.0.1:{recorded_server.rest_port}", "/monitoring/prometheus/metrics"),
            "gateway": (gateway, "/metrics"),
        }
        prometheus = _Prometheus(program, tmp_path_factory.mktemp("prometheus"), jobs, rules)
        try:
            prometheus.wait(lambda: len(prometheus.query("up == 1")) == 2)
            _load(recorded_server, prometheus)
            yield prometheus
        finally:
            prometheus.stop()


def _load(server, prometheus):
    """Good and bad requests: first a few that make the series begin, then those that their rates tell of."""
    plans = [_plan(parse_target(url)) for url in (
        f"http://127.0.0.1:{server.rest_port}/v1/models/mlp", f"grpc://127.0.0.1:{server.grpc_port}/mlp"
    )]  # fmt: skip
    plans.append(dataclasses.replace(plans[0], bodies=(b"{",), rate=20.0))
    for each in plans:
        run_load(dataclasses.replace(each, duration=0.5))
    # Other tests may have asked the server before.
    names = ("request_latency_count", "request_count")
    begun = " and ".join(f'count(:tensorflow:serving:{name}{{model_name="mlp"}}) >= 2' for name in names)
    prometheus.wait(lambda: prometheus.query(begun))
    good, remote, bad = (run_load(each) for each in plans)
    assert good.failed == remote.failed == 0
    assert bad.failed > 0


def _plan(target):
    bodies = make_bodies(target, count=8)
    return Plan(target.transport, target.host, target.port, target.call, bodies, 4, 100.0, 2.5, warm_up=0.0)


@pytest.mark.serving
@pytest.mark.slow
def test_prometheus_scrapes_the_server_and_counts_as_it_does(monitored):
    monitored.wait(lambda: monitored.query(':tensorflow:serving:request_count{model_name="mlp",status="OK"} >= 400'))
    [refused] = monitored.query(':tensorflow:serving:request_count{model_name="mlp",status="INVALID_ARGUMENT"}')
    assert 20 <= float(refused["value"][1]) <= 120
    entries = {each["metric"]["entrypoint"] for each in monitored.query(":tensorflow:serving:request_latency_count")}
    assert entries == {"REST", "GRPC"}
    p99 = 'model_name:tensorflow_serving_request_latency_seconds:quantile5m{quantile="0.99"} < 1'
    monitored.wait(lambda: monitored.query(p99))


@pytest.mark.serving
@pytest.mark.slow
def test_every_query_of_the_dashboard_has_data(monitored, dashboard):
    queries = {_plain(each) for _, _, each in dashboard.queries()}
    missing = [each for each in queries if not _numbers(monitored, each)]
    deadline = time.monotonic() + 15
    while missing and time.monotonic() < deadline:
        time.sleep(1)
        missing = [each for each in queries if not _numbers(monitored, each)]
    assert missing == []


def _numbers(prometheus, expression):
    values = [float(sample["value"][1]) for sample in prometheus.query(expression)]
    return [each for each in values if each == each]


@pytest.mark.serving
@pytest.mark.slow
def test_drift_that_is_there_raises_its_alert(monitored):
    monitored.wait(lambda: monitored.query('ALERTS{alertname="ModelInputDrift",feature="x[0]"}'))
    assert not monitored.query('ALERTS{alertname="ModelInputDrift",feature="x[1]"}')
