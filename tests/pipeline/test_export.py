import json
import os
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfkit
from tfkit.children import verify as verify_child
from tfkit.pipeline.export import export, verify
from tfkit.registry import registered
from tfkit_exporters.saved_model import SavedModelExporter


@pytest.fixture
def here(monkeypatch):
    """Runs in this process what would run in a child's, where that is not what is tested."""

    def call(target, *, timeout, what, directory, **kwargs):
        module, _, function = target.partition(":")
        assert module == verify_child.__name__
        paths = {name: str(value) if isinstance(value, Path) else value for name, value in kwargs.items()}
        return getattr(verify_child, function)(directory=str(directory), **paths)

    monkeypatch.setattr("tfkit.child.call", call)


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,), name="pixels"), layers.Dense(3, name="scores")])


def contents(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.slow
def test_a_version_is_written_verified_in_a_fresh_process_and_stays_verifiable(model, tmp_path, request):
    model.save(tmp_path / "model.keras")
    directory = tmp_path / "models" / "digits"
    rows = np.random.default_rng(0).random((5, 4))
    made = export(tmp_path / "model.keras", directory, sample=rows, metadata={"accuracy": 0.97})
    assert made == tfkit.pipeline.export.Export(directory / "1", 1, True)
    assert contents(directory) == ["1"]
    sidecar = json.loads((made.path / "tfkit.json").read_text())
    assert sidecar["format"] == "saved-model"
    assert sidecar["metadata"] == {"accuracy": 0.97}
    assert sidecar["signature"] == {
        "inputs": [{"name": "pixels", "dtype": "float32", "shape": [None, 4]}],
        "outputs": [{"name": "scores", "dtype": "float32", "shape": [None, 3]}],
    }
    listed = subprocess.run(["sha256sum", *sidecar["files"]], cwd=made.path, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(sidecar["files"].values())
    found = tfkit.create("exporter", "saved-model").predict(made.path, {"pixels": rows.astype("float32")})
    np.testing.assert_allclose(found["scores"], model(rows), rtol=1e-6, atol=1e-6)
    request.getfixturevalue("here")
    assert verify(made.path).files == len(sidecar["files"])


def test_versions_count_up_and_are_never_overwritten(here, model, tmp_path):
    assert [export(model, tmp_path).version for _ in range(2)] == [1, 2]
    assert export(model, tmp_path, version=7).path == tmp_path / "7"
    assert export(model, tmp_path).version == 8
    before = (tmp_path / "7" / "tfkit.json").read_bytes()
    with pytest.raises(tfkit.ParameterError, match=r"version 7 exists in .*: pass version=9, or None"):
        export(model, tmp_path, version=7)
    assert (tmp_path / "7" / "tfkit.json").read_bytes() == before
    assert contents(tmp_path) == ["1", "2", "7", "8"]


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, 2**63])
def test_a_version_is_a_positive_int(model, tmp_path, version):
    with pytest.raises(tfkit.ParameterError, match="version= must be an int >= 1 or None"):
        export(model, tmp_path, version=version)


def test_other_users_can_read_a_version(here, model, tmp_path):
    old = os.umask(0o022)
    try:
        path = export(model, tmp_path).path
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o755


def exporter_that(method):
    """A registered exporter with one method of its own."""
    module = types.ModuleType("toy_exporters")
    module.Toy = type("Toy", (SavedModelExporter,), {method.__name__: method})

    @tfkit.hookimpl
    def tfkit_exporters():
        yield tfkit.Spec("toy", "A toy.", "toy_exporters:Toy")

    module.tfkit_exporters = tfkit_exporters
    sys.modules["toy_exporters"] = module
    return registered(module)


