"""A search with trials of every status, driven by hand: the scores are a known function of the values."""

import math

import keras_tuner

import tfkit

ERROR = "Traceback (most recent call last):\n  …\nValueError: bad <luck>"


def space():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 1, 3)
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Boolean("bias")
    return hp


def loss(values):
    return (math.log10(values["rate"]) + 2) ** 2 + 0.3 * values.get("layers", 0)


def new_oracle(folder, objective="val_loss", trials=24):
    options = {"max_trials": trials, "hyperparameters": space(), "seed": 1, "max_consecutive_failed_trials": 99}
    oracle = tfkit.create("searcher", "random", objective=objective, **options)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder.parent), folder.name)
    return oracle


def run(oracle, trials):
    """Trials of which every seventh fails."""
    for number in range(trials):
        trial = oracle.create_trial("tuner0")
        if number % 7 == 5:
            trial.status, trial.message = "FAILED", ERROR
        else:
            for step in range(3):
                figures = {"val_loss": loss(trial.hyperparameters.values) + 1 / (step + 1), "size": float(number)}
                oracle.update_trial(trial.trial_id, figures, step=step)
            trial.status = "COMPLETED"
        oracle.end_trial(trial)


def fill(folder, objective="val_loss", trials=24):
    """A search of which one trial is left running."""
    oracle = new_oracle(folder, objective, trials)
    run(oracle, trials - 1)
    oracle.create_trial("tuner0")
    return oracle
