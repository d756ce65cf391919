import keras
import numpy as np
import pytest

import tfkit

ONES = np.ones((8, 1), "float32")


@pytest.fixture
def runs(monkeypatch):
    """Every run that was begun, in files of a folder of its own."""
    wandb = pytest.importorskip("wandb")
    begun = []
    begin = wandb.init

    def init(**arguments):
        begun.append(begin(**{**arguments, "mode": "disabled"}))
        monkeypatch.setattr(begun[-1], "log", lambda figures: begun[-1].logged.append(figures), raising=False)
        begun[-1].logged = []
        return begun[-1]

    monkeypatch.setattr(wandb, "init", init)
    return begun


def model():
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.5), "mse")
    return made


def test_figures_and_settings_go_to_a_run(runs):
    callback = tfkit.create("callback", "wandb", project="p", hyperparameters={"units": 8})
    history = model().fit(ONES, ONES, epochs=2, callbacks=[callback], verbose=0)
    (run,) = runs
    assert [each["loss"] for each in run.logged] == history.history["loss"]
    assert [(each["epoch"], each["learning_rate"]) for each in run.logged] == [(1, 0.5), (2, 0.5)]
    wanted = {"optimizer": "SGD", "learning_rate": 0.5, "parameters": 2, "steps_per_epoch": 1, "units": 8}
    assert dict(run.config) == wanted


def test_a_fit_that_fails_ends_its_run_and_no_other(runs):
    import wandb

    def fails(epoch, logs):
        raise RuntimeError("enough")

    end = keras.callbacks.LambdaCallback(on_epoch_end=fails)
    with pytest.raises(RuntimeError, match="enough"):
        model().fit(ONES, ONES, callbacks=[tfkit.create("callback", "wandb"), end], verbose=0)
    assert wandb.run is None
    run = wandb.init()
    model().fit(ONES, ONES, callbacks=[tfkit.create("callback", "wandb")], verbose=0)
    assert wandb.run is run
    run.finish()


def test_without_the_package_it_says_what_to_install():
    try:
        import wandb  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(tfkit.PluginNotFound, match=r"pip install 'tfkit-keras\[wandb\]'"):
            tfkit.create("callback", "wandb")
