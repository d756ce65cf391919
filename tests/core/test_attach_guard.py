"""The guard around a fit: the hooks of a batch are called where a callback has one, and not where none has."""

import keras
import pytest
from attach_models import X, Y, cosine, fit, regression

from tfkit.attach.guard import running_callbacks


class Batches(keras.callbacks.Callback):
    """Keeps what it is called with."""

    def __init__(self, method):
        super().__init__()
        self.calls = []
        setattr(self, method, self.keep)

    def keep(self, batch, logs=None):
        self.calls.append((batch, logs))


class Joins(keras.callbacks.Callback):
    """Adds a callback to the list that it is in."""

    def __init__(self, callback, running):
        super().__init__()
        self.callback = callback
        self.running = running

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.running[0].callbacks.append(self.callback)


METHODS = ["on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"]


@pytest.mark.parametrize("method", METHODS)
def test_whoever_listens_to_batches_is_told_what_keras_tells(method):
    alone, beside = Batches(method), Batches(method)
    fit(regression(), [alone])
    fit(regression(), [cosine(), beside])
    assert [batch for batch, _ in beside.calls] == [batch for batch, _ in alone.calls] != []
    assert [set(logs or ()) for _, logs in beside.calls] == [set(logs or ()) for _, logs in alone.calls]


def test_where_nobody_listens_keras_reads_no_logs(monkeypatch):
    heard = []
    original = keras.callbacks.CallbackList._on_train_batch_end

    def counted(self, batch, logs=None):
        heard.append(batch)
        original(self, batch, logs)

    monkeypatch.setattr(keras.callbacks.CallbackList, "_on_train_batch_end", counted)
    fit(regression())
    assert heard
    heard.clear()
    fit(regression(), [cosine()])
    assert not heard


def test_a_callback_that_joins_later_is_told_of_batches():
    late, running = Batches("on_train_batch_end"), []
    begin = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: running.append(running_callbacks()))
    fit(regression(), [cosine(), begin, Joins(late, running)])
    assert late.calls


def test_a_list_with_methods_of_its_own_is_asked_as_without_the_guard():
    class Counting(keras.callbacks.CallbackList):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            super().on_train_batch_end(batch, logs)

    def batches(*callbacks):
        model = regression()
        running = Counting(list(callbacks), add_history=True, model=model, epochs=2, steps=3)
        model.fit(X, Y, batch_size=8, verbose=0, epochs=2, callbacks=running)
        return running.batches

    assert batches(cosine()) == batches() == 6
