"""verify_against: what was exported, run in a fresh process, compared with what it was made from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfkit import child
from tfkit.errors import ConversionError, ModelError, VerificationError
from tfkit.factory import create
from tfkit.formats.exportable import Exportable
from tfkit.formats.fidelity import fidelity
from tfkit.formats.signature import Signature
from tfkit.reasons import reason

_ROWS = 64
_TIMEOUT = 300.0
# Share of the largest value by which two runs of the same computation may differ, by the output's dtype.
_TOLERANCES = {"float16": 1e-2, "bfloat16": 1e-2}
_TOLERANCE = 1e-4

# An exporter: its name and its parameters.
Chosen = tuple[str, Mapping[str, Any]]


def verify_against(model: Exportable, directory: Path, *, exporter: Chosen, inputs: Mapping[str, Any]) -> None:
    """Compares what was exported, run in a fresh process, with the model's own output.

    Args:
        model: The model.
        directory: What the exporter wrote.
        exporter: The exporter's name and parameters.
        inputs: Arrays by name; the first 64 rows are compared.

    Raises:
        VerificationError: They differ, or the model differs from itself from call to call; the text says
            which output, and by how much.
    """
    rows = {name: values[:_ROWS] for name, values in inputs.items()}
    first, second = computed(model, rows), computed(model, rows)
    _check_numbers(model, first)
    problem = _difference(model.signature, first, second)
    if problem:
        raise VerificationError(
            f"model {model.name!r} gives other outputs at each call, so nothing exported can equal it: {problem}"
        )
    found = predicted(directory, exporter, rows)
    is_exact = getattr(create("exporter", exporter[0], **exporter[1]), "is_exact", True)
    problem = _difference(model.signature, first, found) if is_exact else _distance(model.signature, first, found)
    if problem:
        raise VerificationError(f"what was exported does not compute what model {model.name!r} does: {problem}")


def computed(model: Exportable, rows: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own outputs, arrays by name, in dtypes that numpy knows.

    Raises:
        ModelError: It fails on the rows.
    """
    from tfkit.children.verify import comparable

    try:
        return {name: comparable(values) for name, values in model.compute(rows).items()}
    except Exception as error:
        raise ModelError(f"model {model.name!r} fails on the sample: {reason(error)}") from error


def predicted(directory: Path, exporter: Chosen, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What an exporter computes in a fresh process from what it wrote, arrays by name.

    Raises:
        VerificationError: It does not run there.
    """
    with _exchange(inputs) as (files, outputs):
        return outputs(in_fresh_process("predict", directory, exporter, **files))


def checked(directory: Path, exporter: Chosen, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """As `predicted`, and the advice of the exporter's `examine`.

    Raises:
        VerificationError: It does not run there, or a server would refuse it.
    """
    with _exchange(inputs) as (files, outputs):
        found = in_fresh_process("check", directory, exporter, **files)
        return outputs(found["names"]), found["advice"]


@contextmanager
def _exchange(inputs: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Callable[[list[str]], dict[str, Any]]]]:
    """Files through which arrays go to a child and come back, and what reads them by their names."""
    import numpy as np

    def outputs(names: list[str]) -> dict[str, Any]:
        with np.load(found, allow_pickle=True) as arrays:
            return dict(zip(names, arrays.values()))

    with tempfile.TemporaryDirectory(prefix="tfkit-verify-") as name:
        given, found = Path(name, "inputs.npz"), Path(name, "outputs.npz")
        np.savez(given, *inputs.values())
        yield {"inputs": given, "outputs": found, "names": list(inputs)}, outputs


def in_fresh_process(function: str, directory: Path, exporter: Chosen, **kwargs: Any) -> Any:
    """Calls a function of `tfkit.children.verify` on what an exporter wrote.

    Raises:
        VerificationError: It fails there; what it says.
    """
    try:
        return child.call(
            f"tfkit.children.verify:{function}",
            timeout=_TIMEOUT,
            what="running what was exported",
            exporter=exporter[0],
            params=dict(exporter[1]),
            directory=directory.absolute(),
            **kwargs,
        )
    except (ConversionError, ModelError) as error:
        raise VerificationError(f"what was exported does not run in a fresh process: {error}") from error


def _check_numbers(model: Exportable, outputs: Mapping[str, Any]) -> None:
    """Refuses a model that gives NaN: whatever was exported would equal it."""
    import numpy as np

    for name, values in outputs.items():
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise VerificationError(
                f"model {model.name!r} gives NaN in output {name!r}: its training diverged, or the sample has NaN"
            )


def _difference(signature: Signature, expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first output that differs, in words; None where all agree."""
    if expected.keys() != found.keys():
        return f"it gives the outputs {', '.join(found)} where the model gives {', '.join(expected)}"
    for tensor in signature.outputs:
        told = _compare(expected[tensor.name], found[tensor.name], _TOLERANCES.get(tensor.dtype, _TOLERANCE))
        if told:
            return f"output {tensor.name!r} {told}"
    return None


def _distance(signature: Signature, expected: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """How far off what is meant to be near is, in words; None where it is near."""
    if expected.keys() != found.keys():
        return _difference(signature, expected, found)
    names = [tensor.name for tensor in signature.outputs]
    distance = fidelity([expected[name] for name in names], [found[name] for name in names])
    return str(distance) if distance.far else None


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
