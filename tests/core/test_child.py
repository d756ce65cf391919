import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import tfkit
from tfkit import child

FUNCTIONS = """
import os, signal, subprocess, sys, time
from tfkit.errors import VerificationError

def echo(**kwargs):
    print("noise on stdout")
    return kwargs

def about():
    return {
        "pid": os.getpid(), "group": os.getpgrp(), "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "stdin": sys.stdin.read(), "path": sys.path, "here": os.getcwd(),
    }

def crash():
    print("about to crash", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

def hang(pids):
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(pids, "w") as file:
        file.write(f"{os.getpid()} {grandchild.pid}")
    time.sleep(600)

def fail():
    raise KeyError("no such thing\\nmore of it")

def refuse():
    raise VerificationError("the outputs differ by 0.5")

def leave():
    os._exit(3)

def unwritable():
    return object()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    (folder / "child_functions.py").write_text(FUNCTIONS)
    return folder


@pytest.fixture
def functions(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    return "child_functions"


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids, within=5.0):
    deadline = time.monotonic() + within
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def read_pids(path):
    deadline = time.monotonic() + 20
    while not path.exists() or len(path.read_text().split()) < 2:
        assert time.monotonic() < deadline, "the child did not start"
        time.sleep(0.02)
    return [int(each) for each in path.read_text().split()]


def test_returns_what_the_function_returns(functions, tmp_path):
    given = {"number": 1.5, "rows": [1, 2], "none": None, "path": tmp_path}
    assert child.call(f"{functions}:echo", **given) == {**given, "path": str(tmp_path)}


def test_the_child_is_a_process_of_its_own(functions, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before = dict(os.environ)
    seen = child.call(f"{functions}:about")
    assert seen["pid"] not in (os.getpid(), os.getppid())
    assert seen["group"] == seen["pid"]
    assert seen["stdin"] == ""
    assert seen["path"] == sys.path
    assert seen["here"] == str(Path.cwd())
    assert seen["cuda"] == "-1"
    assert child.call(f"{functions}:about", cpu_only=False)["cuda"] is None
    assert dict(os.environ) == before


def test_a_crash_is_one_line_and_the_end_of_the_output(functions):
    with pytest.raises(
        tfkit.ConversionError, match=r"^shrinking failed: .* crashed with signal 11 \(SIGSEGV\)"
    ) as caught:
        child.call(f"{functions}:crash", what="shrinking")
    assert "\n" not in str(caught.value)
    assert "about to crash" in caught.value.log
    assert "about to crash" in caught.value.__notes__[0]


def test_a_hang_is_killed_with_all_that_it_started(functions, tmp_path):
    began = time.monotonic()
    with pytest.raises(tfkit.ConversionError, match=r"took longer than 3 s and was stopped; pass a longer timeout"):
        child.call(f"{functions}:hang", timeout=3, pids=tmp_path / "pids")
    assert time.monotonic() - began < 10
    assert gone(read_pids(tmp_path / "pids"))


def test_an_exception_comes_as_one_line(functions):
    text = r"^calling child_functions:fail failed: KeyError: .*no such thing"
    with pytest.raises(tfkit.ConversionError, match=text) as caught:
        child.call(f"{functions}:fail")
    assert "\n" not in str(caught.value)
    assert "Traceback" in caught.value.log


def test_an_error_of_tfkits_own_keeps_its_class(functions):
    with pytest.raises(tfkit.VerificationError, match=r"^the outputs differ by 0.5$"):
        child.call(f"{functions}:refuse")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("leave", "ended with exit status 3 and no result"),
        ("unwritable", "TypeError: Object of type object is not JSON serializable"),
        ("nowhere", "AttributeError: .*has no attribute 'nowhere'"),
    ],
)
def test_no_result_is_an_error(functions, function, text):
    with pytest.raises(tfkit.ConversionError, match=text):
        child.call(f"{functions}:{function}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_child_ends_with_its_caller(folder, tmp_path, how):
    program = f"""
        import sys
        sys.path.insert(0, {str(folder)!r})
        from tfkit import child
        child.call("child_functions:hang", pids={str(tmp_path / "pids")!r})
    """
    caller = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    pids = read_pids(tmp_path / "pids")
    caller.send_signal(how)
    _, output = caller.communicate(timeout=10)
    assert ("KeyboardInterrupt" in output) == (how == signal.SIGINT)
    # A kill -9 reaches the child alone: what the child itself started is then no longer in anyone's care.
    watched = pids if how == signal.SIGINT else pids[:1]
    assert gone(watched)
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
