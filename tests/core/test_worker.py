"""The process that is kept: what is said of a fresh one holds of it too."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import tfkit
from tfkit import child, worker

FUNCTIONS = """
import os, signal, sys, time
from tfkit.errors import VerificationError

def about():
    print("noise")
    return {"pid": os.getpid(), "stdin": sys.stdin.read(), "path": sys.path, "here": os.getcwd(),
            "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"), "word": os.environ.get("WORD")}

def crash():
    print("about to crash", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

def hang(pids=None):
    if pids is not None:
        open(pids, "w").write(str(os.getpid()))
    time.sleep(600)

def fail():
    print("about to fail")
    raise KeyError("no such thing")

def refuse():
    raise VerificationError("the outputs differ by 0.5")
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "worker_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "worker_functions"
    worker.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_calls_share_a_process_that_is_set_up_as_a_fresh_one(functions, monkeypatch):
    seen = [worker.call(f"{functions}:about") for _ in range(2)]
    fresh = child.call(f"{functions}:about")
    assert seen[0] == seen[1]
    assert {**fresh, "pid": seen[0]["pid"]} == seen[0]
    assert fresh["pid"] != seen[0]["pid"]
    monkeypatch.setenv("WORD", "new")
    other = worker.call(f"{functions}:about")
    assert (other["word"], other["pid"] != seen[0]["pid"]) == ("new", True)
    assert not alive(seen[0]["pid"])


def test_a_call_from_another_directory_works_there_in_the_same_process(functions, tmp_path, monkeypatch):
    before = worker.call(f"{functions}:about")
    (tmp_path / "gone").mkdir()
    for folder in (tmp_path / "gone", tmp_path):
        monkeypatch.chdir(folder)
        assert worker.call(f"{functions}:about") == {**before, "here": str(folder)}
        assert worker.call(f"{functions}:about") == {**before, "here": str(folder)}
    worker.call("shutil:rmtree", path=tmp_path / "gone")


@pytest.fixture
def pid_of_the_fixture(functions):
    return worker.call("os:getpid")


def test_pytests_note_on_the_step_of_a_test_needs_no_other_process(pid_of_the_fixture):
    assert worker.call("os:getpid") == pid_of_the_fixture


@pytest.mark.parametrize(
    ("function", "error", "text", "log"),
    [
        ("crash", tfkit.ConversionError, r"^shrinking failed: .* crashed with signal 11 \(SIGSEGV\)", "about to crash"),
        ("fail", tfkit.ConversionError, r"^shrinking failed: KeyError: .*no such thing", "about to fail"),
        ("refuse", tfkit.VerificationError, r"^the outputs differ by 0.5$", None),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_call_works(functions, function, error, text, log):
    worker.call(f"{functions}:about")
    with pytest.raises(error, match=text) as caught:
        worker.call(f"{functions}:{function}", what="shrinking")
    if log is not None:
        assert log in caught.value.log
        assert "noise" not in caught.value.log
    assert worker.call(f"{functions}:about")["stdin"] == ""


def test_a_hang_is_killed_and_the_next_call_works(functions, tmp_path):
    began = time.monotonic()
    with pytest.raises(tfkit.ConversionError, match=r"took longer than 3 s and was stopped; pass a longer timeout"):
        worker.call(f"{functions}:hang", timeout=3, pids=tmp_path / "pid")
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    assert not alive(pid)
    assert worker.call(f"{functions}:about")["pid"] != pid


def test_a_process_that_has_gone_in_the_meantime_is_replaced(functions, monkeypatch):
    pid = worker.call("os:getpid")
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert worker.call("os:getpid") != pid
    worker.close()
    monkeypatch.setattr(worker, "_IDLE", 0.3)
    pid = worker.call("os:getpid")
    time.sleep(1.5)
    assert worker.call("os:getpid") != pid


def test_after_so_many_calls_comes_another(functions, monkeypatch):
    monkeypatch.setattr(worker, "_CALLS", 2)
    pids = [worker.call("os:getpid") for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_another_thread_has_a_process_of_its_own(functions):
    pid, found = worker.call("os:getpid"), []
    thread = threading.Thread(target=lambda: found.append(worker.call("os:getpid")))
    thread.start()
    thread.join()
    assert found[0] not in (pid, os.getpid())


@pytest.mark.parametrize("how", [None, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_caller_ends(functions, tmp_path, how):
    wait = "" if how is None else f"worker.call('worker_functions:hang', pids={str(tmp_path / 'now')!r})"
    program = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from pathlib import Path
        from tfkit import worker
        Path({str(tmp_path / "pid")!r}).write_text(str(worker.call("os:getpid")))
        {wait}
    """
    caller = subprocess.Popen([sys.executable, "-W", "error", "-c", textwrap.dedent(program)], stderr=subprocess.PIPE)
    if how is not None:
        until = time.monotonic() + 20
        while not (tmp_path / "now").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        caller.send_signal(how)
    _, output = caller.communicate(timeout=20)
    assert (b"KeyboardInterrupt" in output) == (how == signal.SIGINT)
    if how is None:
        assert (caller.returncode, output) == (0, b"")
    until = time.monotonic() + 5
    while alive(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < until
        time.sleep(0.02)
