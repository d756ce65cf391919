"""Labels that are edited in a models.config, read back by protobuf's own parser; all else stays."""

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from tfkit_serving.deployment.models_file import DeploymentError, ModelsFile
from tfkit_serving.deployment.text_fields import read_fields
from tfkit_serving.protocol.messages import ModelServerConfig

TEXT = """\
# What we serve.
model_config_list {
  config {
    name: "digits"  # the first
    base_path: '/models/digits'
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 versions: 2 } }
    version_labels { key: "stable" value: 1 }  # everyone
    version_labels { key: "canary" value: 2 }
  }
  config: <
    name: "text" base_path: "/models/text" model_platform: "tensorflow"
  >
}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(TEXT, encoding="utf-8")
    return ModelsFile.read(path)


def _labels(text, model):
    message = text_format.Parse(text, ModelServerConfig())
    [config] = [each for each in message.model_config_list.config if each.name == model]
    return dict(config.version_labels)


def test_a_label_that_moves_changes_its_number_alone(file):
    moved = file.move("digits", "stable", 2)
    assert moved.text == TEXT.replace('key: "stable" value: 1', 'key: "stable" value: 2')


def test_the_version_before_is_remembered_and_forgotten(file):
    moved = file.move("digits", "stable", 2, before=1)
    assert "value: 2 }  # before: 1  # everyone\n" in moved.text
    assert moved.before("digits", "stable") == 1
    assert moved.before("digits", "canary") is None
    again = moved.move("digits", "stable", 3, before=2)
    assert again.before("digits", "stable") == 2
    assert again.text.count("before:") == 1
    assert again.move("digits", "stable", 1).text == TEXT


def test_a_new_label_is_added_where_the_others_are(file):
    added = file.move("digits", "old", 1)
    assert _labels(added.text, "digits") == {"stable": 1, "canary": 2, "old": 1}
    assert '    version_labels { key: "old" value: 1 }\n  }\n' in added.text


def test_a_label_is_added_to_a_message_with_other_brackets(file):
    added = file.move("text", "stable", 7, before=3)
    assert _labels(added.text, "text") == {"stable": 7}
    assert added.before("text", "stable") == 3
    assert _labels(added.text, "digits") == {"stable": 1, "canary": 2}


@pytest.mark.parametrize(
    "labels",
    [
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }',
        'version_labels: { value: 1, key: "stable" }; version_labels: { value: 2, key: "canary" }',
        "version_labels: [ { key: 'stable' value: 1 }, { key: 'canary' value: 2 } ]",
        'version_labels < key: "sta" "ble" value: 1 > version_labels < key: "canary" value: 2 >',
    ],
)
def test_labels_in_every_form_move_or_are_refused(tmp_path, labels):
    path = tmp_path / "models.config"
    config = f'config {{ name: "m" base_path: "/m" model_platform: "tensorflow" {labels} }}'
    path.write_text(f"model_config_list {{ {config} }}", encoding="utf-8")
    moved = ModelsFile.read(path).move("m", "canary", 9, before=2)
    assert _labels(moved.text, "m") == {"stable": 1, "canary": 9}
    assert moved.before("m", "canary") == 2


@pytest.mark.parametrize("label", ["", 'a"b', "a/b", "a:b", "a b", "a\\b", "a\n", "a,b", "..", "-a", "größer"])
def test_a_new_label_is_one_that_every_url_and_flag_takes(file, label):
    with pytest.raises(DeploymentError, match=r"^the label .* must be letters and digits"):
        file.move("digits", label, 1)


def test_a_label_of_another_programs_stays_movable(tmp_path):
    path = tmp_path / "models.config"
    config = 'name: "m" base_path: "/m" model_platform: "tensorflow" version_labels { key: "a\\"b" value: 1 }'
    path.write_text(f"model_config_list {{ config {{ {config} }} }}", encoding="utf-8")
    assert _labels(ModelsFile.read(path).move("m", 'a"b', 2).text, "m") == {'a"b': 2}


def test_a_version_joins_a_policy_that_lists_versions(file):
    assert file.serve("digits", 3).model("digits").specific == {1, 2, 3}
    assert file.serve("digits", 2) == file
    assert file.serve("text", 3) == file  # its policy is "latest": there is no list


def test_writing_is_by_rename_and_keeps_the_mode(file):
    file.path.chmod(0o640)
    before = file.path.stat().st_ino
    file.move("digits", "stable", 2).write()
    assert _labels(file.path.read_text(), "digits")["stable"] == 2
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert file.path.stat().st_ino != before
    assert [each.name for each in file.path.parent.iterdir()] == ["models.config"]


def test_a_link_is_followed_not_replaced(file, tmp_path):
    link = tmp_path / "link.config"
    link.symlink_to(file.path)
    ModelsFile.read(link).move("digits", "stable", 2).write()
    assert link.is_symlink()
    assert _labels(file.path.read_text(), "digits")["stable"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_config_list { config { name: 3 } }", "models.config"),
        ("model_config_list {", "models.config"),
        ('model_config_list { config { name: "a" base_path: "/a" } }', "model_platform"),
    ],
)
def test_what_is_no_models_config(tmp_path, text, words):
    path = tmp_path / "models.config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeploymentError, match=words):
        ModelsFile.read(path)


def test_models_are_asked_for_by_name(file):
    with pytest.raises(DeploymentError, match=r"name a model; .* has digits, text"):
        file.model(None)
    with pytest.raises(DeploymentError, match="there is no model 'x'"):
        file.model("x")


NAMES = st.text(st.sampled_from("abcXYZ-_ .#{}\"'\\é"), min_size=1, max_size=8)


@given(
    models=st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 2**40), max_size=3), min_size=1, max_size=3),
    version=st.integers(0, 2**40),
    data=st.data(),
)
def test_what_protobuf_writes_is_edited_as_protobuf_would(tmp_path_factory, models, version, data):
    message = ModelServerConfig()
    for name, labels in models.items():
        config = message.model_config_list.config.add(name=name, base_path="/m", model_platform="tensorflow")
        config.version_labels.update(labels)
    text = text_format.MessageToString(message, as_utf8=True)
    name = data.draw(st.sampled_from(sorted(models)))
    new = data.draw(st.from_regex("[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True))
    label = data.draw(st.sampled_from([*sorted(models[name]), new]))
    moved = ModelsFile(tmp_path_factory.getbasetemp() / "x", text).move(name, label, version, before=3)
    [config] = [each for each in message.model_config_list.config if each.name == name]
    config.version_labels[label] = version
    assert text_format.Parse(moved.text, ModelServerConfig()) == message
    assert moved.before(name, label) == 3


def test_text_that_cannot_be_read_names_its_line():
    with pytest.raises(ValueError, match="line 2"):
        read_fields('a: 1\nb: "unfinished\n')
    with pytest.raises(ValueError, match="it ends in line 3"):
        read_fields("a {\n b: 1\n")
