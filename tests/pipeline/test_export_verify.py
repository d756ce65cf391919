"""tfkit export verify: damage exits 1, advice is told and exits 0."""

import json
import shutil

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.children import verify as verify_child
from tfkit.cli import execute
from tfkit.cli import tfkit as command
from tfkit.pipeline.export import export, verify


def call_here(target, *, timeout, what, directory, **kwargs):
    """Runs in this process what would run in a child's; test_export.py tests that with a child."""
    module, _, function = target.partition(":")
    assert module == verify_child.__name__
    paths = {name: str(value) if name in ("inputs", "outputs") else value for name, value in kwargs.items()}
    return getattr(verify_child, function)(directory=str(directory), **paths)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr("tfkit.child.call", call_here)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "digits"
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,), name="pixels"), layers.Dense(3, "softmax", name="scores")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfkit.child.call", call_here)
        return export(model, folder, sample=np.random.default_rng(0).random((9, 4)), labels=["a", "b", "c"]).path


@pytest.fixture
def version(exported, tmp_path):
    """A version folder of one's own, `models/digits/1`."""
    return shutil.copytree(exported, tmp_path / "models" / "digits" / "1")


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        execute(command, [str(each) for each in arguments])
    return ended.value.code


def test_a_good_version(version, capsys):
    assert run("export", "verify", version) == 0
    assert capsys.readouterr().out == f"{version} is complete, unchanged and runs\n"
    assert run("export", "verify", version, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == len(json.loads((version / "tfkit.json").read_text())["files"])
    assert (found["format"], found["advice"], found["unlisted"]) == ("saved-model", [], [])


def damage_index(version):
    (version / "variables" / "variables.index").unlink()


def cut_graph(version):
    path = version / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-100])


def flip_weights(version):
    path = version / "variables" / "variables.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)


def cut_warm_up(version):
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("has_sidecar", [True, False])
@pytest.mark.parametrize("harm", [damage_index, cut_graph, flip_weights, cut_warm_up])
def test_damage_exits_1_also_where_hashes_are_not_known(version, capsys, harm, has_sidecar):
    if not has_sidecar:
        (version / "tfkit.json").unlink()
    harm(version)
    assert run("export", "verify", version) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_savedmodel_of_another_program(version, capsys):
    (version / "tfkit.json").unlink()
    assert run("export", "verify", version) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{version} loads"
    assert told[1].startswith("warning: there is no tfkit.json, so whether its files are those that were exported")
    assert len(told) == 2


def test_a_name_that_is_no_number_and_a_file_that_was_not_exported(version):
    renamed = version.rename(version.parent / "v1")
    (renamed / "notes").write_text("mine")
    assert [each.split(":")[0] for each in verify(renamed).advice] == [
        "'notes' is no file that was exported",
        "the folder's name 'v1' is no whole number, so TensorFlow Serving passes it over",
    ]


CONFIG = """model_config_list { config { name: "%s" base_path: "/models/digits" model_platform: "tensorflow"
version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 } } }"""


@pytest.mark.parametrize("name", ["digits", "other-name"])
def test_labels_of_a_config_beside(version, name):
    (version.parent.parent / "models.config").write_text(CONFIG % name)
    told = verify(version).advice
    assert f"gives the label 'canary' to version 2 of '{name}', which is not there" in told[0]
    assert "needs --allow_version_labels_for_unavailable_models=true" in told[1]
    assert len(told) == 2


def test_a_config_that_cannot_be_read(version):
    (version.parent / "models.config").write_text("model_config_list {")
    with pytest.raises(
        tfkit.VerificationError,
        match=r"models.config: Error parsing text-format tensorflow.serving.ModelServerConfig: 1:19",
    ):
        verify(version)


def test_mistakes_exit_2(tmp_path, capsys):
    assert run("export", "verify", tmp_path / "nowhere") == 2
    assert run("export", "nowhere.keras", tmp_path / "out") == 2
    assert run("export", tmp_path, tmp_path, "--format", "litert,onnx") == 2
    assert "--format takes one exporter" in capsys.readouterr().err
