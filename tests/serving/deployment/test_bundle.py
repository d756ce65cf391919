"""The bundle for a device: what it computes, against numpy, where neither TensorFlow nor Keras can be imported."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfkit_serving.deployment.bundle import write_bundle

pytest.importorskip("ai_edge_litert")
DEVICES = Path(__file__).parent / "devices"
# A stand-in for a device's Python: whatever else is installed here cannot be imported there.
BARE = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "keras", "tfkit", "tfkit_serving", "google", "grpc", "orjson"}:
            raise ModuleNotFoundError(f"there is no {name} on this device")
sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _weights():
    spec = importlib.util.spec_from_file_location("devices_make", DEVICES / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KERNEL, module.BIAS


def _expected(rows):
    kernel, bias = _weights()
    logits = np.asarray(rows, np.float64) @ kernel + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _run(folder, *arguments, stdin=None):
    command = [sys.executable, "-c", BARE, str(folder / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60)


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A version folder, as the litert exporter writes it."""
    folder = tmp_path_factory.mktemp("model") / "1"
    folder.mkdir()
    shutil.copyfile(DEVICES / "dense.tflite", folder / "model.tflite")
    sidecar = {"task": "classification", "scores": "probabilities", "labels": ["cat", "dog"]}
    (folder / "tfkit.json").write_text(json.dumps({**sidecar, "example": {"x": [0.5, -1.0, 0.25]}}))
    return folder


@pytest.fixture(scope="module")
def bundle(version, tmp_path_factory):
    return write_bundle(version, tmp_path_factory.mktemp("out") / "bundle")


ROWS = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-1.0, 0.5, -2.0]]


def test_what_a_bundle_holds(bundle):
    names = {"model.tflite", "bundle.json", "run.py", "requirements.txt", "labels.txt", "tfkit.json"}
    assert {each.name for each in bundle.iterdir()} == names
    assert [each.name for each in bundle.parent.iterdir()] == ["bundle"]
    assert (bundle / "labels.txt").read_text() == "cat\ndog\n"
    required = [line.partition("==")[0] for line in (bundle / "requirements.txt").read_text().splitlines()]
    assert required == ["ai-edge-litert", "numpy"]


def test_rows_of_json_on_a_device(bundle):
    done = _run(bundle, stdin=json.dumps(ROWS))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert np.allclose([row["scores"] for row in found], _expected(ROWS), atol=1e-6)
    assert [row["label"] for row in found] == [["cat", "dog"][index] for index in _expected(ROWS).argmax(axis=1)]
    assert np.allclose([row["score"] for row in found], _expected(ROWS).max(axis=1), atol=1e-6)


def test_rows_of_numpy_and_named_rows(bundle, tmp_path):
    np.save(tmp_path / "rows.npy", np.array(ROWS))
    by_array = json.loads(_run(bundle, tmp_path / "rows.npy").stdout)
    (tmp_path / "rows.json").write_text(json.dumps({"instances": [{"x": row} for row in ROWS]}))
    assert json.loads(_run(bundle, tmp_path / "rows.json").stdout) == by_array


def test_the_check_on_a_device(bundle):
    done = _run(bundle, "--check")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    about = json.loads((bundle / "bundle.json").read_text())
    assert np.allclose(about["expected"]["scores"], _expected([about["example"][0]["x"]]), atol=1e-6)


@pytest.mark.parametrize("damage", ["file", "outputs"])
def test_the_check_finds_damage(bundle, tmp_path, damage):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    if damage == "file":
        content = bytearray((folder / "model.tflite").read_bytes())
        content[-1] ^= 1
        (folder / "model.tflite").write_bytes(content)
    else:
        about = json.loads((folder / "bundle.json").read_text())
        about["expected"]["scores"][0][0] += 0.01
        (folder / "bundle.json").write_text(json.dumps(about))
    done = _run(folder, "--check")
    assert done.returncode == 1
    assert ("damaged" if damage == "file" else "differ by") in done.stderr


@pytest.mark.parametrize(
    ("rows", "words"),
    [("[]", "a list of rows"), ("[[1, 2]]", "takes shape"), ('[{"y": [1, 2, 3]}]', "no input 'x'"), ("{", "Expecting")],
)
def test_rows_that_the_model_does_not_take(bundle, rows, words):
    done = _run(bundle, stdin=rows)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


def test_an_int8_file_takes_and_gives_floats(tmp_path):
    bundle = write_bundle(DEVICES / "dense_int8.tflite", tmp_path / "bundle")
    assert not (bundle / "labels.txt").exists()
    rows = [[0.5, -0.5, 0.25], [1.0, 1.0, -1.0]]
    [first, second] = json.loads(_run(bundle, stdin=json.dumps(rows)).stdout)
    [scores] = first.values()
    [others] = second.values()
    assert np.allclose([scores, others], _expected(rows), atol=0.02)
    assert _run(bundle, "--check").returncode == 0


def test_what_cannot_be_bundled(tmp_path, version):
    (tmp_path / "broken.tflite").write_bytes(b"\0\0\0\0TFL3" + bytes(50))
    with pytest.raises(ValueError, match="no LiteRT model that runs"):
        write_bundle(tmp_path / "broken.tflite", tmp_path / "a")
    with pytest.raises(ValueError, match=r"holds no model\.tflite"):
        write_bundle(tmp_path, tmp_path / "b")
    with pytest.raises(ValueError, match="exists"):
        write_bundle(version, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["broken.tflite"]
