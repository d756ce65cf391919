import keras
import numpy as np
import pytest
from small_fits import assert_same, made

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4, 4, 1)).astype("float32")
IDS = RNG.integers(3, size=12)
ONE_HOT = np.eye(3, dtype="float32")[IDS]
LABELS = RNG.integers(2, size=(12, 3))
NUMBERS = RNG.normal(size=(12, 3)).astype("float32")
WEIGHT = RNG.random(12).astype("float32")


def fitted(loss, y, *callbacks, x=X, end="softmax", batch_size=6, compiled=None, **fit):
    start = keras.initializers.GlorotUniform(seed=1)
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, end, kernel_initializer=start)]
    model = keras.Sequential([keras.Input((4, 4, 1)), *layers])
    model.compile(keras.optimizers.SGD(0.5), loss, **(compiled or {"run_eagerly": True}))
    history = model.fit(x, y, batch_size, 2, shuffle=False, verbose=0, callbacks=list(callbacks), **fit).history
    return np.concatenate([each.ravel() for each in model.get_weights()]), history


def plain(y):
    """Images of one colour, which is the first of a row's labels."""
    return np.broadcast_to(y[:, :1, None, None], (12, 4, 4, 1)).astype("float32")


class Kept(keras.callbacks.Callback):
    """Keeps what reaches the model and the loss in training."""

    def set_model(self, model):
        self.seen = []
        compute_loss = model.compute_loss

        def kept(x, y, y_pred, sample_weight, training):
            self.seen.append((np.asarray(x), np.asarray(y), sample_weight))
            return compute_loss(x, y, y_pred, sample_weight, training=training)

        model.compute_loss = kept


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "params", "weighted"),
    [
        ("mixup", {"alpha": 1.0}, {}),
        ("mixup", {"alpha": 1.0}, {"sample_weight": WEIGHT}),
        ("cutmix", {}, {"class_weight": {0: 1.0, 1: 3.0, 2: 0.2}}),
    ],
    ids=["plain", "rows", "classes"],
)
def test_class_ids_train_as_one_hot_rows_do(name, params, weighted):
    """Crossentropy is linear in labels: mixed losses of ids are the losses of mixed rows."""
    ids = fitted("sparse_categorical_crossentropy", IDS, made(name, **params), **weighted)
    rows = fitted("categorical_crossentropy", ONE_HOT, made(name, **params), **weighted)
    assert_same(ids, rows)
    assert np.abs(ids[0] - fitted("sparse_categorical_crossentropy", IDS, **weighted)[0]).max() > 0.01


@pytest.mark.parametrize(
    ("loss", "y", "end"),
    [
        ("categorical_crossentropy", ONE_HOT, "softmax"),
        pytest.param("binary_crossentropy", LABELS, "sigmoid", marks=pytest.mark.nightly),
        ("mse", NUMBERS, None),
    ],
    ids=["one-hot", "multi-label", "numbers"],
)
def test_labels_are_mixed_as_inputs_are(loss, y, end):
    """Whatever is drawn."""
    kept = Kept()
    fitted(loss, y, kept, made("mixup", alpha=1.0), x=plain(y), end=end)
    assert len(kept.seen) == 4
    for x, labels, weight in kept.seen:
        assert weight is None
        np.testing.assert_allclose(x[:, 0, 0, 0], labels[:, 0], atol=1e-6)
    assert len({tuple(labels.ravel()) for _, labels, _ in kept.seen}) == 4  # drawn anew in each epoch


def test_the_share_of_cutmix_is_that_of_the_pixels():
    kept = Kept()
    fitted("mse", NUMBERS, kept, made("cutmix", seed=3), x=plain(NUMBERS), end=None)
    for x, labels, _ in kept.seen:
        np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), labels[:, 0], atol=1e-6)
    # A box of the other image, no mean of both.
    assert any(len(np.unique(x[0])) == 2 for x, _, _ in kept.seen)


def test_weights_stay_with_their_labels():
    """Rows of weight 0 are as if they were not: what is mixed into them counts by its own weight alone."""
    kept = Kept()
    weight = np.where(np.arange(12) % 2 == 0, 2.0, 0.0).astype("float32")
    fitted("categorical_crossentropy", ONE_HOT, kept, made("mixup", alpha=1.0), sample_weight=weight)
    for number, (_, labels, weights) in enumerate(kept.seen):
        own = ONE_HOT[6 * (number % 2) :][:6]
        heavy = own[::2]
        for row in labels[np.asarray(weights) > 0]:
            # Made of rows with weight alone.
            assert not np.any(row[heavy.sum(axis=0) == 0])
        assert np.asarray(weights).sum() == pytest.approx(6.0, abs=1e-5)


def test_metrics_are_of_the_label_with_the_larger_share():
    start = keras.initializers.Constant(0.1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "softmax", kernel_initializer=start)])
    model.layers[0].set_weights([9 * np.eye(3), np.zeros(3)])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    kept = model.fit(ONE_HOT, IDS, 4, 3, verbose=0, callbacks=[made("mixup", alpha=0.4)]).history
    assert kept["accuracy"] == [1.0, 1.0, 1.0]  # of mixed rows it says the larger part, which metrics are told


@pytest.mark.nightly
@pytest.mark.parametrize("compiled", [{}, {"steps_per_execution": 2}], ids=str)
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_every_way_to_run_a_step_is_the_same(name, compiled):
    loss = "sparse_categorical_crossentropy"
    assert_same(fitted(loss, IDS, made(name), compiled=compiled), fitted(loss, IDS, made(name)))


