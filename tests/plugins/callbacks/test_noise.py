import keras
import numpy as np
import pytest
from small_fits import assert_trained_alike, made

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
IDS = RNG.integers(3, size=24)
ENTROPY = "sparse_categorical_crossentropy"


def dense(units, activation, seed, **kwargs):
    return keras.layers.Dense(
        units, activation, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), **kwargs
    )


def mlp(*between, end="softmax"):
    """4 numbers through 8 units, what is given, to 3 classes."""
    return keras.Sequential([keras.Input((4,)), dense(8, "relu", 1), *between, dense(3, end, 2)])


def fitted(model, *callbacks, loss=ENTROPY, y=IDS, compiled=None, **fit):
    model.compile(keras.optimizers.SGD(0.5), loss, **(compiled or {"run_eagerly": True}))
    history = model.fit(X, y, 8, 2, shuffle=False, verbose=0, callbacks=list(callbacks), **fit).history
    return model.get_weights(), history


@pytest.mark.parametrize(
    "compiled", [{"run_eagerly": True}, pytest.param({}, marks=pytest.mark.nightly)], ids=["eager", "graph"]
)
def test_inserted_dropout_trains_as_a_model_built_with_it(compiled):
    model = mlp()
    ours = fitted(model, made("dropout", rate=0.4, seed=7), compiled=compiled)
    theirs = fitted(mlp(keras.layers.Dropout(0.4, seed=7)))
    assert_trained_alike(ours, (theirs[0][:2] + theirs[0][-2:], theirs[1]))
    assert all("call" not in vars(layer) for layer in model.layers)


def test_rates_are_set_in_the_graph_and_put_back():
    """A traced graph keeps the rates of then: fitted before with another, it trains as one built with this rate."""
    ours, theirs = mlp(keras.layers.Dropout(0.1, seed=3)), mlp(keras.layers.Dropout(0.6, seed=3))
    ours.compile(keras.optimizers.SGD(0.0), ENTROPY)
    ours.fit(X, IDS, 8, 1, shuffle=False, verbose=0)
    ours.layers[1].seed_generator.state.assign([3, 0])
    ours.optimizer.learning_rate = 0.5
    callback = made("dropout", rate=0.6)
    history = ours.fit(X, IDS, 8, 2, shuffle=False, verbose=0, callbacks=[callback]).history
    assert callback.dropped == [ours.layers[1].name]
    assert_trained_alike((ours.trainable_variables, history), (fitted(theirs)[0], history))
    assert_trained_alike((ours.trainable_variables, history), (theirs.trainable_variables, theirs.history.history))
    assert ours.layers[1].rate == 0.1


@pytest.mark.nightly
def test_a_layer_with_a_rate_of_0_drops_in_the_fit():
    ours = mlp(keras.layers.Dropout(0.0))
    theirs = fitted(mlp(keras.layers.Dropout(0.4, seed=7)))
    assert_trained_alike(fitted(ours, made("dropout", rate=0.4, seed=7)), (theirs[0][:2] + theirs[0][-2:], theirs[1]))
    assert ours.layers[1].rate == 0.0


