"""tfkit.search on a small model: what it finds, resumes, refuses and leaves behind."""

import gc
import subprocess
import sys

import keras
import keras_tuner
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.lock import locked
from tfkit.pipeline.space import explore

# Kills its own process, as kill -9 does, at a moment that the search tells of.
CHILD = """
import os, runpy, signal, sys
path, directory, event, trial = sys.argv[1:]

def die(happened):
    if (happened["event"], happened["trial"], happened.get("epoch", 0)) == (event, trial, 0):
        os.kill(os.getpid(), signal.SIGKILL)

runpy.run_path(path)["search"](directory, progress=die)
"""


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")
    return tfkit.Data((x[:48], y[:48]), (x[48:], y[48:]), batch_size=16)


def build(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 32), activation="tanh")])
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    optimizer = keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def search(directory, **options):
    options = {"objective": "val_loss", "trials": 5, "epochs": 2, **options}
    return tfkit.search(build, make_data(), directory=directory, **options)


def cheap(hp):
    """The smallest model there is; no units to tell builds apart by shape."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1.0, sampling="log")), "mse", run_eagerly=True)
    return model


def cheap_search(build=cheap, data=None, **options):
    options = {"objective": "val_loss", "trials": 2, **options}
    return tfkit.search(build, make_data() if data is None else data, **options)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return search(tmp_path_factory.mktemp("uninterrupted"))


def test_result_holds_trials_and_the_best_of_them(uninterrupted):
    assert len(uninterrupted.trials) == 5
    scores = [trial.score for trial in uninterrupted.trials]
    assert scores == [min(trial.history["val_loss"]) for trial in uninterrupted.trials]
    assert [trial.metrics["val_loss"] for trial in uninterrupted.trials] == scores
    assert {trial.status for trial in uninterrupted.trials} == {"COMPLETED"}
    assert all(
        trial.history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"} for trial in uninterrupted.trials
    )
    best = uninterrupted.trials[int(np.argmin(scores))]
    assert (uninterrupted.best_values, uninterrupted.best_score) == (best.values, best.score)
    assert best.values.keys() == {"units", "dropout", "rate"}
    assert (uninterrupted.minimize, uninterrupted.stopped) == (True, "all 5 trials have run")


def test_best_model_has_the_weights_of_its_best_epoch(uninterrupted):
    model = uninterrupted.best_model
    figures = model.evaluate(*make_data().validation, verbose=0, return_dict=True)
    assert figures["loss"] == pytest.approx(uninterrupted.best_score, rel=1e-5)
    assert model is uninterrupted.best_model


def test_trial_trains_as_keras_does_alone(uninterrupted):
    """The figures of a trial are those of a fit by hand with its seed."""
    from tfkit.pipeline.trials import _seed

    trial = uninterrupted.trials[3]
    oracle = tfkit.create("searcher", "random", seed=0)
    hp = keras_tuner.HyperParameters()
    hp.values = dict(trial.values)
    keras.utils.set_random_seed(_seed(oracle, keras_tuner.engine.trial.Trial(hp, trial.id)))
    model, data = build(hp), make_data()
    history = model.fit(
        data.dataset("train"), validation_data=data.dataset("validation"), epochs=2, verbose=0, shuffle=False
    ).history
    assert {name: pytest.approx(figures, rel=1e-4) for name, figures in history.items()} == trial.history


def test_only_the_best_trials_weights_are_kept(uninterrupted):
    kept = sorted(path.name for path in uninterrupted.directory.iterdir())
    assert kept == ["search.db", "search.lock", f"trial-{uninterrupted.best_trial.id}.weights.h5"]


@pytest.mark.slow
def test_killed_at_several_moments_and_resumed_equals_uninterrupted(uninterrupted, tmp_path):
    for event, trial in (("epoch", "0001"), ("end", "0002"), ("epoch", "0004")):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, __file__, str(tmp_path), event, trial],
            capture_output=True,
            timeout=300,
        )
        assert child.returncode == -9, child.stderr.decode()
    events = []
    resumed = search(tmp_path, progress=events.append)
    assert [event["trial"] for event in events if event["event"] == "begin"] == ["0004"]
    assert resumed.trials == uninterrupted.trials
    weights = (resumed.best_model.get_weights(), uninterrupted.best_model.get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))


def test_more_trials_run_the_difference(tmp_path):
    first = cheap_search(directory=tmp_path, trials=2)
    events = []
    both = cheap_search(directory=tmp_path, trials=4, progress=events.append)
    assert [event["trial"] for event in events if event["event"] == "begin"] == ["0002", "0003"]
    assert both.trials[:2] == first.trials
    assert both.trials == cheap_search(directory=tmp_path / "at once", trials=4).trials
    again = cheap_search(directory=tmp_path, trials=4, progress=events.append)
    assert again.trials == both.trials
    assert again.best_model.get_weights()[0] == pytest.approx(both.best_model.get_weights()[0])


def test_keyboard_interrupt_leaves_the_trial_to_be_given_again(tmp_path):
    def interrupt(event):
        if (event["event"], event["trial"]) == ("epoch", "0001"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cheap_search(directory=tmp_path, progress=interrupt)
    assert cheap_search(directory=tmp_path).trials == cheap_search().trials


def test_progress_tells_of_every_trial_and_epoch():
    events = []
    result = cheap_search(epochs=2, trials=1, progress=events.append)
    assert [event["event"] for event in events] == ["begin", "epoch", "epoch", "end"]
    assert [event["logs"]["val_loss"] for event in events[1:3]] == result.trials[0].history["val_loss"]
    end = {"trial": "0000", "values": result.best_values, "status": "COMPLETED", "score": result.best_score}
    assert events[-1] == {"event": "end", **end, "best_score": result.best_score}


def test_temporary_folder_goes_with_the_result():
    result = cheap_search(trials=1)
    folder = result.directory
    assert (folder / "search.db").exists()
    del result
    gc.collect()
    assert not folder.exists()


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


def test_trial_is_stopped_when_the_time_budget_is_spent_but_not_the_first(tmp_path):
    class Slow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            import time

            time.sleep(0.6)

    first = cheap_search(directory=tmp_path, time_budget=0.1, epochs=2, trials=3, callbacks=[Slow()])
    assert "time budget is spent after 1 trials" in first.stopped
    assert [len(trial.history["loss"]) for trial in first.trials] == [2]
    second = cheap_search(directory=tmp_path, time_budget=1.0, epochs=9, trials=3, callbacks=[Slow()])
    assert second.trials == first.trials  # the next one ran, and did not come to its end
    third = cheap_search(directory=tmp_path, epochs=2, trials=3)
    assert third.trials == cheap_search(epochs=2, trials=3).trials


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


def test_a_second_process_in_the_directory_is_refused(tmp_path):
    held = (
        "import fcntl, pathlib, sys\nfile = pathlib.Path(sys.argv[1], 'search.lock').open('a')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", held, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(tfkit.RunError, match="a process is at work in"):
            cheap_search(directory=tmp_path)
        other.kill()
    with locked(tmp_path, "search.lock"), pytest.raises(tfkit.RunError, match="a process is at work in"):
        cheap_search(directory=tmp_path)
    assert len(cheap_search(directory=tmp_path).trials) == 2


def test_another_search_of_the_same_directory_is_refused(tmp_path):
    cheap_search(directory=tmp_path, trials=1)

    def other(hp):
        hp.Boolean("bias")
        return cheap(hp)

    with pytest.raises(tfkit.SearchError, match="searches another space: 'bias' is new"):
        cheap_search(other, directory=tmp_path)
    with pytest.raises(tfkit.SearchError, match="has the objective 'min val_loss'; got 'min loss'"):
        cheap_search(directory=tmp_path, objective="loss")


def test_weights_that_are_gone_are_told():
    result = cheap_search(trials=1)
    next(result.directory.glob("*.weights.h5")).unlink()
    with pytest.raises(tfkit.ModelError, match=r"weights of the best trial, .* are gone"):
        _ = result.best_model


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


@pytest.mark.parametrize("later", [{"workers": 2}, {"cross_validation": 3}, {"stop_early": "asha"}])
def test_what_is_not_built_yet_is_refused_by_name(later):
    with pytest.raises(tfkit.ParameterError, match=f"{next(iter(later))!r} of search is not built yet"):
        tfkit.search(lambda hp: None, None, objective="val_loss", **later)
