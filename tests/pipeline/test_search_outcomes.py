"""What is said of trials that have no score, and whose histories count."""

from types import SimpleNamespace

import keras_tuner
from keras_tuner.engine.trial import Trial

from tfkit.goal import Goal, constraints_of
from tfkit.pipeline import chief
from tfkit.pipeline.search_result import TrialResult, unmet, why_none


def trial_of(status, score=None, violation=0.0, error=None):
    return TrialResult("0000", {}, score, status, {}, {}, error, violation)


def test_why_no_trial_has_a_score():
    goal = Goal((("val_loss", "min"),), constraints_of({"parameters": 1}))
    excluded, failed = trial_of("COMPLETED", violation=2.0), trial_of("FAILED", error="Traceback\nValueError: bad")
    assert why_none([excluded, excluded], goal) == "none keeps to parameters <= 1, so that none was trained"
    assert why_none([excluded, trial_of("RUNNING")], goal) == why_none([excluded], goal)
    assert why_none([failed, excluded], goal) == "ValueError: bad"
    assert why_none([trial_of("RUNNING")], goal) == ""
    assert unmet([excluded, failed], goal) == "parameters <= 1"
    assert [unmet(each, goal) for each in ([], [failed], [excluded, trial_of("COMPLETED", 1.0)])] == [""] * 3


def test_histories_are_those_of_trials_that_completed():
    trials = {}
    for name, status, score in (("0", "COMPLETED", 1.0), ("1", "INVALID", 1.0), ("2", "COMPLETED", None)):
        trials[name] = Trial(keras_tuner.HyperParameters(), name, status)
        trials[name].score = score
    assert list(chief._histories(SimpleNamespace(trials=trials))) == ["0"]