@pytest.mark.nightly
def test_the_expectation_is_kept():
    """Over 4000 draws, within 4.5 standard errors of what the model predicts."""
    model = keras.Sequential([keras.Input((4,)), dense(200, None, 1), dense(1, None, 2)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    found = []

    class Outputs(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(np.asarray(model(X[:4].repeat(4000, axis=0), training=True)).reshape(4, 4000))

    model.fit(X, IDS, 24, verbose=0, callbacks=[made("dropout", rate=0.5), Outputs()])
    (draws,) = found
    error = draws.std(axis=1) / np.sqrt(4000)
    assert error.min() > 0
    assert (np.abs(draws.mean(axis=1) - model.predict(X[:4], verbose=0)[:, 0]) / error).max() < 4.5


def test_frozen_and_excluded_layers_read_as_ever():
    model = mlp(dense(8, "relu", 3, name="frozen"), dense(8, "relu", 4, name="kept"))
    model.get_layer("frozen").trainable = False
    callback = made("dropout", rate=0.4, exclude=["kept"])
    fitted(model, callback)
    assert callback.dropped == [model.layers[-1].name]


class Own(keras.Model):
    """A subclassed model, whose graph Keras does not know, with attention."""

    def __init__(self, rate):
        super().__init__()
        self.attend = keras.layers.MultiHeadAttention(1, 2, dropout=rate, seed=1)
        self.dropped = keras.layers.Dropout(0.0)
        self.end = dense(3, "softmax", 2)

    def call(self, x):
        rows = self.dropped(x)[:, None] * np.ones((1, 4, 1), "float32")
        return self.end(keras.ops.mean(self.attend(rows, rows), axis=1))


def test_a_subclassed_model_has_its_rates_set():
    model = Own(0.2)
    model(X)
    callback = made("dropout", rate=0.5)
    fitted(model, callback)
    assert callback.dropped == [model.attend._dropout_layer.name]
    assert model.attend._dropout_layer.rate == 0.2
    model = Own(0.0)
    model(X)
    with pytest.raises(tfkit.ModelError, match="inserts it into Functional and Sequential models alone; it is a Own"):
        fitted(model, made("dropout", rate=0.5))


def test_where_nothing_can_drop_is_told():
    alone = keras.Sequential([keras.Input((4,)), dense(3, "softmax", 1)])
    with pytest.raises(tfkit.ModelError, match="nowhere to drop"):
        fitted(alone, made("dropout", rate=0.4))
    with pytest.raises(tfkit.ModelError, match="exclude names 'Conv2D'"):
        fitted(mlp(), made("dropout", rate=0.4, exclude=["Conv2D"]))


def residual(*noise):
    """Two residual blocks, the second with a projection and its sum by an operator."""
    first, second = noise or (keras.layers.Identity(), keras.layers.Identity())
    inputs = keras.Input((4,))
    once = keras.layers.Add(name="once")([inputs, first(dense(4, "tanh", 1)(dense(5, "relu", 2)(inputs)))])
    twice = second(dense(6, None, 3)(dense(5, "relu", 4)(once))) + dense(6, None, 5)(once)
    return keras.Model(inputs, dense(3, "softmax", 6)(twice))


@pytest.mark.parametrize(
    ("mode", "shape"), [("row", (None, 1)), pytest.param("batch", (1, 1), marks=pytest.mark.nightly)]
)
def test_stochastic_depth_trains_as_a_model_built_with_it(mode, shape):
    depth = made("stochastic-depth", rate=0.6, mode=mode, seed=5)
    ours = fitted(residual(), depth)
    drops = [keras.layers.Dropout(rate, noise_shape=shape, seed=seed) for rate, seed in ((0.3, 5), (0.6, 6))]
    theirs = fitted(residual(*drops))
    assert list(depth.rates.values()) == [0.3, 0.6]
    assert_trained_alike(ours, ([each for each in theirs[0] if each.dtype == "float32"], theirs[1]))


def test_a_model_without_residuals_is_told_what_it_adds():
    left, right = keras.Input((4,)), keras.Input((4,))
    total = keras.layers.Add(name="sum")([dense(3, None, 1)(left), dense(3, None, 2)(right)])
    model = keras.Model([left, right], keras.layers.Softmax()(total))
    model.compile("sgd", ENTROPY)
    with pytest.raises(tfkit.ModelError, match="has none: its additions, sum, are none"):
        model.fit([X, X], IDS, verbose=0, callbacks=[made("stochastic-depth", rate=0.2)])
    with pytest.raises(tfkit.ModelError, match="has none: it adds nothing"):
        fitted(mlp(), made("stochastic-depth", rate=0.2))


@pytest.mark.parametrize(
    "name",
    ["logits", pytest.param("ids", marks=pytest.mark.nightly), pytest.param("multi-label", marks=pytest.mark.nightly)],
)
def test_r_drop_is_the_loss_of_the_paper(name):
    """By hand: two passes, the mean of their crossentropies, and half of both divergences."""
    labels = RNG.integers(2, size=(24, 3)).astype("float32")
    loss, y, end = {
        "ids": (keras.losses.SparseCategoricalCrossentropy(), IDS, "softmax"),
        "logits": (keras.losses.SparseCategoricalCrossentropy(from_logits=True), IDS, None),
        "multi-label": (keras.losses.BinaryCrossentropy(), labels, "sigmoid"),
    }[name]
    weight = RNG.random(24).astype("float32")
    model, twin = (mlp(keras.layers.Dropout(0.5, seed=3), end=end) for _ in range(2))
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    drop = made("r-drop", alpha=0.7)
    fit = {"sample_weight": weight, "validation_data": (X, y, weight), "callbacks": [drop]}
    history = model.fit(X, y, 24, 1, shuffle=False, verbose=0, **fit).history
    one, other = (np.asarray(twin(X, training=True), "float64") for _ in range(2))
    if name == "logits":
        one, other = (np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in (one, other))
    if name == "multi-label":
        one, other = (np.stack([each, 1 - each], -1) for each in (one, other))
        own = -np.log(np.where(labels == 1, one[..., 0] * other[..., 0], one[..., 1] * other[..., 1])).mean(1) / 2
        apart = ((one - other) * np.log(one / other)).sum(-1).mean(1) / 2
    else:
        own = -np.log(one[np.arange(24), IDS] * other[np.arange(24), IDS]) / 2
        apart = ((one - other) * np.log(one / other)).sum(1) / 2
    assert history["loss"][0] == pytest.approx((weight * (own + 0.7 * apart)).mean(), rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X, y, sample_weight=weight, verbose=0), rel=1e-6)


def test_r_drop_needs_dropout_and_probabilities():
    with pytest.raises(tfkit.ModelError, match="has none: add the callback dropout"):
        fitted(mlp(), made("r-drop"))
    fitted(mlp(), made("r-drop"), made("dropout", rate=0.2))
    with pytest.raises(tfkit.ModelError, match="the loss is mean_squared_error"):
        fitted(mlp(keras.layers.Dropout(0.2)), made("r-drop"), loss="mse", y=np.eye(3)[IDS])


@pytest.mark.nightly
def test_sam_sees_the_same_inserted_dropout_twice():
    """At a distance of next to nothing both gradients are one, if both see the same dropout."""
    near = fitted(mlp(), made("dropout", rate=0.4), made("sam", rho=1e-7))
    for one, other in zip(near[0], fitted(mlp(), made("dropout", rate=0.4))[0]):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.nightly
@pytest.mark.parametrize("names", [("mixup", "r-drop"), ("r-drop", "mixup")], ids="-".join)
def test_r_drop_of_mixed_rows_weighs_them_in_either_order(names):
    """Rows that all weigh twice as much have twice the loss."""

    def loss(weight):
        callbacks = [made(name, alpha=1.0) for name in names]
        model = mlp(keras.layers.Dropout(0.3, seed=3))
        model.compile(keras.optimizers.SGD(0.0), ENTROPY, run_eagerly=True)
        return model.fit(X, IDS, 12, verbose=0, shuffle=False, callbacks=callbacks, sample_weight=weight).history[
            "loss"
        ]

    assert loss(np.full(24, 2.0))[0] == pytest.approx(2 * loss(np.ones(24))[0], rel=1e-5)
