"""What a search runs, tells and refuses."""

import keras
import keras_tuner
import numpy as np
import pytest
from search_models import cheap, cheap_search, make_data

import tfkit
from tfkit.pipeline.space import explore


def test_progress_tells_of_every_trial_and_epoch():
    events = []
    result = cheap_search(epochs=2, trials=1, progress=events.append)
    assert [event["event"] for event in events] == ["begin", "epoch", "epoch", "end"]
    assert [event["logs"]["val_loss"] for event in events[1:3]] == result.trials[0].history["val_loss"]
    end = {"trial": "0000", "values": result.best_values, "status": "COMPLETED", "score": result.best_score}
    assert events[-1] == {"event": "end", **end, "best_score": result.best_score}


def test_grid_runs_everything_there_is():
    def small(hp):
        hp.Choice("kind", ["flat", "deep"])
        with hp.conditional_scope("kind", ["deep"]):
            hp.Int("layers", 1, 2)
        return cheap(keras_tuner.HyperParameters())

    result = cheap_search(small, searcher="grid", trials=None)
    assert [trial.values for trial in result.trials] == [
        {"kind": "flat"},
        {"kind": "deep", "layers": 1},
        {"kind": "deep", "layers": 2},
    ]
    assert "every distinct set of values was tried, in 3 trials" in result.stopped


def test_build_without_hyperparameters_is_one_trial(capsys):
    result = cheap_search(lambda hp: cheap(keras_tuner.HyperParameters()), trials=5)
    assert [trial.values for trial in result.trials] == [{}]
    assert "asks for no hyperparameters: one trial is all there is; trials=5" in result.stopped
    assert result.stopped in capsys.readouterr().err


def test_failed_trials_are_kept_with_their_traceback_and_the_search_goes_on():
    def failing(hp):
        rate = hp.Choice("rate", [0.1, 0.2, 0.3, 0.4])
        if rate in (0.2, 0.3):
            raise ZeroDivisionError(f"rate {rate}")
        return cheap(keras_tuner.HyperParameters())

    result = cheap_search(failing, searcher="grid", trials=4)
    assert [trial.status for trial in result.trials] == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
    assert "ZeroDivisionError: rate 0.2" in result.trials[1].error
    assert "Traceback" in result.trials[1].error
    assert (result.trials[1].score, result.trials[0].error) == (None, None)


def test_too_many_failures_in_a_row_end_the_search(tmp_path):
    def failing(hp):
        if hp.Int("units", 1, 100) > 1:
            raise ZeroDivisionError("units")
        return cheap(hp)

    for options, limit in (({"searcher": ("random", {"max_consecutive_failed_trials": 2})}, 2), ({}, 3)):
        with pytest.raises(tfkit.SearchError, match=rf"last {limit} trials have failed.*: ZeroDivisionError: units"):
            cheap_search(failing, trials=9, seed=limit, **options)
    # The search of one trial that failed tells so when it is asked for its best.
    result = cheap_search(failing, trials=1, directory=tmp_path)
    with pytest.raises(tfkit.SearchError, match="none of 1 trials was completed: ZeroDivisionError"):
        _ = result.best_values


def test_loss_that_is_not_finite_fails_and_is_retried_with_another_seed():
    seeds = []

    def diverging(hp):
        seeds.append(float(np.random.random()))
        model = cheap(hp)
        model.compile("sgd", lambda y, y_pred: keras.ops.mean(y_pred) * np.nan, run_eagerly=True)
        return model

    result = cheap_search(diverging, searcher=("random", {"max_retries_per_trial": 1}), trials=1)
    assert [(trial.status, trial.score) for trial in result.trials] == [("FAILED", None)]
    assert "no step has a finite value" in result.trials[0].error
    assert len(set(seeds[-2:])) == 2


def test_objective_that_no_metric_has_is_told_at_once_and_may_be_mended(tmp_path):
    with pytest.raises(
        tfkit.ParameterError, match="no metric of the model is called 'val_accuracy'; there are: loss, val_l"
    ):
        cheap_search(objective="val_accuracy", directory=tmp_path)
    assert len(cheap_search(directory=tmp_path).trials) == 2


def test_objective_may_say_its_direction():
    result = cheap_search(objective=("val_loss", "max"))
    assert result.best_score == max(trial.score for trial in result.trials)
    assert cheap_search(objective=keras_tuner.Objective("val_loss", "max")).trials == result.trials


