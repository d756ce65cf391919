from pathlib import Path

import pytest

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables import folders


def version(base, name, *files):
    for each in files:
        path = base / name / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return base / name


WHOLE = ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")


def test_versions_are_numbered_folders_that_are_whole(tmp_path):
    version(tmp_path, "00000123", *WHOLE)
    version(tmp_path, "7", "saved_model.pb")
    version(tmp_path, "8", "variables/variables.index")
    version(tmp_path, "9", "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00002")
    version(tmp_path, "10", "saved_model.pb", "variables/variables.data-00000-of-00001")
    version(tmp_path, "-1", *WHOLE)
    version(tmp_path, "1.5", *WHOLE)
    version(tmp_path, "٣", *WHOLE)
    version(tmp_path, str(2**63), *WHOLE)
    version(tmp_path, "9" * 200, *WHOLE)
    (tmp_path / "11").write_text("a file")
    assert folders.version_folders(tmp_path) == {123: tmp_path / "00000123", 7: tmp_path / "7"}


def test_a_litert_model_alone_is_a_whole_version(tmp_path):
    path = version(tmp_path, "3", "model.tflite")
    assert folders.version_folders(tmp_path) == {3: path}
    assert folders.has_lite_model(path, preferred=False)
    version(tmp_path, "3", "saved_model.pb")
    assert not folders.has_lite_model(path, preferred=False)
    assert folders.has_lite_model(path, preferred=True)


def test_a_missing_base_path_is_named(tmp_path):
    with pytest.raises(ServingError, match=r"Could not find base path .*nowhere") as caught:
        folders.version_folders(tmp_path / "nowhere")
    assert caught.value.code == "NOT_FOUND"


def test_a_stamp_changes_with_the_files(tmp_path):
    folder = version(tmp_path, "1", *WHOLE)
    before = folders.stamp(folder)
    assert before == folders.stamp(folder)
    (folder / "variables" / "variables.index").write_bytes(b"longer")
    assert folders.stamp(folder) != before


def test_models_are_folders_with_versions(tmp_path):
    version(tmp_path / "digits", "1", *WHOLE)
    version(tmp_path / "2048", "3", *WHOLE)
    (tmp_path / "empty").mkdir()
    version(tmp_path, "notes", "saved_model.pb")
    assert [each.name for each in folders.models_in(tmp_path)] == ["2048", "digits"]
    assert folders.models_in(tmp_path)[1].base_path == Path(tmp_path / "digits")
