"""How few trials tfkit's searchers need, beside KerasTuner's, Optuna's and CMA-ES, in one run.

Prints the median regret after 30, 60 and 100 trials, the mean rank over problems and seeds, and the CPU seconds
for 100 trials. Peers that are not installed are left out with a word: optuna, torch (Optuna's GP), cmaes.
The Digits problem takes a table: --digits digits_mlp_table.npz.

python benchmarks/search.py --seeds 10
python benchmarks/search.py --problems Branin Families --searchers "tfkit bayesian" "Optuna TPE" --seeds 2 --trials 30
"""

from __future__ import annotations

import argparse
import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from search_problems import added, facts, searchers
from search_problems.problem import Problem, Values

AFTER = (30, 60, 100)
_TIE = 1e-6  # regrets that differ by less, of the problem's scale of 1, share a rank

Curves = dict[tuple[str, str], np.ndarray]


def main() -> None:
    options = _options()
    problems = [each for each in _problems(options.digits) if not options.problems or each.name in options.problems]
    chosen = {
        name: run for name, run in searchers.available().items() if not options.searchers or name in options.searchers
    }
    for line in searchers.missing():
        print(line)
    curves: Curves = {}
    seconds: dict[str, float] = dict.fromkeys(chosen, 0.0)
    for problem in problems:
        for name, run in chosen.items():
            began = time.process_time()
            curves[problem.name, name] = np.array(
                [
                    regrets(problem, run, options.trials, seed)
                    for seed in range(options.first, options.first + options.seeds)
                ]
            )
            seconds[name] += time.process_time() - began
            medians = "/".join(f"{each:.2g}" for each in _medians(curves[problem.name, name]))
            print(f"{problem.name:20} {name:24} {medians}", flush=True)
        if options.out:
            np.savez(options.out, **{f"{a}|{b}": found for (a, b), found in curves.items()})
    runs = len(problems) * options.seeds * options.trials / 100
    tell_ranks(
        [each.name for each in problems], list(chosen), curves, {name: each / runs for name, each in seconds.items()}
    )
    tell_bars(curves)


def regrets(problem: Problem, run: searchers.Searcher, trials: int, seed: int) -> np.ndarray:
    """How far the best-scored trial so far is from the optimum, after each trial: by its true value, without noise."""
    noise = np.random.default_rng([seed, 99])
    found: list[float] = []
    best = math.inf

    def measure(values: Values) -> float:
        nonlocal best
        score = problem.measured(values, noise)
        known = found[-1] if found else math.nan
        found.append(problem.value(values) - problem.optimum if score < best else known)
        best = min(best, score) if math.isfinite(score) else best
        return score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(problem, measure, trials, seed)
    return np.array(found + [found[-1]] * (trials - len(found)))[:trials]


def tell_ranks(problems: Sequence[str], names: Sequence[str], curves: Curves, seconds: Mapping[str, float]) -> None:
    """Prints each searcher's mean rank over problems and seeds."""
    from scipy.stats import rankdata

    trials = min(found.shape[1] for found in curves.values())
    after = [each for each in AFTER if each <= trials] or [trials]
    print(f"\n{'mean rank':45}" + " ".join(f"{each:>6}" for each in after) + "  CPU s per 100 trials")
    for place, name in enumerate(names):
        ranks = [
            np.mean([rankdata(_at(curves, problem, names, each), axis=0)[place].mean() for problem in problems])
            for each in after
        ]
        print(f"{name:45}" + " ".join(f"{each:6.2f}" for each in ranks) + f"  {seconds[name]:.2f}")


def tell_bars(curves: Curves) -> None:
    """Prints the comparisons that this project has set itself."""
    ours, peer = "tfkit bayesian", "KerasTuner Bayesian"
    names = [problem for problem, name in curves if name == peer and (problem, ours) in curves]
    if names and curves[names[0], ours].shape[1] >= 100:
        better = [each for each in names if np.median(curves[each, ours][:, 59]) < np.median(curves[each, peer][:, 99])]
        print(f"{ours} after 60 beats {peer} after 100 by median on {len(better)} of {len(names)}: {', '.join(better)}")
    tell_pairs(curves, "tfkit genetic", "KerasTuner Random")
    tell_pairs(curves, "tfkit genetic", "Optuna TPE")
    for (problem, name), found in curves.items():
        if problem == "Hartmann6":
            print(f"Hartmann6: {name} finds the global optimum in {(found[:, -1] < 0.01).sum()} of {len(found)} seeds")


def tell_pairs(curves: Curves, ours: str, peer: str) -> None:
    """Prints in how many pairs of a problem and a seed one searcher ends lower than another."""
    pairs = [
        (found[:, -1], curves[problem, peer][:, -1])
        for (problem, name), found in curves.items()
        if name == ours and (problem, peer) in curves
    ]
    if pairs:
        won = sum(int((one < other).sum()) for one, other in pairs)
        print(f"{ours} beats {peer} in {won} of {sum(len(one) for one, _ in pairs)} pairs")


def _at(curves: Curves, problem: str, names: Sequence[str], after: int) -> np.ndarray:
    return np.array([np.nan_to_num(curves[problem, name][:, after - 1], nan=np.inf) for name in names]).round(
        int(-math.log10(_TIE))
    )


def _medians(found: np.ndarray) -> list[float]:
    return [float(np.median(found[:, each - 1])) for each in AFTER if each <= found.shape[1]] or [
        float(np.median(found[:, -1]))
    ]


def _problems(digits: Path | None) -> list[Problem]:
    if digits is None:
        print("Digits is left out: it needs --digits")
    return [*facts.CLOSED, *([] if digits is None else [facts.digits(digits)]), *added.ADDED]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--problems", nargs="*", help="names of problems; all without")
    parser.add_argument("--searchers", nargs="*", help="names of searchers; all without")
    parser.add_argument("--digits", type=Path, help="table of trainings, .npz, for the problem Digits")
    parser.add_argument("--out", type=Path, help="file for the curves, .npz")
    return parser.parse_args()


if __name__ == "__main__":
    main()
