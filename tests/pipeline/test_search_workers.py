"""Trials in child processes: what becomes of workers that die, hang, grow or take too long."""

import os
import signal
import time
from pathlib import Path

import pytest
from search_tasks import Act, Driven, dying, score, sleeping

import tfkit
from tfkit import memory
from tfkit.pipeline.runners.processes import FOLDER


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    return Driven(Act(), tmp_path_factory.mktemp("sequential")).run().rows


def test_workers_run_the_trials_that_one_process_runs(tmp_path, sequential):
    driven = Driven(Act(), tmp_path, count=2).run()
    assert driven.rows == sequential
    assert [row[2] for row in sequential] == [score(row[3]) for row in sequential]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search.db"]


def test_trials_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(3))
    held = []

    def watch(event):
        held.append(len(driven.runner.pids))

    driven = Driven(sleeping(0.3), tmp_path, trials=3, count=3, report=watch)
    driven.run()
    assert driven.events_of("begin")[:3] == ["0000", "0001", "0002"]
    assert [event["event"] for event in driven.events[:3]] == ["begin"] * 3
    assert max(held) == 3


def test_no_more_workers_start_at_once_than_there_are_cores(tmp_path, monkeypatch, sequential):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})
    held = []
    driven = Driven(sleeping(0.5), tmp_path, count=3, report=lambda event: held.append(len(driven.runner.pids)))
    assert driven.runner.free() == 1
    driven.run()
    assert driven.rows == sequential
    assert max(held) > 1  # once the first was ready


def test_trial_of_a_worker_that_was_killed_runs_again(tmp_path, sequential, capsys):
    driven = Driven(dying(), tmp_path, count=2).run()
    died = [row[0] for row in sequential if row[3]["x"] > 0.5]
    assert died
    assert driven.rows == sequential
    assert sorted(driven.events_of("lost")) == died
    assert f"the worker of trial {died[0]} died (signal 9): the trial runs again" in capsys.readouterr().err


def test_model_that_ends_its_process_each_time_has_failed_after_three(tmp_path, sequential):
    driven = Driven(dying(signal.SIGSEGV, most=99), tmp_path, count=2).run()
    for row, expected in zip(driven.rows, sequential, strict=True):
        assert row[1] == ("FAILED" if expected[3]["x"] > 0.5 else "COMPLETED")
    failed = next(trial for trial in driven.trials.values() if trial.status == "FAILED")
    assert failed.message.splitlines()[-1] == "the worker died (signal 11) 3 times"
    assert "Segmentation fault" in failed.message  # the end of its log


def test_an_error_of_whoever_listens_is_no_death_of_a_worker(tmp_path):
    def report(event):
        if event["event"] == "epoch":
            raise ConnectionRefusedError("no one is there")

    with pytest.raises(ConnectionRefusedError, match="no one is there"):
        Driven(Act(), tmp_path, trials=2, count=1, report=report).run()


class Stillborn(Act):
    """Its workers end before they can run a trial."""

    set_up = "os:_exit"


def test_workers_that_cannot_begin_end_the_search_and_fail_no_trial(tmp_path):
    driven = Driven(Stillborn(), tmp_path, trials=3, count=1)
    with pytest.raises(tfkit.SearchError, match=r"no worker can begin: 3 in a row .* before a trial"):
        driven.run()
    assert [trial.status for trial in driven.oracle.trials.values()] == ["RUNNING"]


def test_worker_that_gives_no_sign_of_life_is_replaced_within_two_heartbeats(tmp_path, sequential):
    """Stopped, as a machine that swaps may stop it: neither dead nor alive."""
    moments = []

    def stop_first(event):
        if (event["event"], event["trial"]) == ("begin", "0001"):
            moments.append(time.monotonic())
        if (event["event"], event["trial"], len(moments)) == ("epoch", "0001", 1):
            os.kill(driven.runner.pids[0], signal.SIGSTOP)
            moments[0] = time.monotonic()

    class Telling(Act):
        def run(self, request, watcher):
            watcher.epoch(request, 0, {"val_loss": 9.0})
            time.sleep(0.2)
            return super().run(request, watcher)

    driven = Driven(Telling(), tmp_path, trials=3, count=1, heartbeat=1.5, report=stop_first)
    driven.run()
    assert driven.rows == sequential[:3]
    assert driven.events_of("lost") == ["0001"]
    reason = next(event["reason"] for event in driven.events if event["event"] == "lost")
    assert reason == "gave no sign of life for 3 s"
    assert 1.5 < moments[1] - moments[0] < 10  # on a machine that is busy with other things


@pytest.mark.nightly
def test_worker_is_not_thought_silent_while_its_parent_is_busy(tmp_path, sequential):
    """What it has said waits to be heard."""

    def slow(event):
        if event["event"] == "epoch":
            time.sleep(3.5)

    driven = Driven(sleeping(0.2), tmp_path, trials=4, count=2, heartbeat=1.5, report=slow).run()
    assert driven.events_of("lost") == []
    assert driven.rows == sequential[:4]


