"""models.config and batching_parameters.txt for what was exported."""

from pathlib import PurePosixPath

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

import tfkit
from tfkit.cli import execute
from tfkit.cli import tfkit as command
from tfkit.pipeline.batching_parameters import chosen_batches
from tfkit.pipeline.model_config import model_config


@pytest.fixture
def models(tmp_path):
    for path in ("digits/1", "digits/2", "digits/10", "text/00000123", "empty", ".hidden/x"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "models.config").write_text("")
    return tmp_path


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        execute(command, [str(each) for each in arguments])
    return ended.value.code


def parsed(text):
    from tensorflow_serving.config import model_server_config_pb2

    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {each.name: each for each in config.model_config_list.config}


def test_every_model_and_version(models, capsys):
    assert run("export", "config", models) == 0
    found = parsed(capsys.readouterr().out)
    assert {name: each.base_path for name, each in found.items()} == {
        "digits": str(models / "digits"),
        "text": str(models / "text"),
    }
    assert all(each.model_version_policy.WhichOneof("policy_choice") == "all" for each in found.values())
    assert all(each.model_platform == "tensorflow" for each in found.values())


def test_labels_and_the_versions_that_they_take(models, capsys):
    labels = ["--label", "digits:stable=1", "--label", "digits:canary=2", "--base-path", "/models"]
    assert run("export", "config", models, *labels) == 0
    printed = capsys.readouterr()
    found = parsed(printed.out)
    assert found["digits"].base_path == "/models/digits"
    assert list(found["digits"].model_version_policy.specific.versions) == [1, 2, 10]
    assert dict(found["digits"].version_labels) == {"stable": 1, "canary": 2}
    assert not found["text"].version_labels
    assert "--allow_version_labels_for_unavailable_models=true" in printed.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--label", "stable=1"], "which model is 'stable' for? write MODEL:stable, with MODEL of digits, text"),
        (["--label", "digits:stable=3"], "'digits' has no version 3 for the label 'stable'; it has [1, 2, 10]"),
        (["--label", "digit:stable=1"], "there is no model 'digit' to label; did you mean 'digits'?"),
        (["--label", 'digits:a"b=1'], "the label 'a\"b' must be letters and digits"),
        (["--label", "stable"], "--label takes LABEL=VERSION, such as stable=1; got 'stable'"),
    ],
)
def test_mistakes_exit_2(models, capsys, arguments, told):
    assert run("export", "config", models, *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_no_url_takes_is_to_be_renamed(models, capsys):
    (models / "my model" / "1").mkdir(parents=True)
    assert run("export", "config", models) == 2
    assert "the model's folder 'my model' must be letters and digits" in capsys.readouterr().err


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_every_path_reads_back_as_it_is(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("models")
    (folder / "digits-2.b_" / "1").mkdir(parents=True)
    text = model_config(folder, labels={"digits-2.b_": {"stable-1": 1}}, base_path=f"/{name}")
    found = parsed(text)["digits-2.b_"]
    assert found.base_path == str(PurePosixPath(f"/{name}", "digits-2.b_"))
    assert dict(found.version_labels) == {"stable-1": 1}


def test_a_path_that_is_no_utf_8(models):
    with pytest.raises(tfkit.ParameterError, match="is no UTF-8"):
        model_config(models, base_path="/models\udcff")


def test_a_folder_without_models(tmp_path, capsys):
    assert run("export", "config", tmp_path) == 2
    assert "pass the folder that holds the models" in capsys.readouterr().err


def test_batches_grow_while_they_bring_something():
    milliseconds = {1: 1.0, 2: 1.1, 4: 1.3, 8: 2.0, 16: 3.9, 32: 7.9}
    assert chosen_batches(milliseconds, 10).sizes == (1, 2, 4, 8)  # 16 rows take as long as twice 8
    assert chosen_batches(milliseconds, 1.5).sizes == (1, 2, 4)
    assert chosen_batches({1: 50.0}, 10).sizes == (1,)


def test_the_text_is_tensorflow_servings_own():
    from tfkit_serving.protocol import messages  # their descriptors are compared with the server's elsewhere

    found = chosen_batches({1: 0.25, 2: 0.3, 4: 0.4}, 10)
    message = text_format.Parse(found.as_text(), messages.BatchingParameters())
    assert message.max_batch_size.value == 4
    assert message.batch_timeout_micros.value == 250
    assert list(message.allowed_batch_sizes) == [1, 2, 4]


def test_batching_is_for_a_savedmodel(tmp_path):
    from tfkit.pipeline.batching_parameters import measure_batches

    with pytest.raises(tfkit.VerificationError, match=r"has no tfkit.json"):
        measure_batches(tmp_path)
