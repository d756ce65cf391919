"""Scripts without TensorFlow show how workers are started, begun again and ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfkit import cli
from tfkit.pipeline import launch

HEAD = """
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
with open(here / f"starts-{index}", "a") as file:
    file.write("x")
starts = len((here / f"starts-{index}").read_text())
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)

    def write(body):
        path = tmp_path / "recipe.py"
        path.write_text(HEAD + body)
        return str(path)

    return write


def launched(*arguments):
    return cli._run(cli.tfkit, ["launch", *arguments], False)


def starts(tmp_path):
    return [len(each.read_text()) for each in sorted(tmp_path.glob("starts-*"))]


def test_every_worker_runs_the_script_as_main_with_the_cluster_and_its_arguments(script, tmp_path, capfd):
    path = script("""
assert __name__ == "__main__"
(here / f"seen-{index}").write_text(json.dumps([config, sys.argv[1:]]))
print("one\\ntwo")
print("three", file=sys.stderr)
""")
    assert launched("--workers", "3", path, "--smoke", "--workers", "x") == 0
    seen = [json.loads((tmp_path / f"seen-{index}").read_text()) for index in range(3)]
    cluster = seen[0][0]["cluster"]
    assert len({*cluster["worker"]}) == 3
    assert all(address.startswith("127.0.0.1:") for address in cluster["worker"])
    for index, (config, arguments) in enumerate(seen):
        assert config == {"cluster": cluster, "task": {"type": "worker", "index": index}}
        assert arguments == ["--smoke", "--workers", "x"]
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == sorted(f"[worker-{i}] {word}" for i in range(3) for word in ("one", "two", "three"))


def test_all_begin_again_when_one_is_killed(script, tmp_path, capfd):
    path = script("""
if index == 1 and starts == 1:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60 if starts == 1 else 0)
""")
    begun = time.monotonic()
    assert launched("--workers", "3", path) == 0
    assert time.monotonic() - begun < 30
    assert starts(tmp_path) == [2, 2, 2]
    told = capfd.readouterr().err
    assert "launch: worker-1 was ended by signal 9 (SIGKILL)" in told
    assert "launch: all are begun again (3 times more)" in told


def test_what_a_killed_worker_had_started_ends_too(script, tmp_path):
    path = script("""
if index == 0 and starts == 1:
    import subprocess
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    (here / "started").write_text(str(subprocess.Popen(sleeps, **quiet).pid))
    os.kill(os.getpid(), signal.SIGKILL)
""")
    assert launched("--workers", "2", path) == 0
    assert not runs(int((tmp_path / "started").read_text()))


def test_a_mistake_that_takes_another_worker_with_it_is_the_mistake(script, tmp_path, capfd):
    path = script("""
(here / f"ready-{index}").touch()
while len(list(here.glob("ready-*"))) < 2:
    time.sleep(0.001)
sys.exit(index + 1)
""")
    assert launched("--workers", "2", path) == 2
    assert starts(tmp_path) == [1, 1]
    assert "launch: worker-1 ended with exit status 2" in capfd.readouterr().err


def test_all_begin_again_with_other_addresses_when_one_was_taken(script, tmp_path, monkeypatch, capfd):
    path = script("""
(here / f"address-{starts}").write_text(config["cluster"]["worker"][0])
sys.exit(2 if starts == 1 else 0)
""")
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        taken = f"127.0.0.1:{used.getsockname()[1]}"
        first, choose = [taken], launch._free_addresses
        monkeypatch.setattr(launch, "_free_addresses", lambda count: [first.pop()] if first else choose(count))
        assert launched("--workers", "1", path) == 0
    assert (tmp_path / "address-1").read_text() == taken != (tmp_path / "address-2").read_text()
    assert "is in use by another process" in capfd.readouterr().err