def test_trial_that_takes_too_long_is_stopped_and_has_failed(tmp_path):
    task = Act(lambda values, attempt: time.sleep(60 * (values["x"] > 0.5)))
    driven = Driven(task, tmp_path, trials=3, count=2, budget={"trial_timeout": 2.0}).run()
    for trial in driven.trials.values():
        late = trial.hyperparameters.get("x") > 0.5
        expected = "the trial took longer than trial_timeout=2 s and was stopped" if late else None
        assert (trial.status, trial.message) == ("FAILED" if late else "COMPLETED", expected)
    assert "FAILED" in {trial.status for trial in driven.trials.values()}


def test_worker_that_takes_more_than_its_memory_is_stopped_and_its_trial_has_failed(tmp_path):
    def grow(values, attempt):
        if values["x"] > 0.5:
            held = bytearray(400_000_000)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(60)

    driven = Driven(Act(grow), tmp_path, trials=3, count=2, memory=200_000_000).run()
    failed = [trial for trial in driven.trials.values() if trial.status == "FAILED"]
    assert [trial.hyperparameters.get("x") > 0.5 for trial in failed] == [True] * len(failed)
    assert failed
    assert "MB of memory, more than its share of 200 MB" in failed[0].message


def test_worker_that_keeps_memory_after_a_trial_is_replaced(tmp_path):
    pids = []

    def leak(values, attempt):
        import search_tasks

        search_tasks.leak = [*getattr(search_tasks, "leak", []), os.urandom(100_000_000)]

    def note(event):
        if event["event"] == "epoch":
            pids.extend(driven.runner.pids)

    driven = Driven(Act(leak), tmp_path, trials=3, count=1, memory=300_000_000, report=note)
    driven.run()
    assert {trial.status for trial in driven.trials.values()} == {"COMPLETED"}
    assert len(pids) == 3
    assert len(set(pids)) == 2  # after two trials it holds more than half


def test_memory_of_a_process_is_told():
    assert 1e7 < memory.held(os.getpid()) < memory.total()
    assert memory.held(2**22 + 1) is None


def test_histories_of_the_others_are_answered(tmp_path):
    class Asking:
        set_up = None

        def run(self, request, watcher):
            outcome = Act().run(request, watcher)
            figures = {**outcome.history[0], "known": float(len(watcher.histories()))}
            watcher.epoch(request, 1, figures)
            return type(outcome)(outcome.status, outcome.hyperparameters, (figures,))

    driven = Driven(Asking(), tmp_path, trials=3, count=1).run()
    known = [trial.metrics.get_history("known")[0].mean() for trial in driven.trials.values()]
    assert known == [1.0, 2.0, 3.0]


def test_target_ends_the_search_and_what_ran_comes_first_in_the_next(tmp_path, sequential):
    goal = sequential[0][2]
    task = Act(lambda values, attempt: time.sleep(0.0 if score(values) == goal else 60))
    driven = Driven(task, tmp_path, count=2, budget={"target": goal}).run()
    assert driven.stopped.startswith("trial 0000 has reached the target: val_loss")
    assert {row[0]: row[1] for row in driven.rows}["0001"] == "RUNNING"
    assert Driven(Act(), tmp_path, count=2).run().rows == sequential


def test_time_budget_stops_trials_but_not_before_one_was_completed(tmp_path, sequential):
    begun = time.monotonic()
    task = Act(lambda values, attempt: time.sleep(2.5 if values["x"] == sequential[0][3]["x"] else 60))
    driven = Driven(task, tmp_path, count=2, budget={"ends": begun + 1.5}).run()
    assert driven.stopped == "the time budget is spent after 1 trials"
    assert [row[1] for row in driven.rows] == ["COMPLETED", "RUNNING"]
    assert time.monotonic() - begun < 20


def test_interrupt_ends_the_workers_and_leaves_their_trials_to_be_given_again(tmp_path, sequential):
    pids = []

    def interrupt(event):
        pids.extend(driven.runner.pids)
        if event["event"] == "end":
            raise KeyboardInterrupt

    driven = Driven(Act(), tmp_path, count=2, report=interrupt)
    with pytest.raises(KeyboardInterrupt):
        driven.run()
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not (tmp_path / FOLDER).exists()
    assert Driven(Act(), tmp_path, count=2).run().rows == sequential


def test_error_that_ends_the_search_comes_through(tmp_path):
    class Broken:
        set_up = None

        def run(self, request, watcher):
            raise tfkit.ParameterError("no metric of the model is called 'x'")

    with pytest.raises(tfkit.ParameterError, match="no metric of the model is called 'x'"):
        Driven(Broken(), tmp_path, count=2).run()


def test_worker_that_cannot_read_the_task_says_why(tmp_path):
    class Unreadable:
        set_up = "nowhere.to_be_found:function"

    with pytest.raises(tfkit.ParameterError, match="a worker cannot begin: ModuleNotFoundError: No module named 'now"):
        Driven(Unreadable(), tmp_path, count=1).run()
