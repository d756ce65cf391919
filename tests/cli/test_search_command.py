"""tfkit search show|best|export, and tfkit report of a search."""

import json
import subprocess
import sys

import keras
import pytest
from filled_search import fill

import tfkit
from tfkit import cli
from tfkit.pipeline.script import load_recipe
from tfkit.pipeline.search_folder import open_search, write_search_facts

RECIPE = """
import keras, numpy as np, tfkit

def data():
    x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")
    return tfkit.Data((x[:32], y[:32]), (x[32:], y[32:]), batch_size=16)

def model(hp):
    layers = [keras.layers.Dense(hp.Int("units", 1, 8)), keras.layers.Dense(1, activation="sigmoid")]
    network = keras.Sequential(layers)
    network.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1.0, sampling="log")), "mse", run_eagerly=True)
    return network

recipe = tfkit.Recipe("toy", data, model)
"""


def run(*arguments):
    return cli._run(cli.tfkit, [str(each) for each in arguments], False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "one"
    fill(folder).close()
    write_search_facts(folder, searcher=("random", {"max_retries_per_trial": 2}), trials=40, epochs=3)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A search of a recipe's model, and the recipe."""
    folder = tmp_path_factory.mktemp("trained")
    script = folder / "toy.py"
    script.write_text(RECIPE)
    recipe = load_recipe(script)
    options = {"searcher": "random", "objective": "val_loss", "trials": 3, "directory": folder / "search"}
    return tfkit.search(recipe.model, recipe.data(), **options), script


def test_show_prints_the_trials_best_first(folder, capsys):
    assert run("search", "show", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    found = open_search(folder)
    assert lines[0].split()[:3] == ["trial", "val_loss", "status"]
    assert set(lines[0].split()[3:]) == {"kind", "layers", "rate", "bias"}
    assert [line.split()[0] for line in lines[1:-1]] == [trial.id for trial in found.ranked]
    assert sum("failed" in line and line.endswith("ValueError: bad <luck>") for line in lines) == 3
    best = f"best val_loss {found.best.score:.4g}, trial {found.best.id}"
    assert lines[-1] == f"24 of 40 trials (20 completed, 3 failed, 1 running): {best}"


def test_show_as_json(folder, capsys):
    assert run("search", "show", folder, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    found = open_search(folder)
    assert shown["best"] == shown["rows"][0]["trial"] == found.best.id
    assert shown["counts"] == {"completed": 20, "failed": 3, "running": 1}
    assert (shown["searcher"], shown["parameters"]) == ("random", {"max_retries_per_trial": 2})
    assert (shown["trials"], shown["epochs"], shown["objective"]) == (40, 3, "val_loss")
    assert shown["rows"][0]["metrics"]["val_loss"] == shown["rows"][0]["score"] == found.best.score


def test_best_and_its_values_as_json(folder, tmp_path, capsys):
    best = open_search(folder).best
    assert run("search", "best", folder) == 0
    assert f"trial {best.id}, whose weights were not kept" in capsys.readouterr().out
    assert run("search", "best", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["values"] == best.values
    assert run("search", "export", folder, "--output", tmp_path / "values.json") == 0
    assert json.loads((tmp_path / "values.json").read_text()) == best.values


def test_export_builds_the_best_model(trained, tmp_path, capsys):
    result, script = trained
    assert run("search", "export", result.directory, "--build", script, "--output", tmp_path / "m.keras") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    weights = (model.get_weights(), result.best_model.get_weights())
    assert all((one == other).all() for one, other in zip(*weights, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def test_export_tells_of_weights_that_are_gone_or_do_not_fit(trained, folder, tmp_path, capsys):
    result, script = trained
    assert run("search", "export", folder, "--build", script) == 2
    assert "the weights of the best trial, " in capsys.readouterr().err
    other = tmp_path / "other.py"
    other.write_text(RECIPE.replace('hp.Int("units", 1, 8)', "9"))
    assert run("search", "export", result.directory, "--build", other) == 2
    assert "do not fit what build(hp) returns now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nowhere"], "there is no folder nowhere"),
        (["best", "."], "there is no search in .: it holds no search.db"),
        (["export", "{folder}", "--build", "none.py"], "there is no recipe script 'none.py'"),
        (["export", "{folder}", "--build", "x.py", "--output", "x.h5"], "--output of a model ends in .keras"),
        (["export", "{folder}", "--hparams", "logs", "--output", "x"], "--hparams writes all trials"),
    ],
)
def test_mistakes_are_one_line_and_status_2(folder, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert run("search", *(each.format(folder=folder) for each in arguments)) == 2
    assert words in capsys.readouterr().err


def test_report_of_a_search_is_written_into_its_folder(folder, capsys):
    assert run("report", folder) == 0
    assert capsys.readouterr().out.strip() == f"report: {folder / 'report.html'}"
    assert "<svg" in (folder / "report.html").read_text()


def test_show_imports_no_framework(folder):
    code = (
        "import sys\nfrom tfkit import cli\n"
        f"assert cli._run(cli.tfkit, ['search', 'show', {str(folder)!r}], False) == 0\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'keras_tuner') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
