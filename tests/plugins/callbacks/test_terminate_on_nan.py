import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = RNG.integers(3, size=48)
ENDED = r"the fit ended in epoch 1, after {} updates: the next step is not finite"


def classifier(optimizer=None, middle=None, **compiled):
    keras.utils.set_random_seed(1)
    hidden = [keras.layers.Dense(6, name="hidden"), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    head = keras.layers.Dense(3, "softmax", name="head")
    model = keras.Sequential([keras.Input((4,)), *hidden, *([middle] if middle else []), head])
    loss = compiled.pop("loss", "sparse_categorical_crossentropy")
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, **compiled)
    return model


def fit(model, callbacks, x=X, y=Y, **arguments):
    settings = {"batch_size": 8, "shuffle": False, "verbose": 0, "epochs": 2, **arguments}
    return model.fit(x, y, callbacks=callbacks, **settings)


def state(model):
    return [each.numpy() for each in (*model.variables, *model.optimizer.variables)]


def assert_same(model, other):
    for one, two in zip(state(model), state(other), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)


def stopper():
    return tfkit.create("callback", "terminate-on-nan")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps_per_execution": 4},
        pytest.param({"jit_compile": True}, marks=pytest.mark.nightly),
        pytest.param({"run_eagerly": True}, marks=pytest.mark.nightly),
    ],
)
def test_a_bad_row_changes_nothing(settings):
    x = X.copy()
    x[29, 2] = np.nan  # in the fourth batch
    model, stop = classifier(**settings), stopper()
    with pytest.warns(RuntimeWarning, match=ENDED.format(3)):
        history = fit(model, [stop], x)
    assert stop.stopped_at == 3
    assert len(history.history["loss"]) == 1
    plain = classifier(**settings)
    fit(plain, [], x[:24], Y[:24], epochs=1)
    assert_same(model, plain)
    if not settings.get("jit_compile"):
        assert stop.origin == "x of the batch has values that are not finite, in 1 of its 8 rows"


def test_a_fit_that_stays_finite_is_as_without_it():
    model, plain, stop = classifier(), classifier(), stopper()
    fit(model, [stop], validation_data=(X, Y))
    fit(plain, [], validation_data=(X, Y))
    assert_same(model, plain)
    assert (stop.stopped_at, stop.origin) == (None, "")
    assert not {"compute_loss", "train_step"} & set(vars(model))


def test_a_rate_that_is_too_large():
    """Plain Keras ends with weights that are NaN."""
    model, plain = classifier(keras.optimizers.SGD(1e38)), classifier(keras.optimizers.SGD(1e38))
    with pytest.warns(RuntimeWarning, match=r"Try a lower learning rate \(it is 1e\+38\)"):
        fit(model, [stopper()])
    fit(plain, [keras.callbacks.TerminateOnNaN()])
    assert all(np.isfinite(each).all() for each in state(model))
    assert not all(np.isfinite(each).all() for each in state(plain))


def test_the_layer_is_named():
    exploding = keras.layers.Lambda(lambda x: keras.ops.exp(1e4 * x), name="exploding")
    stop = stopper()
    with pytest.warns(RuntimeWarning, match=ENDED.format(0)):
        fit(classifier(middle=exploding, run_eagerly=True), [stop])
    assert stop.origin.startswith("layer 'exploding' (Lambda) gives values that are not finite, of inputs up to ")


def test_a_gradient_that_is_not_finite_while_the_loss_is():
    """The slope of a root at 0, where ReLU puts half of its inputs."""
    root = keras.layers.Lambda(keras.ops.sqrt, name="root")
    model, plain, stop = classifier(middle=root), classifier(middle=root), stopper()
    with pytest.warns(RuntimeWarning, match=ENDED.format(0)):
        fit(model, [stop])
    # After the root everything is finite: what is before it is not.
    assert stop.origin.startswith("the loss is finite, and the gradient of '")
    assert "head" not in stop.origin
    assert_same(model, _untrained(root))
    fit(plain, [], epochs=1, batch_size=48)
    assert not np.isfinite(plain.get_layer("hidden").kernel.numpy()).all()


