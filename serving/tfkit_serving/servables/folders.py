"""What lies below a base path: version folders, whether they are whole, and models in a directory."""

from __future__ import annotations

import re
from pathlib import Path

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.errors import ServingError

Stamp = tuple[tuple[str, int, int], ...]

LITE_FILE = "model.tflite"
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")
_LARGEST = 2**63 - 1


def version_folders(base_path: Path) -> dict[int, Path]:
    """The versions of a model that are whole on disk.

    Args:
        base_path: The model's folder.

    Returns:
        Folders by version: those whose names are numbers, leading zeros or not, and that hold a SavedModel with all
        shards of its variables, or `model.tflite`. A folder that is still being copied is left out.

    Raises:
        ServingError: NOT_FOUND: there is no such base path.
    """
    try:
        entries = sorted(base_path.iterdir())
    except OSError as error:
        raise ServingError("NOT_FOUND", f"Could not find base path {base_path}: {error.strerror or error}") from error
    numbered = {int(each.name): each for each in entries if _is_number(each.name)}
    return {version: folder for version, folder in numbered.items() if version <= _LARGEST and is_whole(folder)}


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all files of a SavedModel, as far as their names tell, or a LiteRT model."""
    try:
        if not _has_graph(folder):
            return (folder / LITE_FILE).is_file()
        names = [each.name for each in (folder / "variables").iterdir()]
    except FileNotFoundError:
        return True  # a model without variables needs no such folder
    except OSError:
        return False
    shards = [match for match in map(_SHARD.fullmatch, names) if match]
    if not names:
        return True
    return "variables.index" in names and bool(shards) and len(shards) == int(shards[0][1])


def has_lite_model(folder: Path, *, preferred: bool) -> bool:
    """Whether `model.tflite` is to be loaded: it is there, and preferred or alone."""
    return (folder / LITE_FILE).is_file() and (preferred or not _has_graph(folder))


def stamp(folder: Path) -> Stamp:
    """What changes when a version's files do: their names, sizes and times."""
    files = [each for part in ("", "variables", "assets.extra") for each in _files(folder / part)]
    return tuple((each.name, *_size_and_time(each)) for each in files)


def models_in(directory: Path) -> list[ModelConfig]:
    """The models of a directory that holds `<model>/<version>/`: subfolders with at least one whole version.

    Raises:
        ServingError: NOT_FOUND: there is no such directory.
    """
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise ServingError("NOT_FOUND", f"there is no directory {directory}: {error.strerror or error}") from error
    return [ModelConfig(each.name, each) for each in entries if _has_version(each)]


def _has_graph(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _GRAPHS)


def _has_version(folder: Path) -> bool:
    try:
        return folder.is_dir() and bool(version_folders(folder))
    except ServingError:
        return False


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 64


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_file())
    except OSError:
        return []


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
