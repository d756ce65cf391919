"""Tasks that train nothing, for tests and benchmarks of the runners: no framework is imported in their children."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tfkit.pipeline.runners.protocol import COMPLETED, Outcome


def score(values):
    """What a trial with these values must be recorded with."""
    return (values["x"] - 0.25) ** 2


@dataclass(frozen=True)
class Act:
    """Does something to its process, then reports a score that is a function of the values.

    Args:
        act: Called with the values and the number of the attempt.
    """

    act: Callable = field(default=lambda values, attempt: None)
    set_up = None

    def run(self, request, watcher):
        values = request.hyperparameters["values"]
        self.act(values, request.attempt)
        figures = {"val_loss": score(values)}
        watcher.epoch(request, 0, figures)
        return Outcome(COMPLETED, request.hyperparameters, (figures,))


def sleeping(seconds):
    return Act(lambda values, attempt: time.sleep(seconds))


def dying(number=signal.SIGKILL, most=1):
    """Ends its process in the first attempts of each trial whose x is over a half."""

    def act(values, attempt):
        if values["x"] > 0.5 and attempt < most:
            os.kill(os.getpid(), number)

    return Act(act)


class Driven:
    """A random search over one float, run by child processes.

    Args:
        task: What the trials do.
        directory: Where it is kept.
        trials: How many.
        seed: Of the search.
        report: Called with what happens.
        budget: More of `Budget`.
        runner: Makes the runner of the task and the directory; None for child processes, or this one.
        options: Of `ProcessOptions`; without any the trials run in this process.
    """

    def __init__(self, task, directory, trials=6, seed=0, report=None, budget=None, runner=None, **options):
        import keras_tuner

        import tfkit
        from tfkit.pipeline.checkpoints import Checkpoints
        from tfkit.pipeline.chief import Budget, Chief
        from tfkit.pipeline.runners.here import Here
        from tfkit.pipeline.runners.processes import Processes, ProcessOptions, clear

        hp = keras_tuner.HyperParameters()
        hp.Float("x", 0.0, 1.0)
        directory = Path(directory)
        directory.mkdir(exist_ok=True, parents=True)
        self.oracle = tfkit.create(
            "searcher",
            "random",
            objective="val_loss",
            max_trials=trials,
            hyperparameters=hp,
            seed=seed,
            max_consecutive_failed_trials=100,
        )
        self.oracle.verbose = 0
        self.oracle._set_project_dir(str(directory.parent), directory.name)
        self.oracle.reload()
        clear(directory)
        if runner is not None:
            self.runner = runner(task, directory)
        else:
            self.runner = Processes(task, directory, ProcessOptions(**options), []) if options else Here(task)
        self.events = []
        self._report = report or (lambda event: None)
        checkpoints = Checkpoints(self.oracle, directory, 1)
        budget = Budget(trials=trials, epochs=1, **(budget or {}))
        self.chief = Chief(self.oracle, self.runner, checkpoints, budget, self._happened, lambda words: None)

    def run(self):
        with closing(self.oracle), closing(self.runner):
            self.stopped = self.chief.run()
            self.trials = dict(self.oracle.trials)
        return self

    @property
    def rows(self):
        return [(each.trial_id, each.status, each.score, each.hyperparameters.values) for each in self.trials.values()]

    def events_of(self, kind):
        return [event["trial"] for event in self.events if event["event"] == kind]

    def _happened(self, event):
        self.events.append(event)
        self._report(event)
