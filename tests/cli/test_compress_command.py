"""`tfkit compress` on a model file and a recipe's data."""

import json

import keras
import numpy as np
import pytest

from tfkit import cli

RECIPE = """
import numpy as np, tfkit
def data():
    x = np.random.default_rng(0).normal(size=(120, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    return tfkit.Data((x[:80], y[:80]), (x[80:100], y[80:100]), (x[100:], y[100:]))
recipe = tfkit.Recipe("toy", data, lambda hp: None)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "toy.py").write_text(RECIPE)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model.save(folder / "model.keras")
    return folder


def run(files, *more):
    command = ["compress", str(files / "model.keras"), "--data", str(files / "toy.py"), *more]
    return cli._run(cli.tfkit, [*command, "--output", str(files / "out")], False)


def test_steps_give_a_table(files, capsys):
    assert run(files, "--steps", "prune(sparsity=0.5)", "--epochs", "0", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in rows] == ["source", "prune"]
    assert (files / "out" / "1-prune" / "model.keras").is_file()


def test_auto_gives_a_front_too(files, capsys):
    assert run(files, "--auto", "--max-drop", "0.5", "--target", "size", "--time-budget", "4", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.keys() == {"table", "front", "artifacts"}
    assert shown["table"][0]["step"] == "source"
    assert shown["front"]
    assert (files / "out" / "candidates.jsonl").is_file()


def test_auto_prints_the_front(files, capsys):
    assert run(files, "--auto", "--time-budget", "0.5") == 0
    out = capsys.readouterr().out
    assert out.startswith("source")
    assert "front:" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--auto", "--steps", "quantize"], "--auto searches the steps"),
        (["--target", "speed"], "'speed' is not one of 'size', 'latency'"),
        (["--max-drop", "much"], "'much' is not a valid float"),
        (["--steps", "shrinkle"], "there is no compressor 'shrinkle'"),
        (["--steps", "prune(sparsity=1.5)"], "'sparsity'"),
        (["--max-drop", "-1"], "'max_drop'"),
    ],
)
def test_a_mistake_is_one_line(files, capsys, more, words):
    assert run(files, *more) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_missing_files_are_one_line(files, capsys):
    assert cli._run(cli.tfkit, ["compress", "nowhere.keras", "--data", str(files / "toy.py")], False) == 2
    assert cli._run(cli.tfkit, ["compress", str(files / "model.keras"), "--data", "nowhere.py"], False) == 2
    assert cli._run(cli.tfkit, ["compress", str(files / "model.keras")], False) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 3
    assert all(line.startswith("error: ") for line in err)
    assert np.all(["nowhere" in line for line in err[:2]])
