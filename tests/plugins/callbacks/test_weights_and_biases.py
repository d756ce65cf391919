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

    def ended(run, finish, exit_code):
        run.exit_codes.append(exit_code)
        finish(exit_code=exit_code)

    def init(**arguments):
        begun.append(begin(**{**arguments, "mode": "disabled"}))
        monkeypatch.setattr(begun[-1], "log", lambda figures: begun[-1].logged.append(figures), raising=False)
        begun[-1].logged, begun[-1].exit_codes = [], []
        finish = begun[-1].finish
        monkeypatch.setattr(begun[-1], "finish", lambda exit_code=None: ended(begun[-1], finish, exit_code))
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
    assert run.exit_codes == [0]
    wanted = {"optimizer": "SGD", "learning_rate": 0.5, "parameters": 2, "steps_per_epoch": 1, "units": 8}
    assert dict(run.config) == wanted


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_fit_that_fails_ends_its_run_as_failed_and_no_other(runs, error):
    import wandb

    def fails(epoch, logs):
        raise error("enough")

    end, callback = keras.callbacks.LambdaCallback(on_epoch_end=fails), tfkit.create("callback", "wandb")
    with pytest.raises(error, match="enough"):
        model().fit(ONES, ONES, callbacks=[callback, end], verbose=0)
    assert wandb.run is None
    model().fit(ONES, ONES, callbacks=[callback], verbose=0)
    assert [each.exit_codes for each in runs] == [[1], [0]]
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
