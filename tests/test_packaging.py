"""The wheel: what is in it, and that it works where TensorFlow is not."""

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tfkit.testing.common import FRAMEWORKS

ROOT = Path(__file__).parent.parent
# What the core depends on, with what these depend on: they go beside the wheel.
CORE = ("pluggy", "annotated-types", "click", "rich", "markdown-it-py", "mdurl", "pygments")

WITHOUT_FRAMEWORKS = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FRAMEWORKS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
sys.path[:] = [each for each in sys.path if "site-packages" not in each]
import tfkit

assert tfkit.__file__.startswith(sys.argv[1]), tfkit.__file__
rows = [row.as_dict() for row in tfkit.plugins()]
texts = {}
for kind, name, params in [
    ("schedule", "constant", {"value": 1}), ("compressor", "prune", {"sparsity": 0.5}),
    ("searcher", "random", {"objective": "loss"}),
]:
    try:
        tfkit.create(kind, name, **params)
    except tfkit.PluginNotFound as error:
        texts[name] = str(error)
print(json.dumps({"rows": rows, "texts": texts}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def project():
    text = (ROOT / "pyproject.toml").read_text()
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    return pytest.importorskip("tomli").loads(text)


def tables():
    """The plugin packages, by their folders."""
    return {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}


def test_the_wheels_names_are_tfkits_alone(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = {name for name in tops if not name.endswith(".dist-info")}
    assert packages == {"tfkit", "tfkit_serving", *tables()}
    assert all(name == "tfkit" or name.startswith("tfkit_") for name in packages)
    assert len(tops - packages) == 1


def test_the_wheel_holds_what_is_not_python(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for package in ("tfkit", "tfkit_serving", *tables()):
        assert f"{package}/py.typed" in names
    data = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tfkit").rglob("*.j2")]
    assert data
    assert set(data) <= set(names)
    assert not [name for name in names if "test_" in name or "__pycache__" in name]


def test_folders_entry_points_and_packages_are_the_same(project):
    entry_points = project["project"]["entry-points"]["tfkit.plugins"]
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    folders = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    assert tables() == folders == set(entry_points) == set(entry_points.values())
    assert {Path(path).name for path in packages if path.startswith("plugins/")} == folders
    assert folders <= set(project["tool"]["importlinter"]["root_packages"])
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            assert set(contract["layers"][0].split(" | ")) == folders


def test_all_is_every_other_extra_but_what_few_need_and_the_other_builds_of_tensorflow(project):
    extras = project["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(everything.removeprefix("tfkit-keras[").removesuffix("]").split(","))
    assert "tfkit-keras[client]" in extras["serving"]
    assert named == set(extras) - {"all", "client", "tensorflow-cpu", "cuda", "ray", "wandb", "onnx", "openvino"}


@pytest.fixture(scope="module")
def without_frameworks(wheel, tmp_path_factory):
    """What a process says in which the wheel and the core's dependencies are all there is."""
    target = tmp_path_factory.mktemp("target")
    zipfile.ZipFile(wheel).extractall(target)
    for name in CORE:
        for file in importlib.metadata.distribution(name).files or ():
            if file.suffix in (".py", ".json") or ".dist-info" in str(file):
                copy = target / file
                if target.resolve() in copy.resolve().parents:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(file.locate().read_bytes())
    code = f"FRAMEWORKS = {sorted(FRAMEWORKS)}\n{WITHOUT_FRAMEWORKS}"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{code}", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_without_tensorflow_every_plugin_is_listed(without_frameworks):
    import tfkit

    here = [row.as_dict() for row in tfkit.plugins() if row.distribution == "tfkit-keras"]
    assert without_frameworks["rows"] == json.loads(json.dumps(here))
    assert len(here) > 20


def test_without_tensorflow_creating_says_what_to_install(without_frameworks):
    texts = without_frameworks["texts"]
    assert texts["constant"] == "schedule 'constant' needs keras: pip install 'tfkit-keras[tensorflow]'"
    assert texts["random"] == "searcher 'random' needs keras-tuner: pip install 'tfkit-keras[search]'"
    assert "'tfkit-keras[" in texts["prune"]
