"""Logs by the epoch, validation metrics, TensorBoard and progress: what they write is what the fit has shown."""

import csv
import json

import keras
import numpy as np
import pytest
import sklearn.metrics

import tfkit

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)


def model(**compiled):
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    made.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    return made


def fit(*callbacks, epochs=3, on=None, **options):
    on = on or model(run_eagerly=True)
    return on.fit(X, Y, epochs=epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **options)


@pytest.mark.parametrize("name", ["jsonl-log", "csv-log"])
def test_a_log_has_the_history_line_by_line(name, tmp_path):
    path = tmp_path / "deep" / "log"
    history = fit(tfkit.create("callback", name, path=str(path)), validation_data=(X, Y)).history
    with path.open(newline="") as file:
        rows = [json.loads(line) for line in file] if name == "jsonl-log" else list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    for key, values in history.items():
        np.testing.assert_allclose([float(row[key]) for row in rows], values, rtol=1e-6)
    assert all(float(row["seconds"]) > 0 for row in rows)


@pytest.mark.parametrize(("index", "files"), [(0, 3), (1, 0)])
def test_of_several_workers_the_chief_alone_writes(index, files, tmp_path, monkeypatch):
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
    logs = [tfkit.create("callback", name, path=tmp_path / name) for name in ("jsonl-log", "csv-log")]
    board = tfkit.create("callback", "tensorboard", directory=tmp_path / "board", histograms=1)
    fit(*logs, board, epochs=1)
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == files


def test_a_second_fit_begins_the_file_anew_and_one_that_goes_on_appends(tmp_path):
    log = tfkit.create("callback", "jsonl-log", path=tmp_path / "log")

    def epochs():
        return [json.loads(line)["epoch"] for line in (tmp_path / "log").read_text().splitlines()]

    fit(log)
    fit(log, epochs=2)
    assert epochs() == [0, 1]
    fit(log, epochs=4, initial_epoch=2)
    assert epochs() == [0, 1, 2, 3]
    fit(tfkit.create("callback", "jsonl-log", path=tmp_path / "log", append=True), epochs=1)
    assert epochs() == [0, 1, 2, 3, 0]


def test_a_log_is_valid_json_where_a_loss_is_not_a_number(tmp_path):
    class Broken(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs.update(loss=float("nan"), classes=np.array([0.5, np.inf]))

    fit(Broken(), tfkit.create("callback", "jsonl-log", path=tmp_path / "log"), epochs=1)
    row = json.loads((tmp_path / "log").read_text())
    assert (row["loss"], row["classes"]) == (None, [0.5, None])


def test_a_log_in_a_folder_that_cannot_be_is_refused_before_the_first_epoch(tmp_path):
    (tmp_path / "file").write_text("")
    began = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: began.append(epoch))
    with pytest.raises(OSError, match="file"):
        fit(watch, tfkit.create("callback", "jsonl-log", path=tmp_path / "file" / "log"))
    assert not began


@pytest.mark.parametrize("eager", [False, True])
def test_validation_metrics_are_scikit_learns_and_come_before_all_who_watch(eager):
    data = tfkit.Data((X[:40], Y[:40]), validation=(X[40:], Y[40:]))
    added = tfkit.create(
        "callback", "validation-metrics", data=data, metrics=["f1", ("precision", {"average": "micro", "name": "p"})]
    )
    stop = tfkit.create("callback", "early-stopping", monitor="val_f1", mode="max", patience=9)
    outputs = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: outputs.append(np.argmax(made(X[40:]), axis=1))
    )
    made = model(run_eagerly=eager)
    history = fit(stop, watch, added, on=made).history
    wanted = [sklearn.metrics.f1_score(Y[40:], each, average="macro") for each in outputs]
    np.testing.assert_allclose(history["val_f1"], wanted, rtol=1e-6)
    wanted = [sklearn.metrics.precision_score(Y[40:], each, average="micro") for each in outputs]
    np.testing.assert_allclose(history["val_p"], wanted, rtol=1e-6)
    assert stop.best == pytest.approx(max(history["val_f1"]))


