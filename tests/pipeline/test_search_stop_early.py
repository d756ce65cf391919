import keras
import pytest
from search_models import make_data

import tfkit


def build(hp):
    """The smaller the rate, the slower it learns; the first values of a grid are the best."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.01, 0.001, 0.0001])), "mse", run_eagerly=True)
    return model


def epochs_run(**options):
    options = {"stop_early": ("asha", {"reduction_factor": 2}), "trials": 4, "epochs": 4, **options}
    result = tfkit.search(build, make_data(), searcher="grid", objective="val_loss", **options)
    assert {trial.status for trial in result.trials} == {"COMPLETED"}
    return [len(trial.history["val_loss"]) for trial in result.trials]


def test_trials_that_do_worse_are_ended_and_count():
    assert epochs_run() == [4, 1, 1, 1]
    assert epochs_run(stop_early=("median-stopping", {"min_trials": 2, "min_epochs": 2}), trials=3) == [4, 4, 2]


def test_trials_of_earlier_calls_are_compared_with(tmp_path):
    assert epochs_run(directory=tmp_path, trials=1) == [4]
    assert epochs_run(directory=tmp_path, trials=3) == [4, 1, 1]


def test_the_first_fold_of_a_cross_validation_is_judged():
    assert epochs_run(cross_validation=2, trials=2) == [4, 1]


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ("ahsa", tfkit.PluginNotFound, "callback 'ahsa'"),
        (("asha", {"reduction_factor": 1}), tfkit.ParameterError, "reduction_factor"),
    ],
)
def test_a_rule_that_cannot_be_made_is_refused_at_once(wrong, error, text):
    with pytest.raises(error, match=text):
        epochs_run(stop_early=wrong)


def test_several_objectives_need_a_name():
    with pytest.raises(tfkit.ParameterError, match=r"watches one objective of .*val_loss"):
        tfkit.search(build, make_data(), objective=["val_loss", "loss"], stop_early="asha")


def test_searchers_that_train_trials_further_are_refused():
    with pytest.raises(tfkit.ParameterError, match=r"Hyperband.* does not go with stop_early"):
        tfkit.search(build, make_data(), searcher="hyperband", objective="val_loss", stop_early="asha")
