import keras
import numpy as np
import pytest
from small_fits import X, Y, fitted, made

import tfkit


class Kept(keras.callbacks.Callback):
    """The weights after each batch and at the end of each epoch, as vectors."""

    def on_train_begin(self, logs=None):
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(np.concatenate([each.ravel() for each in self.model.get_weights()]))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(np.concatenate([each.ravel() for each in self.model.get_weights()]))


@pytest.fixture(scope="module")
def plain():
    kept = Kept()
    fitted(kept, epochs=4, run_eagerly=True)
    return kept


@pytest.mark.parametrize("start", [0, 2])
def test_ema_is_the_weighted_mean_of_the_weights_after_each_update(plain, start):
    found, _ = fitted(
        made("average-weights", kind="ema", decay=0.7, start_epoch=start), epochs=4, run_eagerly=start == 0
    )
    weights = np.asarray(plain.batches[3 * start :], "float64")
    parts = 0.7 ** np.arange(len(weights))[::-1]
    np.testing.assert_allclose(found, np.average(weights, axis=0, weights=parts), atol=1e-6)


def test_ema_counts_updates_where_gradients_are_accumulated():
    def ended(*callbacks):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), "mse", run_eagerly=True)
        model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
        return np.concatenate([each.ravel() for each in model.get_weights()])

    kept = Kept()
    ended(kept)
    weights = np.asarray(kept.batches[1::2], "float64")
    wanted = np.average(weights, axis=0, weights=0.5 ** np.arange(5)[::-1])
    np.testing.assert_allclose(ended(made("average-weights", decay=0.5)), wanted, atol=1e-6)


@pytest.mark.parametrize(("start", "first"), [(None, 3), (1, 1)])
def test_swa_is_the_mean_over_the_ends_of_epochs(plain, start, first):
    found, history = fitted(made("average-weights", kind="swa", start_epoch=start), epochs=4, run_eagerly=True)
    np.testing.assert_allclose(found, np.mean(plain.epochs[first:], axis=0), atol=1e-6)
    assert len(history["val_loss"]) == 4


def test_validation_measures_the_average_and_training_goes_on_with_the_weights(plain):
    kept = Kept()
    model_at_test = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model_at_test.append(logs["val_loss"]),
    )
    found, _ = fitted(made("average-weights", decay=0.7), kept, watch, epochs=4, run_eagerly=True)
    np.testing.assert_allclose(kept.batches, plain.batches, atol=1e-6)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    model.set_weights([*_cut(found, [each.shape for each in model.weights])])
    penalty = 0.01 * sum(float(np.square(each).sum()) for each in model.get_weights()[::2])
    wanted = np.mean((model.predict(X, verbose=0) - Y) ** 2) + penalty
    assert model_at_test[-1] == pytest.approx(wanted, rel=1e-5)


def _cut(vector, shapes):
    for shape in shapes:
        size = int(np.prod(shape))
        yield vector[:size].reshape(shape)
        vector = vector[size:]


def test_statistics_are_computed_anew_from_data():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    average = made("average-weights", kind="swa", start_epoch=0, data=(X[:48], Y[:48]))
    model.fit(X, np.tile(Y, 4), epochs=2, verbose=0, callbacks=[average])
    kernel, bias, *_, mean, variance = model.get_weights()
    batches = [(X[:48] @ kernel + bias)[i : i + 32] for i in (0, 32)]
    np.testing.assert_allclose(mean, np.mean([each.mean(0) for each in batches], axis=0), atol=1e-5)
    np.testing.assert_allclose(variance, np.mean([each.var(0) for each in batches], axis=0), atol=1e-4)
    assert model.layers[1].momentum == 0.99


def test_frozen_layers_keep_their_weights():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, trainable=False), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    before = model.get_weights()
    model.fit(X, Y, verbose=0, callbacks=[made("average-weights", decay=0.9)])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert np.abs(model.get_weights()[2] - before[2]).max() > 0


def test_a_fit_that_fails_leaves_the_last_weights():
    class Fails(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            raise KeyboardInterrupt

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    kept = Kept()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            *(X, Y), validation_data=(X, Y), verbose=0, callbacks=[kept, made("average-weights", decay=0.9), Fails()]
        )
    np.testing.assert_allclose(model.get_weights()[0].ravel(), kept.batches[-1][:3])


def test_a_fit_that_is_too_short_is_refused():
    with pytest.raises(tfkit.ParameterError, match="start_epoch=2 averages nothing in a fit of 2 epochs"):
        fitted(made("average-weights", start_epoch=2))