def test_validation_metrics_now_and_then_and_at_the_end():
    added = tfkit.create("callback", "validation-metrics", data=(X, Y), metrics=["accuracy"], frequency=3)
    stop = tfkit.create("callback", "early-stopping", monitor="val_accuracy", patience=9)  # it knows what is better
    assert len(fit(stop, added, epochs=7).history["val_accuracy"]) == 4


@pytest.mark.parametrize(("metric", "better"), [("f1", max), ("log-loss", min)])
def test_early_stopping_asks_validation_metrics_what_is_better(metric, better):
    added = tfkit.create("callback", "validation-metrics", data=(X, Y), metrics=[(metric, {"name": "m"})])
    stop = tfkit.create("callback", "early-stopping", monitor="val_m", patience=9)
    history = fit(stop, added).history
    assert stop.best == better(history["val_m"])


def test_validation_metrics_measure_the_average_of_the_weights():
    added = tfkit.create("callback", "validation-metrics", data=(X, Y), metrics=["accuracy"])
    average = tfkit.create("callback", "average-weights", kind="ema", decay=0.8)

    class Compare(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pairs.append((logs["val_accuracy"], logs["val_accuracy_of_fit"]))

    pairs = []
    made = model()
    made.compile(keras.optimizers.Adam(0.3), "sparse_categorical_crossentropy",
                 metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy_of_fit")])  # fmt: skip
    fit(average, added, Compare(), on=made, validation_data=(X, Y))
    for one, other in pairs:
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"data": tfkit.Data((X, Y)), "metrics": ["f1"]}, "needs a Data with a validation part"),
        ({"data": (X, Y), "metrics": [("f1", {"average": None})]}, "'f1' has a value per class: give it an average"),
    ],
)
def test_validation_metrics_that_cannot_be_are_refused(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        fit(tfkit.create("callback", "validation-metrics", **params))


def test_tensorboard_has_the_curves_and_the_hyperparameters(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    board = tfkit.create("callback", "tensorboard", directory=tmp_path, hyperparameters={"units": 3, "kind": ("a", 1)})
    history = fit(board).history
    found = EventAccumulator(str(tmp_path / "train"))
    found.Reload()
    losses = [float(keras.ops.convert_to_numpy(each.tensor_proto.float_val[0])) if each.tensor_proto.float_val
              else np.frombuffer(each.tensor_proto.tensor_content, "float32")[0]
              for each in found.Tensors("epoch_loss")]  # fmt: skip
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-6)
    about = found.SummaryMetadata("_hparams_/session_start_info")
    hparams = metadata.parse_session_start_info_plugin_data(about.plugin_data.content).hparams
    assert hparams["units"].number_value == 3
    assert hparams["kind"].string_value == "('a', 1)"
    assert hparams["optimizer"].string_value == "Adam"
    assert hparams["learning_rate"].number_value == pytest.approx(0.05)


def test_progress_passes_over_values_by_class(capfd):
    made = model()
    by_class = tfkit.create("metric", "f1", average=None, num_classes=3)
    made.compile("sgd", "sparse_categorical_crossentropy", metrics=[by_class])
    fit(tfkit.create("callback", "progress"), on=made, epochs=1)
    assert "loss" in capfd.readouterr().err


def test_progress_tells_each_epoch_once_and_is_gone_after_a_failure(capfd):
    fit(tfkit.create("callback", "progress"), validation_data=(X, Y))
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all("val_accuracy" in line and "batches/s" in line for line in lines)

    def fail(epoch, logs):
        raise KeyboardInterrupt

    shown = tfkit.create("callback", "progress")
    with pytest.raises(KeyboardInterrupt):
        fit(shown, keras.callbacks.LambdaCallback(on_epoch_end=fail))
    assert shown._shown._exit_callbacks == type(shown._shown._exit_callbacks)()
