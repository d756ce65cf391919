"""What Kustomize and Helm make: valid for Kubernetes, and saying what a model server needs."""

import subprocess

import pytest
import yaml

from tfkit_serving.configuration.flags import Flags
from tfkit_serving.configuration.model_config import read_model_config
from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol import messages

from .conftest import SERVING

KUBERNETES, CHART = SERVING / "kubernetes", SERVING / "helm" / "model-server"
VERSION = "1.33"
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
RENDERINGS = {
    "kustomize dev": ("dev",),
    "kustomize production": ("production",),
    "kustomize embedded": ("embedded",),
    "helm": (),
    "helm embedded": ("server=embedded", "models.bucket.url=store:bucket/models", "autoscaling.enabled=false"),
    "helm all": ("gateway.enabled=true", "monitoring.enabled=true"),
}


@pytest.fixture(scope="module", params=RENDERINGS)
def rendering(request, passes):
    """The objects, and their text."""
    settings = RENDERINGS[request.param]
    if request.param.startswith("kustomize"):
        text = passes("kubectl", "kustomize", KUBERNETES / "overlays" / settings[0])
    else:
        pairs = [part for each in settings for part in ("--set", each)]
        text = passes("helm", "template", "models", CHART, *pairs)
    return request.param, [each for each in yaml.safe_load_all(text) if each], text


def _of(objects, kind, part=""):
    return [each for each in objects if each["kind"] == kind and part in each["metadata"]["name"]]


def _server(objects):
    [deployment] = [
        each
        for each in _of(objects, "Deployment")
        if any(box["name"] == "server" for box in each["spec"]["template"]["spec"]["containers"])
    ]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return deployment, container


def test_kubernetes_takes_it(rendering, tool, tmp_path):
    _, objects, text = rendering
    (tmp_path / "all.yaml").write_text(text)
    done = tool("kubernetes-validate", "--strict", "-k", VERSION, tmp_path / "all.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    unknown = [line for line in (done.stdout + done.stderr).splitlines() if "Couldn't find schema" in line]
    assert len(unknown) == sum(each["kind"] in CUSTOM for each in objects)


def test_the_embedded_server_takes_the_same_flags(rendering):
    _, container = _server(rendering[1])
    flags = Flags.parse(container["args"])
    assert (flags.port, flags.rest_api_port, flags.unused["grpc_max_threads"]) == (8500, 8501, 64)
    assert flags.enable_grpc_healthcheck_service
    assert flags.allow_version_labels_for_unavailable_models
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"grpc": flags.port, "http": flags.rest_api_port}


def test_every_file_that_a_flag_names_is_mounted_and_can_be_read(rendering, tmp_path):
    _, objects, _ = rendering
    deployment, container = _server(objects)
    volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"]["volumes"]}
    files = {}
    for mount in container["volumeMounts"]:
        source = volumes[mount["name"]].get("configMap")
        if source is not None:
            [content] = [
                each["data"] for each in _of(objects, "ConfigMap") if each["metadata"]["name"] == source["name"]
            ]
            files.update({f"{mount['mountPath']}/{name}": text for name, text in content.items()})
    kinds = {
        "model_config_file": None,
        "monitoring_config_file": messages.MonitoringConfig,
        "batching_parameters_file": messages.BatchingParameters,
    }
    named = dict(each.removeprefix("--").split("=", 1) for each in container["args"])
    for flag, kind in kinds.items():
        path = tmp_path / flag
        path.write_text(files[named[flag]])
        if kind is not None:
            parse_text(path, kind())
            continue
        [model] = read_model_config(path).model_config_list.config
        assert model.base_path.startswith("/models/")
    assert "/models" in {each["mountPath"] for each in container["volumeMounts"]}


def test_probes_know_a_server_that_starts_from_one_that_hangs(rendering):
    name, objects, _ = rendering
    _, container = _server(objects)
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    if "embedded" in name:
        paths = {kind: probe["httpGet"]["path"] for kind, probe in probes.items()}
        assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
        assert not any("grpc" in probe for probe in probes.values())
    else:
        assert {probe["grpc"]["port"] for probe in probes.values()} == {8500}
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 120


def test_pods_have_no_rights_that_they_do_not_need(rendering):
    for deployment in _of(rendering[1], "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
        for mount in pod["containers"][0]["volumeMounts"]:
            assert mount.get("readOnly") or mount["name"] == "tmp"


def test_selectors_choose_the_pods_of_their_own_deployment_alone(rendering):
    objects = rendering[1]
    deployments = _of(objects, "Deployment")
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in deployments}

    def chosen(selector):
        return [name for name, found in labels.items() if selector.items() <= found.items()]

    for each in deployments:
        assert chosen(each["spec"]["selector"]["matchLabels"]) == [each["metadata"]["name"]]
    for kind in ("Service", "PodDisruptionBudget"):
        for each in _of(objects, kind):
            selector = each["spec"]["selector"]
            assert chosen(selector.get("matchLabels", selector)) == [each["metadata"]["name"]]
    services = {each["metadata"]["name"]: each["metadata"]["labels"] for each in _of(objects, "Service")}
    for each in _of(objects, "ServiceMonitor"):
        wanted = each["spec"]["selector"]["matchLabels"]
        assert [name for name, found in services.items() if wanted.items() <= found.items()] == [
            each["metadata"]["name"]
        ]


