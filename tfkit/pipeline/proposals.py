"""Proposals: the strengths that a searcher's oracles give an automatic search, one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfkit.factory import create
from tfkit.recipe import Step, step_name

# Time ends a search, not a number of trials; and a strength that is refused says nothing about the next.
_NO_LIMIT = {"max_consecutive_failed_trials": 100_000}
_MANY = 100_000


class Proposals:
    """Asks one oracle after another, each until it has tried everything.

    Args:
        oracles: Pairs of a searcher, by name or (name, params), and the `keras_tuner.HyperParameters` that it searches.
        folder: Where the oracles keep their trials.
        seed: Their seed.

    Raises:
        PluginNotFound: There is no such searcher.
        ParameterError: One of its parameters is wrong.
    """

    def __init__(self, oracles: Sequence[tuple[Step, Any]], folder: Path, seed: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._oracles = [
            _oracle(searcher, space, folder, f"{number}", seed) for number, (searcher, space) in enumerate(oracles)
        ]
        self._trial: Any = None

    def next(self) -> dict[str, Any] | None:
        """The next values; None where everything was tried."""
        while self._oracles:
            self._trial = self._oracles[0].create_trial("tfkit")
            if self._trial.status == "RUNNING":
                return dict(self._trial.hyperparameters.values)
            _close(self._oracles.pop(0))
        return None

    def tell(self, score: float | None) -> None:
        """Says how good the last values were, the more the better; None where they failed."""
        if score is not None:
            self._oracles[0].update_trial(self._trial.trial_id, {"score": score})
        self._trial.status = "FAILED" if score is None else "COMPLETED"
        self._oracles[0].end_trial(self._trial)

    def close(self) -> None:
        """Closes the oracles' files."""
        for oracle in self._oracles:
            _close(oracle)


def _oracle(searcher: Step, space: Any, folder: Path, name: str, seed: int) -> Any:
    import keras_tuner

    plugin, params = step_name(searcher)
    objective = keras_tuner.Objective("score", "max")
    given = {"objective": objective, "hyperparameters": space, "seed": seed, "allow_new_entries": False}
    limits = {**_NO_LIMIT, **({} if plugin == "grid" else {"max_trials": _MANY})}
    oracle = create("searcher", plugin, **{**given, **limits, **params})
    oracle.verbose = 0
    (folder / name).mkdir(parents=True)
    oracle._set_project_dir(str(folder), name)
    return oracle


def _close(oracle: Any) -> None:
    if hasattr(oracle, "close"):
        oracle.close()
