"""verify: a version folder, later, on its own: whole, unchanged, running, and fit for a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfkit.errors import VerificationError
from tfkit.formats.sidecar import NAME, files, read_sidecar, sha256
from tfkit.formats.signature import Signature, random_inputs
from tfkit.pipeline.comparison import Chosen, checked, in_fresh_process
from tfkit.pipeline.model_config import config_advice
from tfkit.registry import installed

# What string inputs hold: text that also reads as a number.
_TEXT = "0"
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")


@dataclass(frozen=True)
class Verification:
    """What `verify` found, none of it damage.

    Attributes:
        path: The version folder.
        format: Name of the exporter that wrote it, or could have.
        files: Number of files whose sha256 is that of `tfkit.json`.
        unlisted: Files that `tfkit.json` does not name.
        advice: What a server or its clients will meet, a sentence each.
    """

    path: Path
    format: str
    files: int
    unlisted: tuple[str, ...]
    advice: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What `tfkit export verify --json` prints."""
        return asdict(self)


def verify(directory: str | Path) -> Verification:
    """Checks a version folder: its files against `tfkit.json`, that it runs, and that a server can serve it.

    A SavedModel that another program wrote has no `tfkit.json`: then all is checked but that its files are unchanged.

    Args:
        directory: The version folder.

    Raises:
        VerificationError: A file is missing or changed, a fresh process cannot compute the outputs that the
            signature names, or a server would refuse it, for a warm-up record that fails.
        PluginNotFound: The exporter that wrote it is not installed.
    """
    directory = Path(directory)
    if not (directory / NAME).is_file() and any((directory / name).is_file() for name in _GRAPHS):
        return _verify_foreign(directory)
    sidecar = read_sidecar(directory)
    _check_files(directory, sidecar["files"])
    exporter = (sidecar["format"], sidecar["exporter"].get("params", {}))
    installed().get("exporter", exporter[0])
    advice = _check_run(directory, exporter, Signature.from_dict(sidecar["signature"]))
    unlisted = tuple(str(path) for path in files(directory) if str(path) not in sidecar["files"])
    return Verification(
        directory, exporter[0], len(sidecar["files"]), unlisted, (*_told(unlisted), *advice, *_of_place(directory))
    )


def _verify_foreign(directory: Path) -> Verification:
    """Checks a SavedModel that tfkit did not write."""
    advice = in_fresh_process("examine", directory, ("saved-model", {}))
    unlisted = tuple(str(path) for path in files(directory))
    unknown = f"there is no {NAME}, so whether its files are those that were exported is not known"
    return Verification(directory, "saved-model", 0, unlisted, (unknown, *advice, *_of_place(directory)))


def _told(unlisted: tuple[str, ...]) -> Iterator[str]:
    for name in unlisted:
        yield f"{name!r} is no file that was exported: {NAME} does not name it"


def _of_place(directory: Path) -> Iterator[str]:
    """What the folder's name, and a models.config beside it, bring about."""
    name = directory.absolute().name
    if not (name.isascii() and name.isdigit()):
        yield f"the folder's name {name!r} is no whole number, so TensorFlow Serving passes it over: rename it"
    yield from config_advice(directory.absolute().parent)


def _check_files(directory: Path, hashes: Mapping[str, str]) -> None:
    for name, expected in hashes.items():
        path = directory / name
        if not path.is_file():
            raise VerificationError(f"{str(path)!r} is missing: export the model again")
        if sha256(path) != expected:
            raise VerificationError(f"{str(path)!r} has changed since it was exported: export the model again")


def _check_run(directory: Path, exporter: Chosen, signature: Signature) -> list[str]:
    """Runs it on made-up rows, and returns the exporter's advice."""
    found, advice = checked(directory, exporter, random_inputs(signature, text=_TEXT))
    wanted = {tensor.name for tensor in signature.outputs}
    if found.keys() != wanted:
        raise VerificationError(f"{str(directory)!r} gives {sorted(found)} where its signature says {sorted(wanted)}")
    return advice
