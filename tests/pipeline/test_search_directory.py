"""What a search leaves in its directory, and how it goes on from there."""

import gc
import subprocess
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest
from search_models import build, cheap, cheap_search, make_data, search

import tfkit
from tfkit.pipeline.lock import locked

MODELS = Path(__file__).with_name("search_models.py")

# Kills its own process, as kill -9 does, at a moment that the search tells of.
CHILD = """
import os, runpy, signal, sys
path, directory, event, trial = sys.argv[1:]

def die(happened):
    if (happened["event"], happened["trial"], happened.get("epoch", 0)) == (event, trial, 0):
        os.kill(os.getpid(), signal.SIGKILL)

runpy.run_path(path)["search"](directory, progress=die)
"""


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
    from tfkit.pipeline.chief import seed_of

    trial = uninterrupted.trials[3]
    oracle = tfkit.create("searcher", "random", seed=0)
    hp = keras_tuner.HyperParameters()
    hp.values = dict(trial.values)
    keras.utils.set_random_seed(seed_of(oracle, keras_tuner.engine.trial.Trial(hp, trial.id)))
    model, data = build(hp), make_data()
    history = model.fit(
        data.dataset("train"), validation_data=data.dataset("validation"), epochs=2, verbose=0, shuffle=False
    ).history
    assert {name: pytest.approx(figures, rel=1e-4) for name, figures in history.items()} == trial.history


def test_only_the_best_trials_weights_are_kept(uninterrupted):
    kept = sorted(path.name for path in uninterrupted.directory.iterdir())
    assert kept == ["search.db", "search.json", "search.lock", f"trial-{uninterrupted.best_trial.id}.weights.h5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments",
    [[("epoch", "0004")], pytest.param([("end", "0002"), ("epoch", "0004")], marks=pytest.mark.nightly)],
    ids=["once", "twice"],
)
def test_killed_and_resumed_equals_uninterrupted(moments, uninterrupted, tmp_path):
    for event, trial in moments:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, MODELS, str(tmp_path), event, trial],
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


def test_keyboard_interrupt_leaves_the_trial_to_be_given_again(tmp_path, capsys):
    def interrupt(event):
        if (event["event"], event["trial"]) == ("epoch", "0001"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cheap_search(directory=tmp_path, progress=interrupt)
    assert "search: interrupted; trials that come first in the next call: 0001" in capsys.readouterr().err
    assert cheap_search(directory=tmp_path).trials == cheap_search().trials


def test_temporary_folder_goes_with_the_result():
    result = cheap_search(trials=1)
    folder = result.directory
    assert (folder / "search.db").exists()
    del result
    gc.collect()
    assert not folder.exists()


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
    with pytest.raises(tfkit.ModelError, match=r"weights .* are not there"):
        _ = result.best_model
