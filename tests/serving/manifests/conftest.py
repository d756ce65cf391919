"""The programs that judge the files of serving/: those of .ci/validators, else those of the machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVING = ROOT / "serving"
_FOLDERS = os.pathsep.join([str(ROOT / ".venv" / "validators" / "bin"), os.environ.get("PATH", "")])


@pytest.fixture(scope="session")
def tool():
    """`tool(name, *arguments)` runs a program and returns what it did; the test is skipped where it is not there.

    TFKIT_VALIDATORS=required makes that a failure, for a CI that has called .ci/validators.
    """

    def run(name, *arguments, cwd=ROOT, environment=None):
        path = shutil.which(name, path=_FOLDERS)
        if path is None:
            missing = f"there is no {name}: .ci/validators installs it"
            if os.environ.get("TFKIT_VALIDATORS") == "required":
                pytest.fail(missing)
            pytest.skip(missing)
        command = [path, *map(str, arguments)]
        given = {**os.environ, **(environment or {})}
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=given, timeout=120)

    return run


@pytest.fixture(scope="session")
def passes(tool):
    """`passes(name, *arguments)` runs a program that has to end with 0, and returns what it printed."""

    def run(name, *arguments, **settings):
        done = tool(name, *arguments, **settings)
        assert done.returncode == 0, f"{name} {' '.join(map(str, arguments))}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
