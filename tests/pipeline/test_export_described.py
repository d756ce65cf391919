"""What tfkit.json says of a model besides its files: purpose, labels, preprocessing, an example, the profile."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.children import verify as verify_child
from tfkit.pipeline.export import export
from tfkit.pipeline.provenance import described_data, export_rows
from tfkit.pipeline.recipe_parts import used_plugins

TEXTS = np.array([["good film"], ["bad film"], ["très bon"], ["good good bad"]], object)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    def call(target, *, timeout, what, directory, **kwargs):
        module, _, function = target.partition(":")
        assert module == verify_child.__name__
        paths = {name: str(value) if name in ("inputs", "outputs") else value for name, value in kwargs.items()}
        return getattr(verify_child, function)(directory=str(directory), **paths)

    monkeypatch.setattr("tfkit.child.call", call)


def sidecar(made):
    return json.loads((made.path / "tfkit.json").read_text())


def vectorizer():
    layer = layers.TextVectorization(output_mode="multi_hot")
    layer.adapt(TEXTS)
    return layer


def network(width):
    return keras.Sequential([keras.Input((width,)), layers.Dense(2, "softmax", name="sentiment")], name="net")


def test_preprocessing_goes_inside_and_raw_rows_are_served(tmp_path):
    words = vectorizer()
    model = network(len(words.get_vocabulary()))
    made = export(model, tmp_path, sample=TEXTS, preprocess=words, inputs="text", labels=["bad", "good"])
    read = sidecar(made)
    assert [each["name"] for each in read["signature"]["inputs"] + read["signature"]["outputs"]] == [
        "text",
        "sentiment",
    ]
    assert read["preprocessing"] == ["TextVectorization"]
    assert (read["task"], read["scores"], read["labels"]) == ("classification", "probabilities", ["bad", "good"])
    assert read["example"] == {"text": ["good film"]}
    found = tfkit.create("exporter", "saved-model").predict(made.path, {"text": TEXTS})["sentiment"]
    np.testing.assert_allclose(found, model.predict(words(TEXTS), verbose=0), rtol=1e-5)


def test_preprocessing_of_a_model_with_inputs_of_its_own_needs_no_sample(tmp_path):
    scale = keras.Sequential([keras.Input((3,), name="raw"), layers.Rescaling(0.5)])
    made = export(network(3), tmp_path, preprocess=scale)
    assert [each["name"] for each in sidecar(made)["signature"]["inputs"]] == ["raw"]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"preprocess": vectorizer}, tfkit.DataError, "dtype and shape are not known: pass sample= real rows"),
        ({"preprocess": lambda: len}, tfkit.ModelError, "preprocess= must be a Keras layer or model"),
        ({"preprocess": vectorizer, "sample": TEXTS}, tfkit.ModelError, "cannot take what preprocess= gives"),
    ],
)
def test_preprocessing_that_does_not_fit(tmp_path, options, error, told):
    options = {**options, "preprocess": options["preprocess"]()}
    with pytest.raises(error, match=told):
        export(network(2), tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_the_profile_is_of_the_reference_rows_and_of_the_models_own_answers(tmp_path):
    model, rows = network(3), np.random.default_rng(0).normal(5, 1, (300, 3))
    read = sidecar(export(model, tmp_path, sample=rows[:4] * 0, reference=rows))
    features = {each["name"]: each for each in read["profile"]["features"]}
    assert read["profile"]["rows"] == 300
    assert features["inputs[2]"]["mean"] == pytest.approx(rows[:, 2].astype("float32").mean(), rel=1e-6)
    answers = model.predict(rows, verbose=0)
    shares = np.bincount(answers.argmax(axis=1), minlength=2) / 300
    assert features["sentiment.class"]["shares"][:-1] == pytest.approx([share for share in shares if share])
    assert features["sentiment.score"]["mean"] == pytest.approx(answers.max(axis=1).mean(), rel=1e-5)
    assert read["example"] == {"inputs": [0, 0, 0]}


def test_without_rows_there_is_no_profile(tmp_path):
    read = sidecar(export(network(3), tmp_path))
    assert read["profile"] is None
    assert len(read["example"]["inputs"]) == 3


def test_an_example_too_large_to_read_is_left_out(tmp_path):
    model = keras.Sequential([keras.Input((128, 128, 1)), layers.GlobalAveragePooling2D()])
    assert sidecar(export(model, tmp_path))["example"] is None


def test_the_exporters_parameters_are_kept_and_used_by_verify(tmp_path):
    made = export(network(3), tmp_path, format=("saved-model", {"warm_up": 0}))
    assert sidecar(made)["exporter"]["params"] == {"warm_up": 0}
    assert not (made.path / "assets.extra").exists()
    assert tfkit.pipeline.export.verify(made.path).advice == ()


@pytest.mark.parametrize("format", [("saved-model", {"warm_up": 1001}), ("saved-model", {"signature": ("classify",)})])
def test_a_wrong_parameter_of_the_exporter(tmp_path, format):
    with pytest.raises(tfkit.ParameterError, match="exporter 'saved-model'"):
        export(network(3), tmp_path, format=format)


def test_data_are_told_apart_by_their_hash():
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6)
    first = described_data(tfkit.Data((x, y), validation=(x[:2], y[:2])))
    assert {name: part["rows"] for name, part in first.items()} == {"train": 6, "validation": 2}
    assert described_data(tfkit.Data((x, y)))["train"] == first["train"]
    assert described_data(tfkit.Data((x + 1e-9, y)))["train"]["sha256"] != first["train"]["sha256"]
    texts = np.array([["a"], ["bc"]], object), np.array([0, 1])
    moved = np.array([["ab"], ["c"]], object), np.array([0, 1])
    assert described_data(tfkit.Data(texts)) != described_data(tfkit.Data(moved))


def test_rows_of_a_recipe_are_few_where_they_are_large(monkeypatch):
    x, y = np.zeros((3000, 10), "float32"), np.zeros(3000)
    data = tfkit.Data((x, y), validation=(x[:500], y[:500]))
    rows = export_rows(data)
    assert (len(rows["sample"]), len(rows["reference"])) == (256, 2048)
    monkeypatch.setattr("tfkit.pipeline.provenance._REFERENCE_BYTES", 400)
    assert len(export_rows(data)["reference"]) == 10


def test_every_plugin_of_a_recipe_is_listed_once():
    recipe = tfkit.Recipe(
        "toy",
        data=lambda: None,
        model=lambda hp: None,
        metrics=["accuracy", "accuracy"],
        train={"schedule": ("cosine", {"initial": 0.1, "steps": 10}), "callbacks": ["progress"]},
        compress={"steps": ["quantize"]},
        export={"format": ("litert", {"bits": 8})},
    )
    rows = used_plugins(recipe)
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("metric", "accuracy"),
        ("schedule", "cosine"),
        ("callback", "progress"),
        ("compressor", "quantize"),
        ("exporter", "litert"),
    ]
    assert {row["distribution"] for row in rows} == {"tfkit-keras"}
    assert all(row["version"] for row in rows)
