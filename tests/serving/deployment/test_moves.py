"""Promote, roll back and canary: what moves, and what is refused because a server could not follow."""

from pathlib import Path

import pytest

from tfkit_serving.deployment.models_file import DeploymentError, ModelsFile
from tfkit_serving.deployment.moves import Disk, findings, promote, roll_back, set_label


@pytest.fixture
def models(tmp_path):
    """Folders of a model m with versions 1, 2 and 3, the last half copied."""
    for version in ("1", "2"):
        folder = tmp_path / "models" / "m" / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"x")
    (tmp_path / "models" / "m" / "3").mkdir()
    return tmp_path / "models"


def _file(tmp_path, labels="", policy="specific { versions: 1 versions: 2 }", base="/models/m"):
    path = tmp_path / "models.config"
    path.write_text(
        f'model_config_list {{\n  config {{\n    name: "m"\n    base_path: "{base}"\n    model_platform: "tensorflow"\n'
        f"    model_version_policy {{ {policy} }}\n    {labels}\n  }}\n}}\n"
    )
    return ModelsFile.read(path)


STABLE_1 = 'version_labels { key: "stable" value: 1 }'
CANARY_2 = 'version_labels { key: "canary" value: 2 }'


def test_promoted_and_rolled_back(tmp_path, models):
    disk, seen = Disk({"/models": models}), []
    file = _file(tmp_path, f"{STABLE_1}\n    {CANARY_2}")
    up = promote(file, None, disk, seen.append)
    assert (up.model, up.label, up.old, up.version) == ("m", "stable", 1, 2)
    assert up.file.model("m").labels == {"stable": 2, "canary": 2}
    down = roll_back(up.file, "m", disk, seen.append)
    assert (down.old, down.version) == (2, 1)
    assert down.file.text == file.text
    assert seen == [models / "m" / "2", models / "m" / "1"]
    with pytest.raises(DeploymentError, match="no earlier version of 'stable'"):
        roll_back(down.file, "m", disk, seen.append)


def test_nothing_to_promote(tmp_path, models):
    disk = Disk({"/models": models})
    with pytest.raises(DeploymentError, match=r"no label 'canary'.*tfkit deploy canary"):
        promote(_file(tmp_path, STABLE_1), None, disk, print)
    same = f"{STABLE_1} {CANARY_2.replace('2', '1')}"
    with pytest.raises(DeploymentError, match="at version 1 already"):
        promote(_file(tmp_path, same), None, disk, print)


def test_a_base_path_that_is_not_there_is_refused(tmp_path):
    file = _file(tmp_path, f"{STABLE_1} {CANARY_2}", base="/nowhere/m")
    with pytest.raises(DeploymentError, match=r"/nowhere/m of 'm' is not there.*hang.*--path"):
        promote(file, None, Disk(), print)
    assert "/nowhere/m" in findings(file, Disk())[0]


def test_a_damaged_version_is_refused(tmp_path, models):
    def verify(folder):
        raise ValueError(f"{folder.name} is damaged")

    with pytest.raises(ValueError, match="2 is damaged"):
        promote(_file(tmp_path, f"{STABLE_1} {CANARY_2}"), None, Disk({"/models": models}), verify)


@pytest.mark.parametrize(
    ("policy", "version", "words"),
    [
        ("latest { num_versions: 1 }", 1, r"loads 2: write .*specific \{ versions: 1 versions: 2 \}"),
        ("all {}", 3, "not below /models/m as a whole; there are 1, 2"),
        ("all {}", 9, "not below /models/m as a whole"),
    ],
)
def test_a_version_that_is_not_loaded_is_refused(tmp_path, models, policy, version, words):
    with pytest.raises(DeploymentError, match=words):
        set_label(_file(tmp_path, policy=policy), "m", version, Disk({"/models": models}), print)


def test_a_canary_joins_the_versions_that_are_listed(tmp_path, models):
    file = _file(tmp_path, STABLE_1, policy="specific { versions: 1 }")
    move = set_label(file, "m", 2, Disk({"/models": models}), lambda folder: None)
    assert move.old is None
    assert move.file.model("m").specific == {1, 2}
    assert move.file.model("m").labels == {"stable": 1, "canary": 2}


def test_findings_name_each_label_without_its_version(tmp_path, models):
    labels = 'version_labels { key: "a" value: 1 } version_labels { key: "b" value: 5 }'
    file = _file(tmp_path, labels, policy="latest { num_versions: 1 }")
    told = findings(file, Disk({"/models": models}))
    assert len(told) == 2
    assert "the label 'a' of 'm' names version 1, which is on disk, but model_version_policy loads 2" in told[0]
    assert "the label 'b' of 'm' names version 5, which is not below" in told[1]
    assert findings(_file(tmp_path, STABLE_1), Disk({"/models": models})) == []


def test_paths_are_translated_at_folder_borders():
    disk = Disk({"/models": Path("/here")})
    assert disk.folder(Path("/models/m")) == Path("/here/m")
    assert disk.folder(Path("/models2/m")) == Path("/models2/m")
