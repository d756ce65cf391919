import keras
import numpy as np
import pytest
from small_fits import assert_trained_alike, made

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
IDS = RNG.integers(3, size=12)
ONE_HOT = np.eye(3, dtype="float32")[IDS]
LABELS = RNG.integers(2, size=(12, 3))
WEIGHT = RNG.random(12).astype("float32")


def fitted(loss, y, *callbacks, end="softmax", **fit):
    start = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, end, kernel_initializer=start)])
    model.compile(keras.optimizers.SGD(0.5), loss, run_eagerly=True)
    history = model.fit(X, y, 6, 2, shuffle=False, verbose=0, callbacks=list(callbacks), **fit).history
    return model.get_weights(), history


CATEGORICAL = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)


@pytest.mark.parametrize(
    ("loss", "y", "end", "theirs", "their_y"),
    [
        ("sparse_categorical_crossentropy", IDS, "softmax", CATEGORICAL, ONE_HOT),
        pytest.param(
            *("sparse_categorical_crossentropy", IDS[:, None], "softmax", CATEGORICAL, ONE_HOT),
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            *("categorical_crossentropy", ONE_HOT, "softmax", CATEGORICAL, ONE_HOT), marks=pytest.mark.nightly
        ),
        pytest.param(
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            IDS,
            None,
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
            ONE_HOT,
            marks=pytest.mark.nightly,
        ),
        ("binary_crossentropy", LABELS, "sigmoid", keras.losses.BinaryCrossentropy(label_smoothing=0.2), LABELS),
    ],
    ids=["ids", "ids in a column", "one-hot", "logits", "multi-label"],
)
def test_it_trains_as_keras_with_label_smoothing(loss, y, end, theirs, their_y):
    ours = fitted(loss, y, made("label-smoothing", smoothing=0.2), end=end, sample_weight=WEIGHT)
    assert_trained_alike(ours, fitted(theirs, their_y, end=end, sample_weight=WEIGHT))
    assert isinstance(loss, str) or "call" not in vars(loss)
    plain = fitted(loss, y, end=end, sample_weight=WEIGHT)
    assert np.abs(ours[0][0] - plain[0][0]).max() > 0.001


def test_validation_and_evaluate_are_not_smoothed():
    start = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer=start)])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    callback = made("label-smoothing", smoothing=0.5)
    history = model.fit(X, IDS, validation_data=(X, IDS), callbacks=[callback], verbose=0).history
    plain = -np.log(model.predict(X, verbose=0)[np.arange(12), IDS]).mean()
    assert history["val_loss"][0] == pytest.approx(plain, abs=1e-6)
    assert model.evaluate(X, IDS, verbose=0) == pytest.approx(plain, abs=1e-6)
    assert abs(history["loss"][0] - plain) > 0.01


def test_ignored_ids_stay_ignored():
    """The rows of an ignored id count nothing: as a fit of the others, whose mean Keras takes over them alone."""
    ids = np.where(np.arange(12) % 3 == 0, -1, IDS)
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    ours = fitted(loss, ids, made("label-smoothing", smoothing=0.2))
    left = np.where((ids == -1)[:, None], 0, ONE_HOT).astype("float32")
    theirs = fitted(CATEGORICAL, left, sample_weight=(ids != -1) * np.float32(6 / 4))
    assert_trained_alike(ours, theirs)


@pytest.mark.parametrize("name", ["label-smoothing", "r-drop"])
def test_a_model_without_a_loss_is_told_to_compile_it(name):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(tfkit.ModelError, match=r"compiled without a loss: call model\.compile"):
        model.fit(X, IDS, verbose=0, callbacks=[made(name)])
    assert "compute_loss" not in vars(model)


@pytest.mark.parametrize(
    ("loss", "y", "told"),
    [
        ("mse", ONE_HOT, "crossentropies; the loss is mean_squared_error"),
        (CATEGORICAL, ONE_HOT, "has label_smoothing=0.2 itself"),
        ("categorical_crossentropy", IDS, r"have shape \(6,\), which are class ids"),
        ("sparse_categorical_crossentropy", ONE_HOT, r"have shape \(6, 3\), which are one-hot rows"),
    ],
    ids=["mse", "twice", "ids", "rows"],
)
def test_what_it_cannot_smooth_is_told(loss, y, told):
    with pytest.raises((tfkit.ModelError, tfkit.DataError), match=told):
        fitted(loss, y, made("label-smoothing"))
