import json

import keras
import numpy as np
import pytest

import tfkit

ONES = np.ones((50, 2), "float32")


def model(**compiled):
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse", metrics=["mae"], **compiled)
    return made


class Clock(keras.callbacks.Callback):
    """20 ms for each execution of steps, 300 ms for a validation."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def on_train_batch_begin(self, batch, logs=None):
        self.now += 0.02

    def on_test_begin(self, logs=None):
        self.now += 0.3


@pytest.mark.parametrize(("settings", "executions"), [({}, 4), ({"steps_per_execution": 3}, 2)])
@pytest.mark.parametrize("validation", [None, (ONES, ONES[:, :1])])
def test_it_counts_rows_and_steps_and_no_validation(monkeypatch, settings, executions, validation):
    clock, monitor = Clock(), tfkit.create("callback", "resource-monitor")
    monkeypatch.setattr("tfkit_callbacks.resource_monitor.time", clock)
    fit = {"epochs": 2, "batch_size": 16, "validation_data": validation, "verbose": 0}
    history = model(**settings).fit(ONES, ONES[:, :1], callbacks=[clock, monitor], **fit).history
    seconds = 0.02 * executions
    np.testing.assert_allclose(history["samples_per_second"], 50 / seconds)
    np.testing.assert_allclose(history["step_ms"], seconds / 4 * 1e3)
    assert 50 < history["memory_mb"][1] < 1e5


def test_what_comes_later_sees_it_wherever_it_stands(tmp_path):
    log = tfkit.create("callback", "jsonl-log", path=str(tmp_path / "log.jsonl"))
    model().fit(ONES, ONES[:, :1], callbacks=[log, tfkit.create("callback", "resource-monitor")], verbose=0)
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert {"samples_per_second", "step_ms", "memory_mb"} <= set(json.loads(line))
