"""write_bundle: what a device takes to run a LiteRT model: the file, its runner, a check that it computes the same."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tfkit_serving.deployment import edge_runner
from tfkit_serving.deployment.edge_runner import ABOUT, MODEL, Model, to_arrays

_SIDECAR = "tfkit.json"
_RUNNER, _REQUIREMENTS, _LABELS = "run.py", "requirements.txt", "labels.txt"
_OPEN_LENGTH = 4


def write_bundle(source: Path, directory: Path) -> Path:
    """Writes a bundle: model.tflite, bundle.json, run.py, requirements.txt and, where there are, labels and tfkit.json.

    The outputs of an example row are recorded, so that `run.py --check` on the device tells whether the model computes
    there what it computes here.

    Args:
        source: A .tflite, or a version folder that holds model.tflite.
        directory: The bundle's folder, which appears whole or not at all; it must not exist yet.

    Returns:
        The bundle's folder.

    Raises:
        ValueError: There is no LiteRT model, or the folder exists.
        ModuleNotFoundError: ai-edge-litert is not installed.
    """
    file = source / MODEL if source.is_dir() else source
    if not file.is_file() or file.suffix != ".tflite":
        raise ValueError(f"{source} holds no {MODEL}: give a .tflite, or a version of `tfkit export --format litert`")
    if directory.exists():
        raise ValueError(f"{directory} exists: give a folder that does not")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tfkit-bundle-", dir=directory.parent) as aside:
        folder = Path(aside) / "bundle"
        folder.mkdir()
        _write(folder, file)
        edge_runner.check(folder)
        folder.rename(directory)
    return directory


def _write(folder: Path, file: Path) -> None:
    shutil.copyfile(file, folder / MODEL)
    sidecar = _sidecar(file)
    if sidecar:
        shutil.copyfile(file.parent / _SIDECAR, folder / _SIDECAR)
    about = _about(folder / MODEL, sidecar)
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    if about["labels"]:
        (folder / _LABELS).write_text("".join(f"{label}\n" for label in about["labels"]), encoding="utf-8")
    shutil.copyfile(edge_runner.__file__, folder / _RUNNER)
    pins = [f"{name}=={version(name)}\n" for name in ("ai-edge-litert", "numpy")]
    (folder / _REQUIREMENTS).write_text("".join(pins), encoding="utf-8")


def _sidecar(file: Path) -> dict[str, Any]:
    path = file.parent / _SIDECAR
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _about(file: Path, sidecar: dict[str, Any]) -> dict[str, Any]:
    try:
        model = Model(file)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{file.name} is no LiteRT model that runs: {' '.join(str(error).split())[:300]}") from error
    example = [sidecar.get("example") or _random_row(model)]
    found = model(to_arrays(example, model.inputs))
    return {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "task": sidecar.get("task"),
        "scores": sidecar.get("scores"),
        "labels": sidecar.get("labels") or [],
        "inputs": [_described(each) for each in model.inputs],
        "outputs": [_described(each) for each in model.outputs],
        "example": example,
        "expected": {name: array.tolist() for name, array in found.items()},
    }


def _described(port: dict[str, Any]) -> dict[str, Any]:
    return {"name": port["name"], "shape": port["shape"], "dtype": "float32" if port["scale"] else str(port["dtype"])}


def _random_row(model: Model) -> dict[str, Any]:
    """A row where none is recorded: numbers of a normal distribution, small integers, a word."""
    chance = np.random.default_rng(0)
    return {port["name"]: _random(port, chance) for port in model.inputs}


def _random(port: dict[str, Any], chance: np.random.Generator) -> Any:
    shape = [each if each > 0 else _OPEN_LENGTH for each in port["shape"][1:]]
    if port["dtype"].kind in "OSU":
        return np.full(shape, "word", object).tolist()
    if port["dtype"].kind in "iub" and not port["scale"]:
        return chance.integers(0, 2, shape).tolist()
    return chance.normal(size=shape).round(4).tolist()
