"""`tfkit deploy`, as a user calls it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfkit.pipeline.versions import alone_in

RECORDED = Path(__file__).parents[1] / "serving" / "recorded" / "models"
CONFIG = """\
model_config_list {
  config {
    name: "m"
    base_path: "BASE/m"
    model_platform: "tensorflow"
    model_version_policy { all {} }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 2 }
  }
}
"""


def _tfkit(*arguments):
    command = [sys.executable, "-m", "tfkit", "deploy", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def config(tmp_path):
    for version in ("1", "2"):
        folder = tmp_path / "m" / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"no graph")
    path = tmp_path / "models.config"
    path.write_text(CONFIG.replace("BASE", str(tmp_path)))
    return path


def test_status_shows_versions_labels_and_the_flag(config):
    done = _tfkit("status", config)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["2", "loaded", "canary"]
    assert lines[2].split() == ["1", "loaded", "stable"]
    assert "--allow_version_labels_for_unavailable_models" in lines[-1]


def test_status_as_json_with_a_path_that_is_elsewhere(config, tmp_path):
    config.write_text(CONFIG.replace("BASE", "/models"))
    found = json.loads(_tfkit("status", config, "--json", "--path", f"/models={tmp_path}").stdout)
    assert found["findings"] == []
    [model] = found["models"]
    assert [(row["version"], row["labels"]) for row in model["versions"]] == [(2, ["canary"]), (1, ["stable"])]


def test_check_fails_where_a_server_would_hang(config):
    config.write_text(CONFIG.replace("BASE", "/nowhere"))
    done = _tfkit("status", config, "--check")
    assert done.returncode == 1
    assert "would hang" in done.stdout


def test_a_version_that_does_not_verify_is_not_promoted(config):
    before = config.read_text()
    done = _tfkit("promote", config, "m")
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error: ")
    assert config.read_text() == before


def test_a_missing_base_path_is_the_users_mistake(config):
    config.write_text(CONFIG.replace("BASE", "/nowhere"))
    done = _tfkit("promote", config)
    assert done.returncode == 2
    assert "/nowhere/m" in done.stderr


def test_a_server_that_is_not_there_leaves_the_file_as_it_was(config, monkeypatch):
    from click.testing import CliRunner

    import tfkit.pipeline.export
    from tfkit.cli.deploy import deploy

    monkeypatch.setattr(tfkit.pipeline.export, "verify", lambda folder: None)
    before = config.read_text()
    done = CliRunner().invoke(deploy, ["promote", str(config), "--server", "127.0.0.1:9"])
    assert done.exit_code == 1
    assert "UNAVAILABLE" in done.output
    assert config.read_text() == before


def test_promote_and_rollback_with_the_command_for_a_cluster(config, monkeypatch):
    from click.testing import CliRunner

    import tfkit.pipeline.export
    from tfkit.cli.deploy import deploy

    monkeypatch.setattr(tfkit.pipeline.export, "verify", lambda folder: None)
    before = config.read_text()
    done = CliRunner().invoke(deploy, ["promote", str(config), "--kubernetes", "models"])
    assert done.output.splitlines()[0] == "stable of m is version 2, was 1"
    assert done.output.splitlines()[-1] == (
        f"kubectl -n models create configmap model-server-models --from-file=models.config={config}"
        " --dry-run=client -o yaml | kubectl -n models apply -f -"
    )
    done = CliRunner().invoke(deploy, ["rollback", str(config), "--json"])
    assert json.loads(done.output) == {"model": "m", "label": "stable", "version": 1, "before": 2}
    assert config.read_text() == before


def test_two_at_once_lose_no_move(config):
    shutil.rmtree(config.parent / "m" / "1")
    shutil.copytree(RECORDED / "hp2" / "00000123", config.parent / "m" / "1")
    text = config.read_text().replace('"stable" value: 1 }', '"stable" value: 2 }  # before: 1')
    config.write_text(text)
    with alone_in(config.parent):
        second = subprocess.Popen([sys.executable, "-m", "tfkit", "deploy", "rollback", str(config)])
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(3)
        config.write_text(text.replace('"canary" value: 2', '"canary" value: 1'))
    assert second.wait(60) == 0
    labels = re.findall(r'key: "(\w+)" value: (\d)', config.read_text())
    assert labels == [("stable", "1"), ("canary", "1")]
