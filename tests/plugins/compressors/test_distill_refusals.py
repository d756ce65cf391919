"""What distill refuses, in the words that say what was wrong and the way out."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

X = np.ones((8, 6), "float32")
Y = np.zeros(8, "int32")
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net(units=4, end=None, loss=LOGITS, inputs=6, name="student"):
    model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units, end, name="out")], name=name)
    if loss is not None:
        model.compile("sgd", loss)
    return model


def refused(text, model=None, teacher=None, y=Y, **params):
    model = model or net()
    callback = tfkit.callback("compressor", "distill", teacher=teacher or net(name="teacher"), **params)
    before = None if not model.built else model.get_weights()
    with pytest.raises(tfkit.ModelError, match=re.escape(text)):
        model.fit(X, y, verbose=0, callbacks=[callback])
    assert "compute_loss" not in vars(model)
    if before is not None:
        for one, other in zip(before, model.get_weights()):
            np.testing.assert_array_equal(one, other)


def test_classes_that_differ():
    refused("have different classes: 7 and 4 in output 'out'", teacher=net(7, name="teacher"))


def test_classes_that_differ_where_no_graph_tells():
    @keras.saving.register_keras_serializable("tests")
    class Hidden(keras.Model):
        def __init__(self, units):
            super().__init__(name="hidden")
            self.out = keras.layers.Dense(units)

        def call(self, x):
            return self.out(x)

    teacher = Hidden(7)
    teacher.compile(loss=LOGITS)
    teacher(X)
    refused("have different classes: 7 and 4 in output 'out'", teacher=teacher)
    unknown = Hidden(4)
    unknown(X)
    refused("cannot tell whether teacher 'hidden' gives logits or probabilities: compile it", teacher=unknown)


def test_inputs_and_outputs_that_differ():
    refused("takes inputs of shape (5,) and student 'student' of (6,)", teacher=net(inputs=5, name="teacher"))
    inputs = keras.Input((6,))
    two = keras.Model(inputs, [keras.layers.Dense(4)(inputs), keras.layers.Dense(4)(inputs)], name="two")
    refused("teacher 'two' has 2 outputs and student 'student' 1", teacher=two)


def test_tasks_that_differ():
    text = "teacher 'teacher' ends in a sigmoid and student 'student' learns output 'out' by"
    refused(text, teacher=net(end="sigmoid", loss="binary_crossentropy", name="teacher"))


def test_a_loss_that_takes_logits_for_probabilities():
    text = "ends without an activation, and its loss sparse_categorical_crossentropy takes it for probabilities"
    refused(text, net(loss="sparse_categorical_crossentropy"))


def own_loss(y, outputs):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), outputs)


def test_a_loss_of_ones_own_needs_the_task():
    refused("does not know what the loss own_loss of output 'out' of student 'student' is for", net(loss=own_loss))
    refused("task='sigmoid' contradicts the loss sparse_categorical_crossentropy", task="sigmoid")
    keras.utils.set_random_seed(0)
    known, own = net(), net(loss=own_loss)
    own.set_weights(known.get_weights())
    teacher = net(name="teacher")
    for model in (known, own):
        model.fit(X, Y, verbose=0, callbacks=[tfkit.callback("compressor", "distill", teacher=teacher, task="softmax")])
    np.testing.assert_allclose(known.get_weights()[0], own.get_weights()[0], atol=1e-6)


def test_models_that_are_not_ready():
    with pytest.raises(tfkit.ModelError, match="model 'raw' is not built"):
        tfkit.create("compressor", "distill", teacher=keras.Sequential([keras.layers.Dense(4)], name="raw"))
    data = tfkit.Data((X, Y))
    with pytest.raises(tfkit.ModelError, match="model 'student' is not compiled"):
        tfkit.create("compressor", "distill").compress(net(loss=None), data, epochs=1, directory=None)


@pytest.mark.parametrize("teacher", [7, [], None, [net, "source"]])
def test_what_is_no_teacher(teacher):
    with pytest.raises(
        tfkit.ParameterError, match=r"'teacher' of compressor 'distill' must be a Keras model, the path"
    ):
        tfkit.create("compressor", "distill", teacher=teacher)


def test_files_that_are_no_teacher(tmp_path):
    with pytest.raises(tfkit.ModelError, match=r"there is no file or folder 'nowhere\.keras'"):
        tfkit.create("compressor", "distill", teacher="nowhere.keras")
    net().export(tmp_path / "saved", verbose=False)
    with pytest.raises(tfkit.ModelError, match=r"saved' holds no Keras model to be a teacher: give its \.keras"):
        tfkit.create("compressor", "distill", teacher=str(tmp_path / "saved"))


@pytest.mark.parametrize("params", [{"temperature": 0.0}, {"alpha": 1.1}, {"alpha": -0.1}, {"feature_weight": -1.0}])
def test_bounds(params):
    with pytest.raises(tfkit.ParameterError, match=f"'{next(iter(params))}' of compressor 'distill' must be a float"):
        tfkit.create("compressor", "distill", **params)


@keras.saving.register_keras_serializable("tests")
class OwnStep(keras.Model):
    def __init__(self, mode):
        super().__init__(name="own")
        self.out, self.mode = keras.layers.Dense(4), mode

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        outputs = self(data[0])
        if self.mode == "no x":
            return {"loss": self.compute_loss(y=data[1], y_pred=outputs)}
        return {"loss": tf.reduce_mean(outputs)}


class OldLoss(OwnStep):
    def compute_loss(self, x, y, y_pred, sample_weight):
        return tf.reduce_mean(y_pred)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (OwnStep("none"), "the train_step of model 'own' does not call self.compute_loss(x, y, y_pred, …)"),
        (OwnStep("no x"), "the train_step of model 'own' gives compute_loss no x, which the teacher reads"),
        (OldLoss("none"), "the compute_loss of model 'own' takes no argument 'training'"),
    ],
)
def test_training_steps_that_distill_cannot_reach(model, text):
    model.compile("sgd", LOGITS, jit_compile=False)
    model(X)
    refused(text, model)


def test_two_in_one_fit():
    callbacks = [tfkit.callback("compressor", "distill", teacher=net(name=name)) for name in ("a", "b")]
    with pytest.raises(tfkit.ModelError, match="two distill callbacks are in one fit: give one of them a list"):
        net().fit(X, Y, verbose=0, callbacks=callbacks)
