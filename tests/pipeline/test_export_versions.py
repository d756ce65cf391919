"""Version folders: which there are, which is free, and what a kill leaves."""

import signal
import subprocess
import sys

import pytest

import tfkit
from tfkit.pipeline.versions import aside, free_version, move_in, versions


def contents(directory):
    return sorted(path.name for path in directory.iterdir())


def test_versions_are_read_as_the_server_reads_them(tmp_path):
    for name in ("1", "00000123", "x2", "٣", ".hidden"):
        (tmp_path / name).mkdir()
    assert versions(tmp_path) == [1, 123]
    assert free_version(tmp_path, None) == 124
    with pytest.raises(tfkit.ParameterError):
        free_version(tmp_path, 123)


def killed(number, directory):
    """The exit status of a process that gets a signal while it writes a version."""
    code = """
import os, pathlib, sys
from tfkit.pipeline.versions import aside
with aside(pathlib.Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    os.kill(os.getpid(), int(sys.argv[2]))
    input()
"""
    command = [sys.executable, "-c", code, str(directory), str(int(number))]
    return subprocess.run(command, timeout=60, check=False, stderr=subprocess.DEVNULL).returncode


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_who_is_asked_to_end_leaves_nothing(tmp_path, number, status):
    assert killed(number, tmp_path / "models" / "digits") == status
    assert contents(tmp_path) == []


def test_what_a_kill_leaves_is_removed_by_the_next_export_and_what_is_at_work_is_not(tmp_path):
    assert killed(signal.SIGKILL, tmp_path) == -signal.SIGKILL
    assert len(contents(tmp_path)) == 1
    assert versions(tmp_path) == []
    with aside(tmp_path) as first, aside(tmp_path) as second:
        assert first.is_dir()
        assert second.is_dir()
        assert len(contents(tmp_path)) == 2
    assert contents(tmp_path) == []


def test_two_exports_at_once_get_two_versions(tmp_path):
    with aside(tmp_path) as first, aside(tmp_path) as second:
        (first / "a").write_text("")
        assert [move_in(first, tmp_path, None), move_in(second, tmp_path, None)] == [1, 2]
    with aside(tmp_path) as third, pytest.raises(tfkit.ParameterError, match="version 2 exists"):
        move_in(third, tmp_path, 2)
    assert contents(tmp_path) == ["1", "2"]
    assert contents(tmp_path / "1") == ["a"]