def test_a_launch_whose_output_nobody_reads_goes_on(script, tmp_path):
    path = script("""
for number in range(20000):
    print("line", number)
(here / f"done-{index}").touch()
""")
    with subprocess.Popen([sys.executable, "-m", "tfkit", "launch", "--workers", "2", path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 0
    assert starts(tmp_path) == [1, 1]
    assert len(list(tmp_path.glob("done-*"))) == 2


def test_debug_is_for_the_workers_too(script, tmp_path):
    path = script('(here / f"seen-{index}").write_text(" ".join(sys.argv[1:]))')
    command = [sys.executable, "-m", "tfkit", "launch", "--debug", "--workers", "1", path, "--smoke"]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0
    assert (tmp_path / "seen-0").read_text() == "--smoke --debug"


def test_a_worker_that_has_finished_begins_again_with_the_others(script, tmp_path):
    path = script("""
(here / f"seen-{index}-{starts}").write_text(" ".join(sys.argv[1:]))
if index == 1 and starts == 1:
    time.sleep(0.5)
    sys.exit(3)
""")
    assert launched("--workers", "2", path, "--smoke", "--fresh") == 0
    assert starts(tmp_path) == [2, 2]
    # A recipe that begins again goes on with its run.
    assert (tmp_path / "seen-0-1").read_text() == "--smoke --fresh"
    assert (tmp_path / "seen-0-2").read_text() == "--smoke"


@pytest.mark.parametrize(("status", "restarts", "wanted", "begun"), [(7, 1, 1, 2), (7, 0, 1, 1), (2, 3, 2, 1)])
def test_restarts_are_bounded_and_a_mistake_is_not_tried_again(script, tmp_path, status, restarts, wanted, begun):
    path = script(f"time.sleep(30 * (index == 0))\nsys.exit({status})")
    assert launched("--workers", "2", "--restarts", str(restarts), path) == wanted
    assert starts(tmp_path)[1] == begun


def test_ctrl_c_ends_all_after_they_have_cleaned_up(script, tmp_path):
    path = script("""
try:
    (here / f"ready-{index}").touch()
    time.sleep(60)
except KeyboardInterrupt:
    (here / f"kept-{index}").touch()
""")
    command = [sys.executable, "-m", "tfkit", "launch", "--workers", "2", path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(tmp_path, "ready-*", 2)
    process.send_signal(signal.SIGINT)
    assert "interrupted" in process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert len(list(tmp_path.glob("kept-*"))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a process that is killed")
def test_no_worker_outlives_a_launch_that_is_killed(script, tmp_path):
    path = script('(here / f"pid-{index}").write_text(str(os.getpid()))\ntime.sleep(60)')
    process = subprocess.Popen([sys.executable, "-m", "tfkit", "launch", "--workers", "2", path])
    wait_for(tmp_path, "pid-*", 2)
    pids = [int(each.read_text()) for each in tmp_path.glob("pid-*")]
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while any(map(runs, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(runs, pids))


def wait_for(folder, pattern, count):
    until = time.monotonic() + 30
    while sum(bool(each.exists()) for each in folder.glob(pattern)) < count:
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.2)


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended, and waits for somebody to ask.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workers", "0", "recipe.py"), "0 is not in the range x>=1"),
        (("--workers", "2", "--restarts", "-1", "recipe.py"), "-1 is not in the range x>=0"),
        (("recipe.py",), "Missing option '--workers'"),
        (("--workers", "2", "none.py"), "there is no recipe script 'none.py'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, words, capsys):
    assert launched(*arguments) == 2
    assert words in capsys.readouterr().err


def test_addresses_of_tf_config_are_used_and_must_be_free(script, tmp_path, monkeypatch, capsys):
    path = script('(here / f"seen-{index}").write_text(json.dumps(config["cluster"]))')
    with socket.socket() as free, socket.socket() as used:
        free.bind(("127.0.0.1", 0))
        used.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (free, used)]
        used.listen()
        cluster = {"chief": addresses[:1], "worker": addresses[1:]}
        text = json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}})
        free.close()
        monkeypatch.setenv("TF_CONFIG", text)
        assert launched("--workers", "2", path) == 2
        assert f"the address {addresses[1]} of TF_CONFIG is in use by another process" in capsys.readouterr().err
    assert launched("--workers", "2", path) == 0
    assert json.loads((tmp_path / "seen-0").read_text()) == cluster
    assert launched("--workers", "3", path) == 2
    assert "TF_CONFIG names 2 workers, and --workers is 3" in capsys.readouterr().err
    monkeypatch.setenv("TF_CONFIG", text.replace("127.0.0.1", "10.9.8.7"))
    assert launched("--workers", "2", path) == 2
    assert "which is another machine" in capsys.readouterr().err


def test_gpus_are_shared_out(monkeypatch, capfd):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,8")
    assert [launch._gpus(number, 2)["CUDA_VISIBLE_DEVICES"] for number in range(2)] == ["4,5", "6,7"]
    assert launch._gpus(0, 6) == {"CUDA_VISIBLE_DEVICES": "-1"}
    launch._warn_of_gpus(5)
    assert not capfd.readouterr().err
    launch._warn_of_gpus(6)
    assert "launch: 5 GPU(s) for 6 workers: all train on the CPU" in capfd.readouterr().err
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert launch._gpus(0, 2) == {}
