"""A canary from its label to everyone and back, on a server that runs: what clients of each label are answered."""

import json
import urllib.request

import pytest

from tfkit_serving.deployment.apply import apply
from tfkit_serving.deployment.models_file import ModelsFile
from tfkit_serving.deployment.moves import Disk, promote, roll_back, set_label
from tfkit_serving.deployment.overview import overview
from tfkit_serving.protocol.errors import ServingError

CONFIG = """\
model_config_list {
  config {
    name: "half"
    base_path: "BASE/half"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 } }
    version_labels { key: "stable" value: 1 }  # everyone
  }
}
"""


@pytest.mark.serving
@pytest.mark.slow
def test_a_canary_is_promoted_and_rolled_back_on_a_running_server(place, serve, tmp_path):
    place("hp2/00000123", "half", 1)  # x / 2 + 2
    place("hp3/00000123", "half", 2)  # x / 2 + 3
    path = tmp_path / "models.config"
    path.write_text(CONFIG.replace("BASE", str(place.base)))
    server = serve(f"--model_config_file={path}", "--allow_version_labels_for_unavailable_models")
    address = f"127.0.0.1:{server.grpc_port}"

    def answer(label):
        url = f"http://127.0.0.1:{server.rest_port}/v1/models/half/labels/{label}:predict"
        with urllib.request.urlopen(url, b'{"instances": [4.0]}', timeout=10) as reply:
            return json.load(reply)["predictions"]

    def step(make, *arguments):
        apply(make(ModelsFile.read(path), "half", *arguments, Disk(), lambda folder: None), address)

    assert answer("stable") == [4.0]
    step(set_label, 2)
    assert (answer("stable"), answer("canary")) == ([4.0], [5.0])
    step(promote)
    assert answer("stable") == [5.0]
    rows = overview(ModelsFile.read(path), Disk(), address)
    assert rows["findings"] == []
    assert [(row["version"], row["labels"], row["state"]) for row in rows["models"][0]["versions"]] == [
        (2, ["canary", "stable"], "AVAILABLE"),
        (1, [], "AVAILABLE"),
    ]
    assert rows["models"][0]["before"] == {"stable": 1}
    step(roll_back)
    assert (answer("stable"), answer("canary")) == ([4.0], [5.0])
    assert "# everyone" in path.read_text()

    # What a server refuses leaves the file, and what is served, as they were.
    before = path.read_text()
    move = promote(ModelsFile.read(path), "half", Disk(), lambda folder: None)
    broken = ModelsFile(path, move.file.text.replace(str(place.base), str(tmp_path / "nowhere")))
    with pytest.raises(ServingError, match="nowhere"):
        apply(type(move)(move.model, move.label, move.version, move.old, broken), address)
    assert path.read_text() == before
    assert answer("stable") == [4.0]