def test_what_computes_something_else_is_refused_with_the_difference(here, model, tmp_path):
    def predict(self, directory, inputs):
        found = SavedModelExporter.predict(self, directory, inputs)
        found["scores"][1, 2] += 0.25
        return found

    with exporter_that(predict), pytest.raises(tfkit.VerificationError, match=r"output 'scores' differs by 0.25 where"):
        export(model, tmp_path / "new" / "models", format="toy")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda found: {"other": found["scores"]}, "gives the outputs other where the model gives scores"),
        (
            lambda found: {"scores": found["scores"][:, :2]},
            r"of shape \(4, 2\) where float32 of shape \(4, 3\) is right",
        ),
        (lambda found: {"scores": found["scores"] * np.nan}, "is NaN or infinite in other places"),
        (lambda found: {"scores": np.round(found["scores"]).astype(int)}, "is int64 of shape"),
    ],
)
def test_other_ways_to_differ(here, model, tmp_path, change, told):
    def predict(self, directory, inputs):
        return change(SavedModelExporter.predict(self, directory, inputs))

    with exporter_that(predict), pytest.raises(tfkit.VerificationError, match=told):
        export(model, tmp_path, format="toy")
    assert contents(tmp_path) == []


def test_small_outputs_are_compared_by_their_own_size(here, model, tmp_path):
    model.layers[0].kernel.assign(model.layers[0].kernel * 1e-4)

    def predict(self, directory, inputs):
        return {"scores": SavedModelExporter.predict(self, directory, inputs)["scores"] * 1.05}

    with exporter_that(predict), pytest.raises(tfkit.VerificationError, match="differs by"):
        export(model, tmp_path, format="toy")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_nothing_is_left_when_writing_breaks_off(model, tmp_path, raised):
    def write(self, model, directory, sample):
        SavedModelExporter.write(self, model, directory, sample)
        raise raised

    directory = tmp_path / "digits"
    directory.mkdir()
    (directory / "README").write_text("mine")
    wanted = KeyboardInterrupt if raised is KeyboardInterrupt else tfkit.ConversionError
    with exporter_that(write), pytest.raises(wanted):
        export(model, directory, format="toy")
    assert contents(directory) == ["README"]


def test_a_model_with_randomness_is_refused_before_anything_runs_elsewhere(tmp_path):
    noise = layers.Lambda(lambda x: x + keras.random.normal((4, 3)), output_shape=(3,))
    with pytest.raises(tfkit.VerificationError, match=r"other outputs at each call.*'outputs' differs by"):
        export(keras.Sequential([keras.Input((3,)), noise]), tmp_path)
    assert contents(tmp_path) == []


def test_a_model_that_is_bound_to_one_batch_is_refused(tmp_path):
    model = keras.Sequential([keras.Input(batch_shape=(2, 3, 4)), layers.LSTM(4, stateful=True)])
    with pytest.raises(tfkit.ModelError, match=r"called with an open batch: it was built for batches of 2"):
        export(model, tmp_path)
    assert contents(tmp_path) == []


def test_outputs_of_every_dtype_are_compared(here, tmp_path):
    x = keras.Input((2,), name="x")
    cast = {name: layers.Lambda(lambda x, to=name: keras.ops.cast(x * 8, to)) for name in ("bfloat16", "int8", "bool")}
    words = layers.StringLookup(vocabulary=["zero", "one"], invert=True, num_oov_indices=0)(cast["int8"](x) * 0 + 1)
    outputs = {**{name: layer(x) for name, layer in cast.items()}, "words": words, "inf": x / 0.0}
    with pytest.warns(UserWarning, match="the output 'bfloat16' is bfloat16, which REST cannot carry"):
        made = export(keras.Model(x, outputs), tmp_path, sample=np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))
    sidecar = json.loads((made.path / "tfkit.json").read_text())
    found = {each["name"]: each["dtype"] for each in sidecar["signature"]["outputs"]}
    assert found == {"bfloat16": "bfloat16", "int8": "int8", "bool": "bool", "words": "string", "inf": "float32"}


