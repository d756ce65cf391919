"""Keras's own files: .keras, zipped or not, and .h5."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfkit.errors import ModelError
from tfkit.formats.keras2 import input_shapes, modern_model
from tfkit.formats.keras2_training import compile_arguments
from tfkit.formats.keras_quantized import loading_hint
from tfkit.missing import explain_missing
from tfkit.nests import leaves
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
    """Opens an .h5 file that holds a whole model, of Keras 3 or 2.

    Raises:
        ModelError: It is damaged, holds weights alone, names what nothing imported provides, or a Keras 2
            model in it has what Keras 3 has not.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            configs = [file.attrs.get(each) for each in ("model_config", "training_config", "keras_version")]
    except OSError:
        raise ModelError(f"{str(path)!r} is no HDF5 file: it is damaged, or something else with that name") from None
    if configs[0] is None:
        raise ModelError(f"{str(path)!r} holds weights alone: build the model and call model.load_weights on it")
    model, training = (_parsed(path, config or "{}") for config in configs[:2])
    if not str(configs[2]).startswith("3"):
        return _load_keras2(path, model, training)
    return _load(path, [model, training], _short_names(training))


def _load_keras2(path: Path, config: Any, training: Any) -> Any:
    """Opens a copy of the file with a configuration that Keras 3 reads, and compiles it as it was."""
    import h5py

    try:
        config = modern_model(config)
    except ModelError as error:
        raise ModelError(f"{str(path)!r} is a Keras 2 file that Keras 3 cannot open: {error}") from None
    with tempfile.TemporaryDirectory(prefix="tfkit-keras2-") as folder:
        copy = Path(folder, "model.h5")
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
        model = _load(copy, [config, training], told=path, compile=False)
    _check_inputs(path, model, input_shapes(config))
    if training:
        _compile(path, model, training)
    return model


def _compile(path: Path, model: Any, training: Any) -> None:
    try:
        model.compile(**compile_arguments(training))
    except Exception as error:
        text = f"{str(path)!r} is opened uncompiled: what its Keras 2 model was compiled with is unknown to Keras 3"
        warnings.warn(f"{text} ({reason(error)})", stacklevel=4)


def _check_inputs(path: Path, model: Any, wanted: list[list[int | None]]) -> None:
    """Raises unless the model takes what the configuration says."""
    found = [tuple(each.shape) for each in model.inputs or ()]
    if wanted and found != [tuple(shape) for shape in wanted]:
        raise ModelError(f"{str(path)!r} opens with inputs of the shapes {found}, and it says {wanted}")


def _parsed(path: Path, config: str) -> Any:
    try:
        return json.loads(config)
    except ValueError:
        raise ModelError(f"{str(path)!r} is damaged: its configuration is no JSON") from None


def _load(
    path: Path, config: Any, custom_objects: dict[str, Any] | None = None, *, told: Path | None = None, **options: Any
) -> Any:
    import keras

    _import_plugins(told or path, config)
    try:
        return keras.saving.load_model(path, custom_objects=custom_objects, **options)
    except Exception as error:
        hint = loading_hint(config) if "objects could not be loaded" in str(error) else ""
        raise ModelError(f"{str(told or path)!r} cannot be loaded: {_reason(error)}{hint}") from error


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
