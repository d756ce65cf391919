"""What a searcher itself costs: milliseconds to ask for a trial and tell its score, and seconds to keep and reopen.

The bars: at most 50 ms at 100 trials and 200 ms at 1000 (median of some turns, processor time and by the clock); 1000
trials of random search kept in a folder in under 3 s in all, and read again in under .3 s.

python benchmarks/asks.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_tuner
from search_problems import added, facts
from search_problems.problem import Problem

import tfkit


def main() -> None:
    options = _options()
    problems = {each.name: each for each in [*facts.CLOSED, *added.ADDED]}
    for searcher in options.searchers:
        for problem in options.problems:
            for trials in options.trials:
                told = ask_and_tell(searcher, problems[problem], trials, options.turns)
                print(f"{searcher:10} {problem:15} at {trials:5}: {told}", flush=True)
    print(kept(1000))


def ask_and_tell(searcher: str, problem: Problem, trials: int, turns: int) -> str:
    """Milliseconds of a turn once so many trials are known."""
    # Only bayesian can be spared to propose the trials before: its first ones cost nothing.
    first = {"num_initial_points": trials} if searcher == "bayesian" else {}
    oracle = _oracle(searcher, problem, max_trials=10 * trials, **first)
    while len(oracle.trials) < trials:
        _turn(oracle, problem)
    oracle.num_initial_points = 1
    clock, processor = [], []
    for _ in range(turns):
        moments = time.perf_counter(), time.process_time()
        _turn(oracle, problem)
        clock.append(1000 * (time.perf_counter() - moments[0]))
        processor.append(1000 * (time.process_time() - moments[1]))
    most, worked = max(clock), statistics.median(processor)
    return f"{statistics.median(clock):.1f} ms by the clock (most {most:.1f}), {worked:.1f} ms of processor"


def kept(trials: int) -> str:
    """Seconds for a random search of so many trials on disk, and for reading it again."""
    problem = facts.CLOSED[1]
    with tempfile.TemporaryDirectory() as folder:
        oracle = _oracle("random", problem, max_trials=trials)
        oracle._set_project_dir(folder, "search")
        begun = time.perf_counter()
        while len(oracle.trials) < trials:
            _turn(oracle, problem)
        written = time.perf_counter() - begun
        again = _oracle("random", problem, max_trials=trials)
        again._set_project_dir(folder, "search")
        begun = time.perf_counter()
        again.reload()
        read = time.perf_counter() - begun
        assert len(again.trials) == trials
    return f"{trials} trials of random search: {written:.2f} s to propose and keep, {read:.3f} s to read again"


def _oracle(searcher: str, problem: Problem, **options: object) -> keras_tuner.Oracle:
    oracle = tfkit.create(
        "searcher",
        searcher,
        objective=keras_tuner.Objective("score", "min"),
        hyperparameters=problem.space(),
        seed=0,
        max_consecutive_failed_trials=9999,
        **options,
    )
    oracle.verbose = 0
    return oracle


def _turn(oracle: keras_tuner.Oracle, problem: Problem) -> None:
    trial = oracle.create_trial("tuner")
    oracle.update_trial(trial.trial_id, {"score": problem.value(trial.hyperparameters.values)})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searchers", nargs="*", default=["bayesian", "genetic", "sobol", "random"])
    parser.add_argument("--problems", nargs="*", default=["Hartmann6", "Network", "Few of many"])
    parser.add_argument("--trials", nargs="*", type=int, default=[100, 1000])
    parser.add_argument("--turns", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