@pytest.mark.parametrize(
    ("make", "options", "error", "told"),
    [
        (lambda: keras.Sequential([layers.Dense(1)]), {}, tfkit.ModelError, "is not built"),
        (lambda: "nowhere.keras", {}, tfkit.ModelError, "no file or folder 'nowhere.keras'"),
        (lambda: 3, {}, tfkit.ModelError, "expected a Keras 3 model; got builtins.int"),
        (None, {"format": "savedmodel"}, tfkit.PluginNotFound, "did you mean 'saved-model'"),
        (None, {"inputs": ["a", "b"]}, tfkit.ParameterError, "must name 1"),
        (None, {"sample": np.ones((2, 3))}, tfkit.DataError, "must have the shape"),
        (None, {"metadata": {"data": object()}}, tfkit.ParameterError, "metadata= must be what JSON holds"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_nothing(model, tmp_path, make, options, error, told):
    with pytest.raises(error, match=told):
        export(make() if make else model, tmp_path / "models", **options)
    assert contents(tmp_path) == []


def test_strings_need_a_sample(tmp_path):
    lookup = layers.StringLookup(vocabulary=["a"])
    with pytest.raises(tfkit.DataError, match="'text' takes strings, which cannot be made up: pass sample="):
        export(keras.Sequential([keras.Input((1,), dtype="string", name="text"), lookup]), tmp_path)


def test_a_directory_that_cannot_hold_versions(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(tfkit.ParameterError, match=r"'.*file' is a file"):
        export(model, tmp_path / "file")
    with pytest.raises(tfkit.ParameterError, match="cannot be written to: Not a directory"):
        export(model, tmp_path / "file" / "below")
    (tmp_path / "saved_model.pb").write_text("")
    with pytest.raises(tfkit.ParameterError, match="is a model itself: pass the folder that holds versions"):
        export(model, tmp_path)
    with pytest.raises(tfkit.ParameterError, match="cannot be written to"):
        export(model, "/proc/models")


def test_verify_finds_damage(here, model, tmp_path):
    path = export(model, tmp_path).path
    (path / "notes.txt").write_text("mine")
    assert verify(path).unlisted == ("notes.txt",)
    with pytest.raises(tfkit.VerificationError, match=r"no tfkit.json: it is no version folder"):
        verify(tmp_path)
    weights = path / "variables" / "variables.data-00000-of-00001"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(tfkit.VerificationError, match=r"variables.data-00000-of-00001' has changed"):
        verify(path)
    weights.unlink()
    with pytest.raises(tfkit.VerificationError, match=r"variables.data-00000-of-00001' is missing"):
        verify(path)
    for text in (
        "{",
        "{}",
        "[]",
        '{"files": {}, "format": "saved-model", "signature": {"inputs": [{}], "outputs": []}}',
    ):
        (path / "tfkit.json").write_text(text)
        with pytest.raises(tfkit.VerificationError, match=r"tfkit.json' is damaged"):
            verify(path)


@pytest.mark.slow
def test_verify_says_that_a_fresh_process_cannot_run_it(here, model, tmp_path, monkeypatch):
    path = export(model, tmp_path).path
    monkeypatch.undo()
    sidecar = json.loads((path / "tfkit.json").read_text())
    (path / "saved_model.pb").write_bytes(b"no model")
    sidecar["files"].pop("saved_model.pb")
    (path / "tfkit.json").write_text(json.dumps(sidecar))
    with pytest.raises(tfkit.VerificationError, match=r"does not run in a fresh process: .*cannot be loaded"):
        verify(path)


def test_a_model_that_gives_nan_is_not_exported(tmp_path):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, kernel_initializer=keras.initializers.Constant(np.nan))]
    )
    with pytest.raises(tfkit.VerificationError, match="gives NaN in output"):
        export(model, tmp_path)
    assert contents(tmp_path) == []


@pytest.mark.nightly
def test_without_a_sample_one_random_row_warms_up(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="point"), layers.Dense(1)])
    made = export(model, tmp_path)
    records = list(tf.data.TFRecordDataset(str(made.path / "assets.extra" / "tf_serving_warmup_requests")))
    assert len(records) == 1


def test_rows_that_are_made_up_have_the_inputs_dtype(tmp_path):
    x = keras.Input((3,), dtype="float16", name="x")
    model = keras.Model(x, layers.Dense(2, dtype="float16", name="y")(x))
    with pytest.warns(UserWarning, match="is float16, which REST cannot carry"):
        assert export(model, tmp_path).verified