def test_callers_need_one_label_and_the_gateway_has_it(rendering):
    objects = rendering[1]
    deployment, _ = _server(objects)
    [policy] = _of(objects, "NetworkPolicy")
    own = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= own.items()
    callers = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert callers == {"tfkit/model-server-client": "true"}
    for each in _of(objects, "Deployment", "gateway"):
        assert callers.items() <= each["spec"]["template"]["metadata"]["labels"].items()


def test_the_gateway_calls_the_service_that_there_is(rendering):
    objects = rendering[1]
    services = {each["metadata"]["name"]: each for each in _of(objects, "Service")}
    for deployment in _of(objects, "Deployment", "gateway"):
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        arguments = container["args"]
        host, port = arguments[arguments.index("--server") + 1].removeprefix("http://").split(":")
        assert int(port) in {each["port"] for each in services[host]["spec"]["ports"]}


def test_scaling_is_of_the_server_and_sets_its_replicas(rendering):
    name, objects, _ = rendering
    deployment, _ = _server(objects)
    scalers = _of(objects, "HorizontalPodAutoscaler")
    assert bool(scalers) == (name not in ("kustomize dev", "helm embedded"))
    assert bool(scalers) != ("replicas" in deployment["spec"])
    for each in scalers:
        assert each["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        budget = _of(objects, "PodDisruptionBudget", deployment["metadata"]["name"])[0]["spec"]["minAvailable"]
        assert budget < each["spec"]["minReplicas"]


def test_rules_are_those_of_prometheus(rendering):
    objects = rendering[1]
    files = [SERVING / "monitoring" / "rules" / f"{name}.yml" for name in ("recording", "alerts")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    for rule in _of(objects, "PrometheusRule"):
        assert rule["spec"] == {"groups": groups}
    assert bool(_of(objects, "PrometheusRule")) == (rendering[0] in ("kustomize production", "helm all"))


def test_the_chart_lints(passes):
    passes("helm", "lint", "--strict", CHART)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("server=other", "must be one of"),
        ("gatway.enabled=true", "additional properties 'gatway' not allowed"),
        ("replicas=0", "minimum"),
        ("modelsConfig=nothing", "model_config_list"),
    ],
)
def test_values_that_are_wrong_are_refused(tool, setting, words):
    done = tool("helm", "template", "models", CHART, "--set", setting)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_gateway_over_a_bucket_is_refused_with_the_way_out(tool):
    settings = ("--set", "gateway.enabled=true", "--set", "models.bucket.url=store:b/m")
    done = tool("helm", "template", "models", CHART, *settings)
    assert done.returncode != 0
    assert "models.existingClaim" in done.stderr


def test_copies_are_equal():
    base = KUBERNETES / "base" / "config"
    for name in ("models.config", "monitoring.config", "batching.config"):
        assert (base / name).read_bytes() == (SERVING / name).read_bytes()
    script = "fetch.sh"
    assert (CHART / "files" / script).read_bytes() == (KUBERNETES / "components" / "bucket" / script).read_bytes()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["modelsConfig"] == (SERVING / "models.config").read_text()


FAKE_RCLONE = """\
#!/bin/sh
# lists and copies folders of this machine, as rclone does those of a store
case $1 in
    lsf) ls -1 -p "$3" | grep / || true ;;
    copy) [ ! -e "$2/refused" ] || exit 1; mkdir -p "$3" && cp -r "$2/." "$3" ;;
esac
"""


@pytest.fixture
def bucket(tmp_path):
    """A store with model m at 1 and 2, and `fetch()` that brings it to a server's folder."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "rclone"
    program.write_text(FAKE_RCLONE)
    program.chmod(0o755)
    for version in ("1", "2"):
        (tmp_path / "store" / "m" / version / "variables").mkdir(parents=True)
        (tmp_path / "store" / "m" / version / "saved_model.pb").write_text(version)
    (tmp_path / "store" / "m" / "notes").mkdir()
    (tmp_path / "models").mkdir()

    def fetch():
        script = KUBERNETES / "components" / "bucket" / "fetch.sh"
        settings = {"MODELS": str(tmp_path / "models"), "MODELS_BUCKET": str(tmp_path / "store")}
        path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
        return subprocess.run(
            ["sh", str(script), "once"], env={"PATH": path, **settings}, capture_output=True, text=True, timeout=30
        )

    return tmp_path, fetch


def _versions(folder):
    return sorted(each.name for each in (folder / "models" / "m").iterdir())


def test_versions_of_a_bucket_come_whole_and_go(bucket):
    folder, fetch = bucket
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert _versions(folder) == ["1", "2"]
    assert (folder / "models" / "m" / "2" / "saved_model.pb").read_text() == "2"
    (folder / "store" / "m" / "1").rename(folder / "gone")
    (folder / "store" / "m" / "10").mkdir()
    assert "removed m/1" in fetch().stdout
    assert _versions(folder) == ["10", "2"]


def test_a_version_that_cannot_be_fetched_is_not_there_in_part(bucket):
    folder, fetch = bucket
    (folder / "store" / "m" / "2" / "refused").touch()
    assert fetch().returncode != 0
    assert _versions(folder) == ["1"]
    (folder / "store" / "m" / "2" / "refused").unlink()
    assert fetch().returncode == 0
    assert _versions(folder) == ["1", "2"]
