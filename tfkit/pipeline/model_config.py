"""models.config: what TensorFlow Serving is told of the models and versions that lie in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tfkit.errors import ParameterError, VerificationError
from tfkit.parameters import suggest
from tfkit.pipeline.versions import versions

FILE = "models.config"
# A server that starts takes labels of versions that it has not loaded yet with this flag alone.
FLAG = "--allow_version_labels_for_unavailable_models"
_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]')
Labels = Mapping[str, Mapping[str, int]]


def model_config(directory: Path, *, labels: Labels | None = None, base_path: str | None = None) -> str:
    """The text of a models.config for every model in a folder, with all its versions, or those with labels.

    Args:
        directory: Holds `<model>/<version>/`.
        labels: Versions by label, by model; a model with labels serves those versions and its latest one.
        base_path: Where the server sees the folder, such as "/models"; None for the folder's own absolute path.

    Returns:
        A ModelServerConfig in protobuf's text format.

    Raises:
        ParameterError: There is no model, or no such model or version for a label; or a name is one that URLs do
            not take as it is.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "digits", "1").mkdir(parents=True)
        ...     text = model_config(Path(folder), labels={"digits": {"stable": 1}}, base_path="/models")
        >>> 'version_labels { key: "stable" value: 1 }' in text
        True
    """
    models = models_in(directory)
    labels = labels or {}
    for model in labels:
        if model not in models:
            raise ParameterError(f"there is no model {model!r} to label{suggest(model, models)}")
    root = PurePosixPath(base_path or directory.absolute())
    _check_names(models, labels)
    return "\n".join(
        ["model_config_list {"]
        + [line for name in models for line in _entry(name, root, models[name], labels.get(name, {}))]
        + ["}", ""]
    )


def models_in(directory: Path) -> dict[str, list[int]]:
    """The models of a folder, and the versions of each, ascending.

    Raises:
        ParameterError: There are none.
    """
    found = {path.name: versions(path) for path in sorted(directory.iterdir()) if path.is_dir()}
    models = {name: there for name, there in found.items() if there}
    if not models:
        raise ParameterError(f"{str(directory)!r} holds no <model>/<version>: pass the folder that holds the models")
    return models


def named_labels(given: Mapping[str, int], models: list[str]) -> dict[str, dict[str, int]]:
    """Labels by model, from keys `label` (where there is one model) or `model:label`.

    Raises:
        ParameterError: Which model a label is for cannot be told.

    Example:
        >>> named_labels({"stable": 1}, ["digits"])
        {'digits': {'stable': 1}}
    """
    found: dict[str, dict[str, int]] = {}
    for key, version in given.items():
        model, _, label = key.rpartition(":")
        if not model and len(models) != 1:
            raise ParameterError(f"which model is {key!r} for? write MODEL:{key}, with MODEL of {', '.join(models)}")
        found.setdefault(model or models[0], {})[label] = version
    return found


def config_advice(model: Path) -> Iterator[str]:
    """What the labels of a models.config beside a model's folder bring about, a sentence each.

    Args:
        model: The model's folder, `<models>/<model>`; the file may lie in it or in `<models>`.
    """
    for path in (model / FILE, model.parent / FILE):
        if path.is_file():
            yield from _of_config(path, model)


def _check_names(models: Mapping[str, object], labels: Labels) -> None:
    from tfkit_serving.configuration.names import check_name

    try:
        for model in models:
            check_name("model's folder", model)
            for label in labels.get(model, ()):
                check_name("label", label)
    except ValueError as error:
        raise ParameterError(str(error)) from None


def _entry(name: str, root: PurePosixPath, there: list[int], labels: Mapping[str, int]) -> Iterator[str]:
    for label, version in labels.items():
        if version not in there:
            raise ParameterError(f"{name!r} has no version {version} for the label {label!r}; it has {there}")
    yield "  config {"
    yield f"    name: {_quoted(name)}"
    yield f"    base_path: {_quoted(str(root / name))}"
    yield '    model_platform: "tensorflow"'
    served = sorted({*labels.values(), there[-1]})
    chosen = f"specific {{ {' '.join(f'versions: {version}' for version in served)} }}" if labels else "all {}"
    yield f"    model_version_policy {{ {chosen} }}"
    for label, version in labels.items():
        yield f"    version_labels {{ key: {_quoted(label)} value: {version} }}"
    yield "  }"


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParameterError(f"{text!r} is no UTF-8, which a models.config is: pass another base path") from None
    return '"' + _ESCAPED.sub(lambda found: f"\\{ord(found[0]):03o}", text) + '"'


def _of_config(path: Path, model: Path) -> Iterator[str]:
    there = versions(model)
    for entry in _entries(path):
        if PurePosixPath(entry.base_path).name != model.name and entry.name != model.name:
            continue
        for label, version in sorted(entry.version_labels.items()):
            if version not in there:
                yield (
                    f"{str(path)!r} gives the label {label!r} to version {version} of {entry.name!r}, which is not "
                    "there: TensorFlow Serving refuses the whole file"
                )
        if entry.version_labels:
            yield f"{str(path)!r} has labels for {entry.name!r}: a server that starts with it needs {FLAG}=true"


def _entries(path: Path) -> list[Any]:
    from tfkit_serving.configuration.text import parse_text
    from tfkit_serving.protocol import messages

    try:
        config = parse_text(path, messages.ModelServerConfig())
    except ValueError as error:
        raise VerificationError(str(error)) from error
    return list(config.model_config_list.config)