def _untrained(middle):
    model = classifier(middle=middle)
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_loss_that_is_not_finite_while_the_outputs_are():
    def loss(y, y_pred):
        return -keras.ops.log(0 * y_pred[:, 0])

    stop = stopper()
    with pytest.warns(RuntimeWarning, match=ENDED.format(0)):
        fit(classifier(loss=loss, run_eagerly=True), [stop])
    assert stop.origin == "the outputs of all layers are finite, and the loss is not"


def test_weights_that_are_not_finite_before_it():
    model, stop = classifier(run_eagerly=True), stopper()
    model.get_layer("head").bias.assign([np.inf, 0, 0])
    with pytest.warns(RuntimeWarning, match=ENDED.format(0)):
        fit(model, [stop])
    assert stop.origin.startswith("the weight '")
    assert stop.origin.endswith("head/bias' is not finite before it")


def test_a_loss_of_validation_may_be_anything():
    stop = stopper()
    fit(classifier(run_eagerly=True), [stop], epochs=1, validation_data=(X * np.float32(np.inf), Y))
    assert stop.stopped_at is None


def test_scaled_losses_may_overflow():
    """What overflows by scaling alone is left out by Keras, which then scales less."""
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=1e38)
    model, stop = classifier(optimizer), stopper()
    fit(model, [stop], x=X * 100)
    assert stop.stopped_at is None
    assert float(optimizer.dynamic_scale) < 1e38


def test_with_micro_batches():
    x = X.copy()
    x[30] = np.nan  # in the second part of the fourth batch
    model = classifier()
    with pytest.warns(RuntimeWarning, match=ENDED.format(3)):
        fit(model, [tfkit.create("callback", "micro-batches", steps=2), stopper()], x)
    plain = classifier()
    fit(plain, [tfkit.create("callback", "micro-batches", steps=2)], x[:24], Y[:24], epochs=1)
    assert_same(model, plain)


def test_embeddings_whose_gradients_come_in_slices():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(9, 4), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1, name="head"))
    model.compile(keras.optimizers.SGD(1e30), "mse", run_eagerly=True)
    stop = stopper()
    with pytest.warns(RuntimeWarning, match="layer 'head'"):
        fit(model, [stop], RNG.integers(9, size=(48, 3)), RNG.normal(size=48))
    assert all(np.isfinite(each).all() for each in state(model))


def test_an_update_that_overflows_is_told():
    """Gradients, and so the step, are finite."""
    model = classifier()
    model.compile(keras.optimizers.SGD(1e38), lambda y, y_pred: 1e6 * keras.ops.sum(y_pred[:, 0]), run_eagerly=True)
    with pytest.warns(RuntimeWarning, match="not finite either: the update before it overflowed"):
        fit(model, [stopper()])


def test_datasets_of_texts():
    model = keras.Sequential([keras.Input((), dtype="string")])
    words = keras.layers.TextVectorization(output_sequence_length=2, vocabulary=["a", "b"])
    model.add(words)
    model.add(keras.layers.Embedding(4, 2))
    model.add(keras.layers.GlobalAveragePooling1D())
    model.add(keras.layers.Dense(1, name="head"))
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    labels = np.array([0.0, np.nan, 1.0, 0.0], "float32")
    dataset = tf.data.Dataset.from_tensor_slices((np.array(["a b", "b", "a", "b b"]), labels)).batch(1)
    stop = stopper()
    with pytest.warns(RuntimeWarning, match=ENDED.format(1)):
        model.fit(dataset, shuffle=False, callbacks=[stop], verbose=0)
    assert stop.origin == "y of the batch has values that are not finite, in 1 of its 1 rows"


class Named(keras.Model):
    """A train_step that logs its loss by another name."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, [each.value for each in self.trainable_weights]))
        return {"mine": loss}


def test_a_train_step_that_logs_no_loss():
    x = X.copy()
    x[29] = np.nan
    inputs = keras.Input((4,))
    model = Named(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    stop = stopper()
    with pytest.warns(RuntimeWarning, match=ENDED.format(3)):
        fit(model, [stop], x)
    assert stop.origin.startswith("x of the batch")


def test_with_mixup_in_any_order():
    """The batch then holds weights that are None."""
    x = X.copy()
    x[24:32] = np.nan
    for callbacks in (["mixup", "terminate-on-nan"], ["terminate-on-nan", "mixup"]):
        made = [tfkit.create("callback", name) for name in callbacks]
        with pytest.warns(RuntimeWarning, match=ENDED.format(3)):
            fit(classifier(run_eagerly=True), made, x)
