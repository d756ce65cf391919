"""Keras's own files: .keras, zipped or not, and .h5."""

from __future__ import annotations

import importlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfkit.data import leaves
from tfkit.errors import ModelError
from tfkit.missing import explain_missing
from tfkit.reasons import reason
from tfkit.registry import installed

_ABSENT = re.compile(r"Could not locate (class|function) '(\w+)'|Unknown (\w+): '(\w+)'")


def load_zip(path: Path) -> Any:
    """Opens a .keras file.

    Raises:
        ModelError: It is damaged, or names what nothing imported provides.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        raise ModelError(f"{str(path)!r} is no .keras file: it is damaged, or something else with that name") from None
    return _load(path, _parsed(path, config))


def load_unzipped(path: Path) -> Any:
    """Opens a folder that holds what a .keras file holds.

    Raises:
        ModelError: As for `load_zip`.
    """
    return _load(path, _parsed(path, (path / "config.json").read_text()))


def load_h5(path: Path) -> Any:
    """Opens an .h5 file that holds a whole model.

    Raises:
        ModelError: It is damaged, holds weights alone, or names what nothing imported provides.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            configs = [file.attrs.get(each) for each in ("model_config", "training_config")]
    except OSError:
        raise ModelError(f"{str(path)!r} is no HDF5 file: it is damaged, or something else with that name") from None
    if configs[0] is None:
        raise ModelError(f"{str(path)!r} holds weights alone: build the model and call model.load_weights on it")
    model, training = (_parsed(path, config or "{}") for config in configs)
    return _load(path, [model, training], _short_names(training))


def _parsed(path: Path, config: str) -> Any:
    try:
        return json.loads(config)
    except ValueError:
        raise ModelError(f"{str(path)!r} is damaged: its configuration is no JSON") from None


def _load(path: Path, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    import keras

    _import_plugins(path, config)
    try:
        return keras.saving.load_model(path, custom_objects=custom_objects)
    except Exception as error:
        raise ModelError(f"{str(path)!r} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What is wrong, from the midst of Keras's text."""
    absent = _ABSENT.search(str(error))
    if absent is None:
        return reason(ValueError(str(error).rpartition("Exception encountered: ")[2]))
    name = absent.group(2) or absent.group(4)
    return f"nothing that is imported provides {name!r}; import the module that defines and registers it first"


def _short_names(training: dict[str, Any]) -> dict[str, Any]:
    """The functions behind short names such as "mse", which Keras writes to an .h5 file and does not read back."""
    import keras

    found = {}
    for name in leaves([training.get(key) for key in ("loss", "metrics", "weighted_metrics")]):
        try:
            function = keras.losses.get(name) if isinstance(name, str) else None
        except ValueError:
            continue  # a metric's name
        if getattr(function, "__name__", name) != name:
            found[name] = function
    return found


def _import_plugins(path: Path, config: Any) -> None:
    """Imports the modules that the file names, if plugins live there; a file can import nothing else."""
    named = set(_named(config))
    targets = [row.spec.target.partition(":") for row in installed().rows if row.spec]
    packages = {module.partition(".")[0] for module, _, _ in targets} | {"tfkit"}
    modules = {module for module in named if module.partition(".")[0] in packages}
    # An .h5 file names a registered class alone, such as "tfkit>F1".
    modules |= {module for module, _, attribute in targets if f">{attribute}" in named}
    for module in sorted(modules):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in packages:
                continue  # the plugin has moved or gone; Keras says which class it misses
            raise ModelError(explain_missing(f"loading {str(path)!r}", error)) from error


def _named(config: Any) -> Iterator[str]:
    """The modules that a configuration names, and the classes that are registered, as ">Class"."""
    if isinstance(config, dict):
        if isinstance(config.get("module"), str):
            yield config["module"]
        if ">" in str(config.get("class_name")):
            yield ">" + config["class_name"].rpartition(">")[2]
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _named(value)
