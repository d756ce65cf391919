"""What a callback installs for one fit goes with it, however the fit ends."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from attach_models import X, Y, cosine, fit, l2, on_it, regression

import tfkit
from tfkit.attach.attached import Attached


def require_as_new(model, before):
    """Nothing is left on the model, and from here it trains and scores as one that was never touched."""
    assert on_it(model) == before
    fresh = regression()
    model.set_weights(fresh.get_weights())
    for variable, value in zip(model.optimizer.variables, fresh.optimizer.variables):
        variable.assign(value)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(fresh.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_allclose(fit(model).history["loss"], fit(fresh).history["loss"], rtol=1e-6)


class Raising(keras.callbacks.Callback):
    """Raises in one of its methods, the second time it is called."""

    def __init__(self, method, error):
        super().__init__()
        self.calls = 0
        self.error = error
        setattr(self, method, self.step)

    def step(self, *args, **kwargs):
        self.calls += 1
        if self.calls == 2:
            raise self.error


def test_after_a_fit_nothing_is_left():
    model = regression()
    model.evaluate(X, Y, verbose=0)
    before = on_it(model)
    fit(model, [cosine(), l2()], validation_data=(X, Y))
    require_as_new(model, before)


METHODS = ("on_train_batch_end", "on_epoch_begin", "on_epoch_end", "on_test_batch_begin")
ERRORS = (KeyboardInterrupt(), ValueError("no"), SystemExit())


@pytest.mark.parametrize(
    ("method", "error"),
    [
        # Each method and each error once.
        pytest.param(method, error, marks=[] if method == METHODS[0] or error is ERRORS[0] else [pytest.mark.nightly])
        for method in METHODS
        for error in ERRORS
    ],
)
def test_after_an_error_in_another_callback_nothing_is_left(method, error):
    model = regression()
    before = on_it(model)
    # One callback before and one after: it does not matter who is told first.
    callbacks = [cosine(), Raising(method, error), l2()]
    with pytest.raises(type(error)):
        fit(model, callbacks, validation_data=(X, Y))
    assert on_it(model) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_in_a_training_step_nothing_is_left(error):
    model = regression(run_eagerly=True)
    before = on_it(model)
    step, calls = model.train_step, []

    def failing(data):
        calls.append(data)
        if len(calls) == 2:
            raise error
        return step(data)

    model.train_step = failing
    with pytest.raises(error):
        fit(model, [cosine(), l2()])
    assert len(calls) == 2
    del model.train_step
    require_as_new(model, before)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_after_an_error_in_a_graph_nothing_is_left(part):
    bad = tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (tf.debugging.check_numerics(x / 0.0, "bad"), y))
    good = tf.data.Dataset.from_tensor_slices((X, Y))
    model = regression()
    before = on_it(model)
    train, validation = (bad, good) if part == "train" else (good, bad)
    with pytest.raises(tf.errors.InvalidArgumentError):
        model.fit(
            train.batch(8), validation_data=validation.batch(8), callbacks=[cosine(), l2()], verbose=0, shuffle=False
        )
    require_as_new(model, before)


def test_what_an_error_in_on_train_begin_leaves_goes_with_the_next_fit():
    class Early(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise ValueError("early")

    model = regression()
    before = on_it(model)
    with pytest.raises(ValueError, match="early"):
        fit(model, [cosine(), l2(), Early()])
    assert on_it(model) != before
    loss = fit(model).history["loss"]
    assert on_it(model) == before
    np.testing.assert_allclose(loss, fit(regression()).history["loss"], rtol=1e-6)


def test_a_fit_that_raised_at_once_does_not_hinder_the_same_callback():
    model = regression()
    schedule = cosine()
    with pytest.raises(tfkit.ModelError, match="two schedules are installed"):
        fit(model, [schedule, l2(), cosine()])
    assert model.optimizer.learning_rate == 0.05
    fit(model, [schedule])
    fit(model, [schedule])
    assert model.optimizer.learning_rate == 0.05


def test_a_list_of_callbacks_of_the_users_own_is_left_as_it_was():
    model = regression()
    callbacks = keras.callbacks.CallbackList([cosine(), l2()], add_history=True, model=model)
    before = sorted(vars(callbacks))
    model.fit(X, Y, verbose=0, callbacks=callbacks)
    assert sorted(vars(callbacks)) == before
    assert model.optimizer.learning_rate == 0.05


@pytest.mark.parametrize("optimizer", ["wrapped", "accumulating"])
def test_the_rate_of_other_optimizers_comes_back(optimizer):
    made = {
        "wrapped": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05)),
        "accumulating": lambda: keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
    }[optimizer]()
    model = regression(optimizer=made)
    before = on_it(model)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(float(model.optimizer.learning_rate))
    )
    fit(model, [cosine(), watch])
    assert max(seen) == pytest.approx(0.1, rel=1e-3)
    assert on_it(model) == before


def test_a_model_saved_in_mid_fit_loads_and_goes_on(tmp_path):
    def rate():
        return tfkit.callback("schedule", "cosine", initial=0.1, steps=12)

    whole = regression()
    fit(whole, [rate()], epochs=4)

    model = regression()
    path = tmp_path / "half.keras"
    fit(model, [rate(), l2(l2=0.0), keras.callbacks.ModelCheckpoint(path)], epochs=2)
    loaded = keras.saving.load_model(path)
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.05)
    assert int(loaded.optimizer.iterations) == 6
    fit(loaded, [rate()], epochs=2)
    for one, other in zip(loaded.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


class Finishing(Attached):
    """Notes when it is installed, uninstalled and finished."""

    def __init__(self, events):
        super().__init__()
        self.events = events

    def install(self, model):
        self.events.append("install")

    def uninstall(self, model):
        self.events.append("uninstall")

    def finish(self, model):
        assert model.stop_training is False
        self.events.append("finish")


def test_the_last_thing_comes_after_what_every_callback_does_at_its_end():
    events = []
    other = keras.callbacks.LambdaCallback(on_train_end=lambda logs: events.append("other"))
    model = regression()
    for _ in range(2):
        fit(model, [Finishing(events), other], epochs=1)
    assert events == ["install", "uninstall", "other", "finish"] * 2
    del events[:]
    with pytest.raises(ValueError, match="no"):
        fit(model, [Finishing(events), Raising("on_epoch_begin", ValueError("no"))])
    assert events == ["install", "uninstall"]


def test_a_callback_that_is_called_by_hand_finishes_at_its_end():
    events, model = [], regression()
    model.stop_training = False
    callback = Finishing(events)
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_train_end()
    assert events == ["install", "uninstall", "finish"]


def test_an_install_that_fails_half_way_leaves_nothing():
    class Half(Attached):
        def install(self, model):
            model.half = True
            raise ValueError("half")

        def uninstall(self, model):
            del model.half

    model = regression()
    with pytest.raises(ValueError, match="half"):
        fit(model, [Half()])
    assert not hasattr(model, "half")
    fit(model)
