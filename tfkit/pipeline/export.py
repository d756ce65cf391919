"""export: a model written for a server or a device, verified before it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.errors import ConversionError, ModelError, ParameterError, TfkitError
from tfkit.factory import create
from tfkit.formats.named_model import NamedModel
from tfkit.formats.names import Names
from tfkit.formats.sidecar import write_sidecar
from tfkit.formats.signature import random_inputs
from tfkit.models import load_model, require_built
from tfkit.pipeline.verification import verify, verify_against
from tfkit.pipeline.versions import aside, free_version, move_in
from tfkit.reasons import reason
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
    format: str = "saved-model",
    version: int | None = None,
    sample: Any = None,
    inputs: Names = None,
    outputs: Names = None,
    metadata: Mapping[str, Any] | None = None,
) -> Export:
    """Writes a model as `<directory>/<version>`, whole and verified or not at all.

    It is written to a hidden folder inside `directory`, run there in a fresh process, compared with the
    model's own output, and renamed into place. The folder also holds `tfkit.json`: the sha256 of every
    file, the signature, and what made it.

    Args:
        model: A built Keras model, or the path of a .keras or .h5 file.
        directory: The model's folder, which holds its versions; made where it does not exist.
        format: Name of an exporter.
        version: A positive int; None is the highest there is and 1.
        sample: Real rows of input, as the model takes them. The first 64 are compared, the first 1000
            become a server's warm-up requests. None takes random input, one row of it for warm-up.
        inputs: Names for the signature's inputs: one, several in the model's order, or {the model's name: new
            name}. None takes the model's own.
        outputs: Names for the signature's outputs, likewise.
        metadata: What `tfkit.json` is to say besides: metrics, the data. What JSON holds.

    Raises:
        ModelError: The model is not built, or cannot be exported.
        ParameterError: The version exists or is no positive int, the directory is a file or cannot be written
            to, or the names do not fit.
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
    plugin, exporter = installed().get("exporter", format), create("exporter", format)
    directory = _version_holder(Path(directory))
    free_version(directory, version)
    named = NamedModel(_opened(model), sample=sample, inputs=inputs, outputs=outputs)
    rows = None if sample is None else named.arrange(sample)
    probe = random_inputs(named.signature) if rows is None else rows
    with aside(directory) as folder:
        # Random input warms a server up too; one row of it is enough.
        warming = {name: values[:1] for name, values in probe.items()} if rows is None else rows
        _write(exporter, named, folder, warming)
        write_sidecar(folder, exporter=plugin, signature=named.signature, metadata=metadata)
        verify_against(named, folder, exporter=format, inputs=probe)
        number = move_in(folder, directory, version)
    return Export(directory / str(number), number, verified=True)


def _version_holder(directory: Path) -> Path:
    if (directory / "saved_model.pb").exists():
        raise ParameterError(f"the directory {str(directory)!r} is a model itself: pass the folder that holds versions")
    return directory


def _opened(model: Any) -> Any:
    if not isinstance(model, (str, Path)):
        return require_built(model)
    opened = load_model(model)
    try:
        return require_built(opened)
    except ModelError:
        raise ModelError(f"only Keras models are exported, .keras or .h5; {str(model)!r} is none") from None


def _write(exporter: Any, model: NamedModel, folder: Path, rows: Mapping[str, Any]) -> None:
    try:
        exporter.write(model, folder, rows)
    except TfkitError:
        raise
    except Exception as error:
        raise ConversionError(f"model {model.keras.name!r} could not be written: {reason(error)}") from error
