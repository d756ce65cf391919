"""Kills a search with kill -9 at random moments, a worker, the parent or both, and counts what went wrong.

Each search has eight trials whose score is a known function of their values. Of each kill is checked: no completed
trial is lost, none is completed twice, none has a wrong value; all workers of a parent that was killed are gone; the
search, called again, ends with the trials of one that nobody has killed, one by one.

python benchmarks/kills.py --kills 50
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests" / "pipeline"
TRIALS = 8

# Tells of everything on a line.
PARENT = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.insert(0, sys.argv[1])
from search_tasks import Act, Driven
import time

def report(event):
    print(event["event"], event["trial"], event.get("status", ""), *driven.pids(), flush=True)

workers = {"count": int(sys.argv[3]), "heartbeat": 1.0} if int(sys.argv[3]) else {}
task = Act(lambda values, attempt: time.sleep(0.15))
driven = Driven(task, sys.argv[2], trials=int(sys.argv[4]), report=report, **workers)
driven.pids = lambda: getattr(driven.runner, "pids", [])
driven.run()
for row in driven.rows:
    print("row", *row[:3], row[3]["x"], flush=True)
"""


class Parent:
    """A process that searches."""

    def __init__(self, folder: str, workers: int) -> None:
        command = [sys.executable, "-c", PARENT, str(TESTS), folder, str(workers), str(TRIALS)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.completed: list[str] = []
        self.workers: list[int] = []

    def hear(self, until: float) -> list[list[str]]:
        """Reads to its end, or until a moment after its first word."""
        assert self.process.stdout is not None
        rows, moment = [], None
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "row":
                rows.append(words[1:])
                continue
            self.workers = [int(word) for word in words[2:] if word.isdigit()]
            if words[0] == "end" and words[2] == "COMPLETED":
                self.completed.append(words[1])
            moment = moment or time.monotonic() + until
            if time.monotonic() > moment:
                break
        return rows


def search(kind: str, draw: random.Random, workers: int, expected: list[list[str]]) -> list[str]:
    """One search, killed once; returns what was wrong."""
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = str(Path(name, "search"))
        parent = Parent(folder, workers)
        rows = parent.hear(draw.uniform(0.0, 0.15 * TRIALS / max(workers, 1)))
        victims = draw.sample(parent.workers, 1) if kind != "parent" and parent.workers else []
        for victim in [*victims, *([parent.process.pid] if kind != "worker" else [])]:
            kill(victim)
        if kind == "worker":
            rows = rows or parent.hear(float("inf"))
            completed = parent.completed
            parent.process.wait(60)
        else:
            parent.process.wait(60)
            time.sleep(0.2)
            wrong += [f"worker {pid} lives on" for pid in parent.workers if alive(pid)]
            again = Parent(folder, workers)
            rows = again.hear(float("inf"))
            again.process.wait(60)
            completed = parent.completed + again.completed
        wrong += [f"{each} was completed twice" for each in set(completed) if completed.count(each) > 1]
        wrong += [f"row {row} is not {other}" for row, other in zip(rows, expected) if row != other]
        wrong += [f"{len(rows)} trials of {TRIALS}"] if len(rows) != TRIALS else []
    return wrong


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        expected = Parent(str(Path(name, "search")), 0).hear(float("inf"))
    counts: dict[Any, int] = {}
    wrong = 0
    for number in range(options.kills):
        kind, workers = (("worker", 2), ("parent", 2), ("both", 2), ("parent", 0))[number % 4]
        found = search(kind, draw, workers, expected)
        wrong += bool(found)
        counts[kind, workers] = counts.get((kind, workers), 0) + 1
        print(number, kind, workers or "sequential", found or "well", flush=True)
    print(f"{options.kills} kills, {wrong} went wrong; {counts}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