@pytest.mark.slow
@pytest.mark.nightly
def test_ids_train_as_one_hot_rows_under_xla():
    """It draws other numbers, the same each time."""
    ids = fitted("sparse_categorical_crossentropy", IDS, made("mixup", alpha=1.0), compiled={"jit_compile": True})
    rows = fitted("categorical_crossentropy", ONE_HOT, made("mixup", alpha=1.0), compiled={"jit_compile": True})
    assert_same(ids, rows, atol=1e-5)


@pytest.mark.nightly
def test_it_works_with_micro_batches_smoothing_and_sam():
    loss, mixup = "sparse_categorical_crossentropy", made("mixup", alpha=1.0)
    assert_same(
        fitted(loss, IDS, mixup, made("micro-batches", steps=2), sample_weight=WEIGHT),
        fitted(loss, IDS, made("mixup", alpha=1.0), sample_weight=WEIGHT),
    )
    smooth = fitted(loss, IDS, made("label-smoothing"), made("mixup", alpha=1.0))
    theirs = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    assert_same(smooth, fitted(theirs, ONE_HOT, made("mixup", alpha=1.0)))
    near = fitted(loss, IDS, made("sam", rho=1e-7), made("mixup", alpha=1.0))
    assert_same(near, fitted(loss, IDS, made("mixup", alpha=1.0)), atol=1e-5)


def two_outputs():
    inputs = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(inputs)
    start = keras.initializers.GlorotUniform(seed=1)
    outputs = [keras.layers.Dense(3, end, kernel_initializer=start, name=end)(flat) for end in ("softmax", "linear")]
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("compiled", [{"run_eagerly": True}, pytest.param({}, marks=pytest.mark.nightly)], ids=str)
def test_an_output_of_ids_beside_one_of_numbers_trains_and_is_logged_as_mixed_rows(compiled):
    def ended(loss, labels):
        model = two_outputs()
        model.compile(keras.optimizers.SGD(0.5), [loss, "mse"], **compiled)
        fit = {"batch_size": 5, "epochs": 2, "shuffle": False, "verbose": 0, "callbacks": [made("mixup", alpha=1.0)]}
        history = model.fit(X, [labels, NUMBERS], sample_weight=[WEIGHT, WEIGHT[::-1]], **fit).history
        assert all("update_state" not in vars(each) for each in model._compile_loss.metrics)
        return np.concatenate([each.ravel() for each in model.get_weights()]), history

    ids, rows = ended("sparse_categorical_crossentropy", IDS), ended("categorical_crossentropy", ONE_HOT)
    assert set(ids[1]) == {"loss", "softmax_loss", "linear_loss"}
    assert_same(ids, rows)


def test_labels_by_the_names_of_a_list_of_outputs_are_those_in_order():
    """Names of which the order is another one than theirs as words."""
    labels = {"softmax": IDS, "linear": NUMBERS}

    def ended(y, *callbacks):
        model = two_outputs()
        model.compile(keras.optimizers.SGD(0.5), ["sparse_categorical_crossentropy", "mse"], run_eagerly=True)
        model.fit(X, y, 6, shuffle=False, verbose=0, callbacks=list(callbacks))
        return np.concatenate([each.ravel() for each in model.get_weights()])

    assert np.isfinite(ended(labels)).all()  # Keras takes them
    named = ended(labels, made("mixup", alpha=1.0))
    np.testing.assert_array_equal(named, ended(list(labels.values()), made("mixup", alpha=1.0)))
    with pytest.raises(
        tfkit.ModelError, match=r"labels are named \['linear', 'other'\] and the outputs \['softmax', 'li"
    ):
        ended({"other": IDS, "linear": NUMBERS}, made("mixup"))


def test_weights_in_a_column_are_those_of_rows():
    """As Keras takes them."""
    flat, numbers = X.reshape(12, 16), NUMBERS[:, 0]

    def loss(y, weight):
        start = keras.initializers.GlorotUniform(seed=1)
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(1, kernel_initializer=start)])
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
        fit = {"sample_weight": weight, "shuffle": False, "verbose": 0, "callbacks": [made("mixup", alpha=1.0)]}
        return model.fit(flat, y, **fit).history["loss"]

    wanted = loss(numbers, WEIGHT)
    assert loss(numbers, WEIGHT[:, None]) == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(tfkit.DataError, match=r"sample_weight has shape \(12, 3\) and the labels \(12,\)"):
        loss(numbers, np.ones((12, 3)))


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def refused(model, x, y, *names):
    with pytest.raises((tfkit.ModelError, tfkit.DataError)) as error:
        model.fit(x, y, verbose=0, callbacks=[made(name) for name in names])
    assert "train_step" not in vars(model)
    return str(error.value)


def test_what_cannot_be_mixed_is_refused_by_name():
    def model(kind=keras.Sequential, shape=(4,), dtype=None):
        network = kind([keras.Input(shape, dtype=dtype), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
        network.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        return network

    flat = X.reshape(12, 16)[:, :4]
    assert "OwnStep has a train_step of its own" in refused(model(OwnStep), flat, IDS, "mixup")
    assert "mixup and cutmix both mix" in refused(model(), flat, IDS, "cutmix", "mixup")
    assert "float32 of shape (12, 4)" in refused(model(), flat, IDS, "cutmix")
    assert "takes integers, which are ids" in refused(model(dtype="int32"), IDS[:, None].repeat(4, 1), IDS, "mixup")
    with pytest.raises(tfkit.ParameterError, match="'alpha' of callback 'mixup' must be a float > 0; got 0"):
        made("mixup", alpha=0)
