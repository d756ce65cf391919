"""The sidecar `tfkit.json`: what lies beside an exported model and says what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfkit.errors import ParameterError, VerificationError
from tfkit.formats.purpose import Purpose
from tfkit.formats.signature import Signature
from tfkit.registry import Plugin

NAME = "tfkit.json"


def write_sidecar(
    directory: Path,
    *,
    exporter: Plugin,
    params: Mapping[str, Any],
    signature: Signature,
    purpose: Purpose,
    described: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes `tfkit.json`: versions, exporter, signature, purpose, when, and the sha256 of every other file.

    Args:
        directory: The folder that holds the exported files, and nothing else.
        exporter: The plugin that wrote them.
        params: Its parameters.
        signature: Names, dtypes and shapes.
        purpose: What the model is for.
        described: `preprocessing`, classes of the layers that take raw values; `example`, a row of input (see
            `tfkit.formats.example`); `profile`, how the data are distributed (see `tfkit.formats.profile`).
        metadata: What else there is to say: metrics, the data, versions of plugins. What JSON holds.

    Raises:
        ParameterError: JSON cannot hold the metadata.
    """
    content = {
        "tfkit": _version("tfkit-keras"),
        "format": exporter.name,
        "exporter": {
            "distribution": exporter.distribution,
            "version": exporter.version,
            "params": dict(params),
        },
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "packages": {name: _version(name) for name in ("keras", "tensorflow")},
        "signature": signature.as_dict(),
        **purpose.as_dict(),
        **described,
        "files": {str(path): sha256(directory / path) for path in files(directory)},
        "metadata": dict(metadata or {}),
    }
    lines = ",\n".join(f" {json.dumps(key)}: {_told(key, value)}" for key, value in content.items())
    (directory / NAME).write_text(f"{{\n{lines}\n}}\n")


def read_sidecar(directory: Path) -> dict[str, Any]:
    """Reads `tfkit.json`.

    Raises:
        VerificationError: There is none, or it is damaged.
    """
    path = directory / NAME
    if not path.is_file():
        raise VerificationError(f"{str(directory)!r} has no {NAME}: it is no version folder that tfkit.export wrote")
    try:
        content = json.loads(path.read_bytes())
        content["files"], content["format"], Signature.from_dict(content["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{str(path)!r} is damaged: {error!r}") from None
    return dict(content)


def files(directory: Path) -> list[Path]:
    """Every file below a folder except the sidecar, relative to it, sorted."""
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in found if path != Path(NAME))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex; reads it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _told(key: str, value: Any) -> str:
    """A part of the content as JSON; the profile, for programs alone, on one line."""
    try:
        return json.dumps(value) if key == "profile" else json.dumps(value, indent=1).replace("\n", "\n ")
    except TypeError as error:
        raise ParameterError(f"{key}= must be what JSON holds: {error}") from None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
