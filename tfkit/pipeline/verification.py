"""verify: an exported model against what it was made from, and later against its own sidecar."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit import child
from tfkit.errors import ConversionError, ModelError, VerificationError
from tfkit.formats.named_model import NamedModel
from tfkit.formats.sidecar import files, read_sidecar, sha256
from tfkit.formats.signature import Signature, random_inputs
from tfkit.reasons import reason
from tfkit.registry import installed

_ROWS = 64
_TIMEOUT = 300.0
# Share of the largest value by which two runs of the same computation may differ, by the output's dtype.
_TOLERANCES = {"float16": 1e-2, "bfloat16": 1e-2}
_TOLERANCE = 1e-4
# What string inputs hold where there are no rows: text that also reads as a number.
_TEXT = "0"


@dataclass(frozen=True)
class Verification:
    """What `verify` found, all of it good.

    Attributes:
        path: The version folder.
        format: Name of the exporter that wrote it.
        files: Number of files whose sha256 is that of `tfkit.json`.
        unlisted: Files that `tfkit.json` does not name.
    """

    path: Path
    format: str
    files: int
    unlisted: tuple[str, ...]


def verify(directory: str | Path) -> Verification:
    """Checks a version folder that `tfkit.export` wrote: its files against `tfkit.json`, and that it runs.

    Args:
        directory: The version folder.

    Raises:
        VerificationError: A file is missing or changed, or a fresh process cannot compute the outputs that
            the signature names.
        PluginNotFound: The exporter that wrote it is not installed.
    """
    directory = Path(directory)
    sidecar = read_sidecar(directory)
    _check_files(directory, sidecar["files"])
    installed().get("exporter", sidecar["format"])
    signature = Signature.from_dict(sidecar["signature"])
    found = _predict(directory, sidecar["format"], random_inputs(signature, text=_TEXT))
    wanted = {tensor.name for tensor in signature.outputs}
    if found.keys() != wanted:
        raise VerificationError(f"{str(directory)!r} gives {sorted(found)} where its signature says {sorted(wanted)}")
    unlisted = tuple(str(path) for path in files(directory) if str(path) not in sidecar["files"])
    return Verification(directory, sidecar["format"], len(sidecar["files"]), unlisted)


def verify_against(model: NamedModel, directory: Path, *, exporter: str, inputs: Mapping[str, Any]) -> None:
    """Compares what was exported, run in a fresh process, with the model's own output.

    Args:
        model: The model.
        directory: What the exporter wrote.
        exporter: The exporter's name.
        inputs: Arrays by name; the first 64 rows are compared.

    Raises:
        VerificationError: They differ, or the model differs from itself from call to call; the text says
            which output, and by how much.
    """
    rows = {name: values[:_ROWS] for name, values in inputs.items()}
    first, second = _own_outputs(model, rows)
    _check_numbers(model, first)
    problem = _difference(model.signature, first, second)
    if problem:
        raise VerificationError(
            f"model {model.keras.name!r} gives other outputs at each call, so nothing exported can equal it: {problem}"
        )
    problem = _difference(model.signature, first, _predict(directory, exporter, rows))
    if problem:
        raise VerificationError(f"what was exported does not compute what model {model.keras.name!r} does: {problem}")


def _check_numbers(model: NamedModel, outputs: Mapping[str, Any]) -> None:
    """Refuses a model that gives NaN: whatever was exported would equal it."""
    import numpy as np

    for name, values in outputs.items():
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise VerificationError(
                f"model {model.keras.name!r} gives NaN in output {name!r}: its training diverged, or the sample has NaN"
            )


def _check_files(directory: Path, hashes: Mapping[str, str]) -> None:
    for name, expected in hashes.items():
        path = directory / name
        if not path.is_file():
            raise VerificationError(f"{str(path)!r} is missing: export the model again")
        if sha256(path) != expected:
            raise VerificationError(f"{str(path)!r} has changed since it was exported: export the model again")


def _own_outputs(model: NamedModel, rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model's outputs, from two calls of the traced function that `predict` would run too."""
    import tensorflow as tf

    from tfkit.children.verify import comparable

    tensors = {name: tf.convert_to_tensor(values) for name, values in rows.items()}
    function = tf.function(lambda given: model(given), autograph=False)
    try:
        return [{name: comparable(value) for name, value in function(tensors).items()} for _ in range(2)]
    except Exception as error:
        raise ModelError(f"model {model.keras.name!r} fails on the sample: {reason(error)}") from error


def _predict(directory: Path, exporter: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="tfkit-verify-") as name:
        given, found = Path(name, "inputs.npz"), Path(name, "outputs.npz")
        np.savez(given, *inputs.values())
        try:
            names = child.call(
                "tfkit.children.verify:predict",
                timeout=_TIMEOUT,
                what="running what was exported",
                exporter=exporter,
                directory=directory.absolute(),
                inputs=given,
                outputs=found,
                names=list(inputs),
            )
        except (ConversionError, ModelError) as error:
            raise VerificationError(f"what was exported does not run in a fresh process: {error}") from error
        with np.load(found, allow_pickle=True) as arrays:
            return dict(zip(names, arrays.values()))


def _difference(signature: Signature, expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first output that differs, in words; None where all agree."""
    if expected.keys() != found.keys():
        return f"it gives the outputs {', '.join(found)} where the model gives {', '.join(expected)}"
    for tensor in signature.outputs:
        told = _compare(expected[tensor.name], found[tensor.name], _TOLERANCES.get(tensor.dtype, _TOLERANCE))
        if told:
            return f"output {tensor.name!r} {told}"
    return None


def _compare(expected: Any, found: Any, tolerance: float) -> str | None:
    import numpy as np

    if expected.shape != found.shape or expected.dtype.kind != found.dtype.kind:
        return f"is {found.dtype} of shape {found.shape} where {expected.dtype} of shape {expected.shape} is right"
    if expected.dtype.kind not in "fc":
        count = int(np.count_nonzero(expected != found))
        return f"differs in {count} of {expected.size} values" if count else None
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True) or not np.isfinite(found[finite]).all():
        return "is NaN or infinite in other places"
    largest = float(np.max(np.abs(expected[finite] - found[finite]), initial=0.0))
    allowed = tolerance * float(np.max(np.abs(expected[finite]), initial=0.0)) + 1e-7
    return f"differs by {largest:.3g} where {allowed:.3g} is allowed" if largest > allowed else None
