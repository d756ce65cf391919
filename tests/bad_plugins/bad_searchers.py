"""Searchers, each wrong in one respect. The table names them after the check that finds it."""

import numpy as np

from tfkit_searchers.random_search import RandomSearch


class WaitsForever(RandomSearch):
    def populate_space(self, trial_id):
        answer = super().populate_space(trial_id)
        return {**answer, "status": "IDLE"} if answer["status"] == "STOPPED" else answer


class OneTooMany(RandomSearch):
    def __init__(self, objective=None, max_trials=10, **options):
        super().__init__(objective, max_trials + 1, **options)


class RepeatsTheFirst(RandomSearch):
    def propose(self, number):
        return dict(self.trials["0000"].hyperparameters.values) if number == 3 else super().propose(number)


class RoundsUp(RandomSearch):
    def propose(self, number):
        values = super().propose(number)
        return {**values, "units": 257} if values and "units" in values else values


class Unseeded(RandomSearch):
    def generator(self, number):
        return np.random.default_rng()


class ForgetsScores(RandomSearch):
    def reload(self):
        super().reload()
        for trial in self.trials.values():
            trial.score = None


class NeedsADatabase(RandomSearch):
    def reload(self):
        if not self._path.exists():
            raise FileNotFoundError(self._path)
        super().reload()


class ForgetsTheRunning(RandomSearch):
    def reload(self):
        super().reload()
        self._retry_queue.clear()


class TakesInfinity(RandomSearch):
    def end_trial(self, trial):
        super().end_trial(trial)
        self.trials[trial.trial_id].status = "COMPLETED"