def test_callbacks_are_new_for_each_trial():
    class Counting(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1
            logs["val_epochs"] = float(self.epochs)

    made = []
    for callbacks in ([Counting()], lambda: [made.append(Counting()) or made[-1]]):
        result = cheap_search(objective=("val_epochs", "max"), epochs=2, callbacks=callbacks)
        assert [trial.score for trial in result.trials] == [2.0, 2.0]
    assert len(made) == 3  # one to see that it can be made


def test_callbacks_that_cannot_be_copied_are_refused():
    class Stubborn(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            raise TypeError("no copies")

    with pytest.raises(tfkit.ParameterError, match=r"cannot be copied for each trial \(no copies\): pass callbacks="):
        cheap_search(callbacks=[Stubborn()])


def test_mixed_precision_is_kept():
    policies = []

    def noting(hp):
        policies.append(keras.config.dtype_policy().name)
        return cheap(hp)

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        cheap_search(noting, trials=1)
    finally:
        keras.config.set_dtype_policy(before)
    assert set(policies) == {"mixed_bfloat16"}


def test_model_whose_shapes_are_open_is_loaded():
    def open_ended(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=True)
        return model

    result = cheap_search(open_ended, trials=1)
    loss = result.best_model.evaluate(*make_data().validation, verbose=0)
    assert loss == pytest.approx(result.best_score, rel=1e-5)


def test_oracle_of_kerastuners_own_can_be_searched_with(tmp_path):
    """Any registered oracle will do; KerasTuner's stands for a stranger's."""
    from types import ModuleType

    from tfkit.registry import registered
    from tfkit_searchers.schemas import Random

    module = ModuleType("stranger")

    @tfkit.hookimpl
    def tfkit_searchers():
        yield tfkit.Spec("upstream", "KerasTuner's.", "keras_tuner.oracles:RandomSearchOracle", Random)

    module.tfkit_searchers = tfkit_searchers
    with registered(module):
        first = cheap_search(searcher="upstream", directory=tmp_path, seed=1)
        both = cheap_search(searcher="upstream", directory=tmp_path, seed=1, trials=3)
    assert both.trials[:2] == first.trials
    assert len(both.trials) == 3


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        (
            {"build": lambda hp: None},
            tfkit.ModelError,
            "must return a compiled Keras model; got None: it may lack its ret",
        ),
        ({"build": lambda hp: keras.Sequential()}, tfkit.ModelError, "call model.compile"),
        (
            {"build": lambda hp: 1 / 0},
            tfkit.ModelError,
            "fails with the default values {}: ZeroDivisionError: division",
        ),
        ({"build": None}, tfkit.ParameterError, "needs build, a function of hp"),
        ({"data": ()}, tfkit.ParameterError, "needs data, a tfkit.Data; got tuple"),
        ({"trials": 0}, tfkit.ParameterError, "'trials' of search must be an int > 0 or None; got 0"),
        ({"epochs": 0}, tfkit.ParameterError, "'epochs' of search must be"),
        ({"time_budget": 0}, tfkit.ParameterError, "'time_budget' of search must be a float > 0"),
        ({"seed": -1}, tfkit.ParameterError, "'seed' of search must be an int >= 0"),
        ({"searcher": "randon"}, tfkit.PluginNotFound, "no searcher 'randon'; did you mean 'random'"),
        ({"searcher": ("random", {"beta": 1})}, tfkit.ParameterError, "searcher 'random' takes no parameter 'beta'"),
        ({"objective": "val_surprise"}, tfkit.ParameterError, "'val_surprise' is to be large or small is not known"),
        ({"directory": "/proc/nowhere"}, tfkit.RunError, "/proc/nowhere cannot be written"),
        ({"directory": __file__}, tfkit.RunError, "test_search.py cannot be written .File exists."),
    ],
)
def test_bad_arguments(options, error, told):
    with pytest.raises(error, match=told):
        cheap_search(**options)


def test_explore_opens_every_scope_and_ends():
    def scopes(hp):
        if hp.Choice("kind", ["flat", "deep"]) == "deep":
            hp.Boolean("unseen")  # not in a scope: found only when a trial is deep
        with hp.conditional_scope("kind", ["deep"]):
            if hp.Int("layers", 1, 3) == 2:
                hp.Int("units", 1, 2)
            with hp.conditional_scope("layers", [2]):
                hp.Boolean("skip")
                raise_if = hp.Choice("skip_kind", ["add", "concat"])
                if raise_if == "concat":
                    raise ValueError
        with hp.conditional_scope("kind", ["never"]):
            hp.Boolean("dead")
        return cheap(hp)

    found = explore(scopes)
    names = [parameter.name for parameter in found.space]
    assert names == ["kind", "layers", "skip", "skip_kind", "dead", "rate", "unseen", "units"]
    assert [parameter.name for parameter in explore(scopes).space] == names
    assert found.values == {"kind": "flat", "rate": 1e-3, "unseen": False}
