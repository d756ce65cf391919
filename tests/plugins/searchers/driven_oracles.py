"""What the tests of the searchers share: spaces, and oracles driven by hand. No model is built."""

import keras_tuner

import tfkit

NAMES = ("grid", "random", "sobol", "bayesian", "genetic")


def mixed():
    """Every kind of hyperparameter, one below a conditional scope."""
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("units", 4, 256, sampling="log")
    hp.Float("dropout", 0, 0.5, step=0.1)
    hp.Boolean("bias")
    hp.Fixed("classes", 10)
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 2, 5)
    return hp


def twelve():
    """A space of 2 · (1 + 2) · 2 = 12 points."""
    hp = keras_tuner.HyperParameters()
    hp.Boolean("bias")
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 2, 3)
    hp.Float("dropout", 0, 0.5, step=0.5)
    return hp


def plane(low=-5.0, high=5.0):
    hp = keras_tuner.HyperParameters()
    hp.Float("x", low, high)
    hp.Float("y", low, high)
    return hp


def bowl(values):
    return (values["x"] - 1) ** 2 + 3 * (values["y"] + 2) ** 2


def oracle_in(folder, name="random", hyperparameters=None, reload=True, **options):
    options = {"objective": "val_loss", "max_trials": None, "seed": 0, **options}
    oracle = tfkit.create("searcher", name, hyperparameters=hyperparameters, **options)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "search")
    if reload:
        oracle.reload()
    return oracle


def finish(oracle, trial, score, status="COMPLETED", message=None, step=0):
    oracle.update_trial(trial.trial_id, {oracle.objective.name: score}, step=step)
    trial.status, trial.message = status, message
    oracle.end_trial(trial)
    return oracle.trials[trial.trial_id]


def run(oracle, most=10_000):
    """Runs to the end; the score is the number of the trial."""
    for _ in range(most):
        trial = oracle.create_trial("tuner")
        if trial.status != "RUNNING":
            break
        finish(oracle, trial, float(trial.trial_id))
    return [(each.trial_id, each.status, each.score, each.hyperparameters.values) for each in oracle.trials.values()]


def search(name, function, hp, trials, **options):
    """Runs to the end, in memory; the oracle."""
    options = {"objective": "val_loss", "seed": 0, "max_consecutive_failed_trials": trials + 1, **options}
    oracle = tfkit.create("searcher", name, max_trials=trials, hyperparameters=hp, **options)
    oracle.verbose = 0
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        finish(oracle, trial, function(trial.hyperparameters.values))
    return oracle


def run_with_kills(current, function, trials, kills=()):
    """So many trials, each step on the oracle that `current()` gives, anew before the trials in `kills` end."""
    oracle = current()
    for number in range(trials):
        trial = oracle.create_trial("tuner")
        if number in kills:
            oracle = current()
            trial = oracle.create_trial("tuner")
        figures = function(trial.hyperparameters.values)
        oracle.update_trial(trial.trial_id, figures if isinstance(figures, dict) else {"val_loss": figures})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return [(each.trial_id, each.hyperparameters.values, each.score) for each in oracle.trials.values()]


def key(values):
    return tuple(sorted(values.items()))


def volume(points, corner):
    """The area that points dominate up to a corner, both coordinates to be small."""
    found, height = 0.0, corner[1]
    for x, y in sorted(points):
        if x < corner[0] and y < height:
            found += (corner[0] - x) * (height - y)
            height = y
    return found


def asked(hp):
    """A build function that asks for one more hyperparameter where it sees two layers."""
    return sum(hp.Int(f"units{layer}", 1, 3) for layer in range(hp.Int("layers", 1, 2)))


def run_dynamic(current):
    """Runs `asked` to the end, each step on the oracle that `current()` gives."""
    while (trial := current().create_trial("tuner")).status == "RUNNING":
        oracle = current()
        trial = oracle.create_trial("tuner")
        units = asked(trial.hyperparameters)
        oracle.update_trial(trial.trial_id, {"val_loss": units, "val_accuracy": 0.5})
        oracle = current()
        trial = oracle.create_trial("tuner")
        asked(trial.hyperparameters)
        oracle.update_trial(trial.trial_id, {"val_loss": units, "val_accuracy": 0.5}, step=1)
        trial.status = "FAILED" if units == 4 else "COMPLETED"
        oracle.end_trial(trial)
    trials = current().trials.values()
    return [(each.trial_id, each.status, each.score, each.hyperparameters.values) for each in trials]
