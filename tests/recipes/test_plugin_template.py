import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parent.parent.parent / "recipes" / "plugin_template"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment of a process in which the template is installed."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", target, TEMPLATE], check=True, timeout=120)
    return {**os.environ, "PYTHONPATH": str(target), "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(*arguments, environment, cwd):
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=240)


def test_installed_it_shows_up(environment, tmp_path):
    done = run("-m", "tfkit", "plugins", "list", "--json", environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(done.stdout) if row["distribution"] == "my-tfkit-plugin"]
    assert [(row["kind"], row["name"], row["version"]) for row in rows] == [
        ("schedule", "triangular", "0.1.0"),
        ("regularizer", "group-lasso", "0.1.0"),
    ]
    assert not [row for row in rows if row.get("error")]


def test_its_own_tests_pass_and_with_them_the_kit(environment, tmp_path):
    pytest_ = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules")
    done = run(*pytest_, str(TEMPLATE), environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout.splitlines()[-1]
    assert "skipped" not in done.stdout.splitlines()[-1]
