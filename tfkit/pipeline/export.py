"""export: a model written for a server or a device, verified before it is there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.errors import ConversionError, ParameterError, TfkitError
from tfkit.factory import create
from tfkit.formats.example import example_row
from tfkit.formats.exportable import Exportable
from tfkit.formats.names import Names
from tfkit.formats.profile import take_profile
from tfkit.formats.purpose import Task
from tfkit.formats.sidecar import write_sidecar
from tfkit.formats.signature import random_inputs
from tfkit.pipeline.comparison import computed, verify_against
from tfkit.pipeline.exported import exportable
from tfkit.pipeline.verification import verify
from tfkit.pipeline.versions import aside, free_version, move_in
from tfkit.reasons import reason
from tfkit.recipe import Step, step_name
from tfkit.registry import installed

__all__ = ["Export", "export", "verify"]


@dataclass(frozen=True)
class Export:
    """What `export` wrote.

    Attributes:
        path: The version folder.
        version: Its number.
        verified: Whether a fresh process computed from it what the model computes.
    """

    path: Path
    version: int
    verified: bool


def export(
    model: Any,
    directory: str | Path,
    *,
    format: Step = "saved-model",
    version: int | None = None,
    sample: Any = None,
    inputs: Names = None,
    outputs: Names = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    preprocess: Any = None,
    reference: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> Export:
    """Writes a model as `<directory>/<version>`, whole and verified or not at all.

    It is written to a hidden folder inside `directory`, run there in a fresh process, compared with the
    model's own output, and renamed into place. The folder also holds `tfkit.json`: the sha256 of every
    file, the signature, what the model is for, an example row, how the data are distributed, and what made it.
    What a server's clients will not be able to read, such as a bfloat16 over REST, is warned of.

    Args:
        model: A built Keras model, or the path of a .keras or .h5 file; of a .tflite, which the format litert copies
            as it is and runs both to compare them.
        directory: The model's folder, which holds its versions; made where it does not exist.
        format: An exporter: its name or (name, params).
        version: A positive int; None is the highest there is and 1.
        sample: Real rows of input, as the model takes them (or, with `preprocess`, raw). The first 64 are compared,
            the first 1000 become a server's warm-up requests. None takes random input, one row of it for warm-up.
        inputs: Names for the signature's inputs: one, several in the model's order, or {the model's name: new
            name}. None takes the model's own.
        outputs: Names for the signature's outputs, likewise.
        labels: Names of the classes, in the order of the scores; two for an output of one probability, the second
            for 1.
        task: "classification" or "regression"; None finds it out by the labels, the last activation and the loss.
        preprocess: A Keras layer or model that is put before the model, so that clients send raw rows.
        reference: Rows whose distribution `tfkit.json` keeps as `profile`, such as training rows; None for the sample.
        metadata: What `tfkit.json` is to say besides: metrics, the data. What JSON holds.

    Raises:
        ModelError: The model is not built, or cannot be exported.
        ParameterError: The version exists or is no positive int, the directory is a file or cannot be written
            to, the names or labels do not fit, or a parameter of the exporter is wrong.
        DataError: The sample does not fit, or there is none for a model that takes strings.
        ConversionError: The exporter failed.
        VerificationError: What was written computes something else; the text has the largest difference.

    Example:
        >>> import tempfile, keras
        >>> model = keras.Sequential([keras.Input((2,), name="point"), keras.layers.Dense(1)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export(model, folder).version  # doctest: +SKIP
        1
    """
    name, params = step_name(format)
    plugin, exporter = installed().get("exporter", name), create("exporter", name, **params)
    directory = _version_holder(Path(directory))
    free_version(directory, version)
    named = exportable(
        model,
        exporter=(name, params),
        sample=sample,
        inputs=inputs,
        outputs=outputs,
        task=task,
        labels=labels,
        preprocess=preprocess,
    )
    rows = None if sample is None else named.arrange(sample)
    probe = random_inputs(named.signature) if rows is None else rows
    with aside(directory) as folder:
        # Random input warms a server up too; one row of it is enough.
        warming = {name: values[:1] for name, values in probe.items()} if rows is None else rows
        _write(exporter, named, folder, warming)
        write_sidecar(
            folder,
            exporter=plugin,
            params=params,
            signature=named.signature,
            purpose=named.purpose,
            described=_described(named, probe, rows if reference is None else named.arrange(reference)),
            metadata=metadata,
        )
        verify_against(named, folder, exporter=(name, params), inputs=probe)
        number = move_in(folder, directory, version)
    for told in exporter.advise(named) if hasattr(exporter, "advise") else ():
        warnings.warn(told, stacklevel=2)
    return Export(directory / str(number), number, verified=True)


def _version_holder(directory: Path) -> Path:
    if (directory / "saved_model.pb").exists():
        raise ParameterError(f"the directory {str(directory)!r} is a model itself: pass the folder that holds versions")
    return directory


def _described(named: Exportable, probe: Mapping[str, Any], reference: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `tfkit.json` says for those who put an interface before the model, or watch it."""
    from tfkit.children.verify import comparable

    return {
        "preprocessing": named.preprocessing,
        "example": example_row({name: comparable(values[:1]) for name, values in probe.items()}),
        "profile": None if reference is None else _profile(named, reference),
    }


def _profile(named: Exportable, rows: Mapping[str, Any]) -> dict[str, Any]:
    count = len(next(iter(rows.values())))
    # What is no row for each row of input has no distribution.
    outputs = {name: values for name, values in computed(named, rows).items() if values.shape[:1] == (count,)}
    return take_profile(rows, outputs, task=named.purpose.task)


def _write(exporter: Any, model: Exportable, folder: Path, rows: Mapping[str, Any]) -> None:
    try:
        exporter.write(model, folder, rows)
    except TfkitError:
        raise
    except Exception as error:
        raise ConversionError(f"model {model.name!r} could not be written: {reason(error)}") from error
