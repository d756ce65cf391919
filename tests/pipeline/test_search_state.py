"""Trials that train another one further, and values that are tried first."""

import keras
import numpy as np
import pytest
from search_models import cheap, cheap_search, make_data

import tfkit
from tfkit.attach.state import load_state, save_state
from tfkit.pipeline.runners.protocol import TrialRequest
from tfkit.pipeline.search_folder import open_search
from tfkit.pipeline.trials import Job


class Silent:
    def epoch(self, request, epoch, figures):
        pass

    def histories(self):
        return {}


def changing(hp):
    """All that a weights file alone does not restore: momentum, dropout's random numbers, statistics."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-3, 0.1)), "mse", jit_compile=False)
    return model


def run(folder, trial, build=changing, callbacks=(), data=None, **request):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 0.1, default=request.pop("rate", 0.01))
    request = TrialRequest(
        trial=trial,
        attempt=0,
        hyperparameters=hp.get_config(),
        weights=folder / f"{trial}.weights.h5",
        **{"seed": 7, **request},
    )
    job = Job(build, data or make_data(), callbacks, keras_tuner.Objective("val_loss", "min"))
    outcome = job.run(request, Silent())
    assert outcome.status == "COMPLETED", outcome.message
    return [figures["val_loss"] for figures in outcome.history]


def test_trial_in_two_steps_equals_one_in_one_go(tmp_path):
    import tensorflow as tf

    data = make_data()
    data = tfkit.Data(tf.data.Dataset.from_tensor_slices(data.train).batch(16), data.validation)  # in a fixed order
    whole = run(tmp_path, "whole", data=data, epochs=4)
    first = run(tmp_path, "first", data=data, epochs=2, last=tmp_path / "first.npz")
    second = run(tmp_path, "second", data=data, seed=8, epochs=4, initial_epoch=2, resume=tmp_path / "first.npz")
    assert (len(first), len(second)) == (2, 2)
    assert first + second == whole


def test_learning_rate_that_a_callback_has_changed_is_gone_on_with_but_not_another_one(tmp_path):
    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate.numpy()) / 2
            rates.append(float(self.model.optimizer.learning_rate.numpy()))

    rates = []
    run(tmp_path, "first", build=cheap, callbacks=lambda: [Halve()], epochs=2, last=tmp_path / "first.npz")
    resumed = {"epochs": 3, "initial_epoch": 2, "resume": tmp_path / "first.npz"}
    run(tmp_path, "same", build=cheap, callbacks=lambda: [Halve()], **resumed)
    run(tmp_path, "other", build=cheap, callbacks=lambda: [Halve()], rate=0.08, **resumed)
    assert rates == pytest.approx([0.005, 0.0025, 0.00125, 0.04])


def test_state_of_other_shapes_is_refused_and_of_another_optimizer_begins_anew(tmp_path):
    def model(units, optimizer):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
        made.compile(optimizer, "mse", run_eagerly=True)
        made.optimizer.build(made.trainable_variables)
        return made

    source = model(3, "adam")
    source.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    save_state(source, tmp_path / "state.npz", 0.001)
    other = model(3, "sgd")
    load_state(other, tmp_path / "state.npz")
    assert np.array_equal(other.get_weights()[0], source.get_weights()[0])
    assert int(other.optimizer.iterations) == 0
    with pytest.raises(tfkit.ModelError, match="of a model with other shapes"):
        load_state(model(4, "adam"), tmp_path / "state.npz")


@pytest.mark.nightly
def test_hyperbands_trials_go_on_and_only_states_that_are_needed_are_kept(tmp_path):
    kept = []

    def note(event):
        if event["event"] == "end":
            kept.append(sorted(path.name for path in tmp_path.glob("*.state.npz")))

    options = {"max_epochs": 4, "factor": 4}
    result = cheap_search(searcher=("hyperband", options), directory=tmp_path, trials=None, progress=note)
    # The database holds how a trial was trained; its values are those of the space alone.
    values = {trial.id: trial.values for trial in open_search(tmp_path).trials}
    for trial in result.trials:
        assert trial.values.keys() == {"rate"}
        epochs = values[trial.id]["tuner/epochs"] - values[trial.id]["tuner/initial_epoch"]
        assert len(trial.history["loss"]) == epochs
    gone_on = next(trial for trial in result.trials if values[trial.id]["tuner/initial_epoch"])
    origin = result.trials[int(values[gone_on.id]["tuner/trial_id"])]
    assert gone_on.history["loss"][0] < origin.history["loss"][0]
    assert max(map(len, kept)) > 1
    assert kept[-1] == []


def test_enqueued_values_come_first_and_once(tmp_path):
    options = {"directory": tmp_path, "enqueue": [{"rate": 0.5}, {"rate": 1}, {}], "searcher": "random"}
    first = cheap_search(trials=2, **options)
    assert [trial.values for trial in first.trials] == [{"rate": 0.5}, {"rate": 1.0}]
    both = cheap_search(trials=5, **options)
    assert both.trials[:2] == first.trials
    rates = [trial.values["rate"] for trial in both.trials]
    assert rates[2] == 1e-3
    assert len(set(rates)) == 5
    # The others are those of a search without.
    without = cheap_search(trials=5, searcher="random")
    assert rates[3:] == [trial.values["rate"] for trial in without.trials[3:]]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rat": 0.1}, "no hyperparameter is called 'rat'; did you mean 'rate'?"),
        ({"rate": 2.0}, "'rate' does not take 2.0; it is from 0.001 to 1.0"),
        ({"rate": "0.1"}, "'rate' does not take '0.1'"),
        ({"kind": "deep"}, "'kind' does not take 'deep'; it is one of 'flat', 'wide'"),
        ({"bias": 1}, "'bias' does not take 1; it is one of True, False"),
        ({"units": 3}, "'units' does not take 3; it is from 2 to 8 in steps of 2"),
        ({"width": 2}, "'width' is of a scope that is closed under {'width': 2}"),
    ],
)
def test_values_that_the_space_does_not_hold_are_refused(values, told):
    def wide(hp):
        hp.Choice("kind", ["flat", "wide"])
        hp.Boolean("bias")
        hp.Int("units", 2, 8, step=2)
        with hp.conditional_scope("kind", ["wide"]):
            hp.Int("width", 1, 3)
        return cheap(hp)

    with pytest.raises(tfkit.ParameterError) as error:
        cheap_search(wide, searcher="random", enqueue=[values])
    assert told in str(error.value)


def test_searchers_that_plan_their_trials_take_none():
    with pytest.raises(tfkit.ParameterError, match="HyperbandSearch plans all of its trials: leave out enqueue"):
        cheap_search(searcher="hyperband", enqueue=[{"rate": 0.5}])


def test_kept_trials_are_loaded():
    result = cheap_search(trials=4, keep=2)
    ranked = sorted(result.trials, key=lambda trial: trial.score)
    for trial in ranked[:2]:
        loss = result.load(trial).evaluate(*make_data().validation, verbose=0)
        assert loss == pytest.approx(trial.score, rel=1e-5)
    with pytest.raises(tfkit.ModelError, match="a search keeps those of its best `keep` trials"):
        result.load(ranked[2].id)
    with pytest.raises(tfkit.SearchError, match="there is no trial 'x'; there are 4"):
        result.load("x")


def test_target_ends_the_search():
    result = cheap_search(trials=9, target=10.0)
    assert len(result.trials) == 1
    assert result.stopped.startswith("trial 0000 has reached the target: val_loss")


def test_trial_that_takes_too_long_in_this_process_has_failed():
    result = cheap_search(trials=1, epochs=10**6, trial_timeout=0.3)
    assert result.trials[0].error == "the trial took longer than trial_timeout=0.3 s and was stopped"
