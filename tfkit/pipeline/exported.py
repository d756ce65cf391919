"""exportable: what is exported, a Keras model or a file that is copied, and what of it cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfkit.errors import ModelError, ParameterError
from tfkit.formats.exportable import Exportable
from tfkit.formats.litert import LiteRT
from tfkit.formats.litert_model import LiteRTModel
from tfkit.formats.named_model import NamedModel
from tfkit.formats.names import Names
from tfkit.formats.preprocessing import with_preprocessing
from tfkit.formats.purpose import Task
from tfkit.models import load_model, require_built
from tfkit.pipeline.comparison import Chosen

# The format whose files are exported by copying them.
_COPIED = "litert"
_KERAS = "the Keras model, .keras or .h5"


def exportable(
    model: Any,
    *,
    exporter: Chosen,
    sample: Any,
    inputs: Names,
    outputs: Names,
    task: Task | None,
    labels: Sequence[str] | None,
    preprocess: Any,
) -> Exportable:
    """A model under the names that it is exported with; the arguments are those of `tfkit.export`.

    Raises:
        ModelError: There is no such model, it is not built, or the exporter does not take it.
        ParameterError: Names or labels do not fit, or something is asked of a file that is copied.
    """
    if isinstance(model, (str, Path)):
        model = _opened(Path(model))
    if isinstance(model, LiteRT):
        _check_copied(model.path, exporter, inputs=inputs, outputs=outputs, preprocess=preprocess)
        return LiteRTModel(model, task=task, labels=labels)
    model = require_built(model)
    if preprocess is not None:
        model = with_preprocessing(preprocess, model, sample)
    named = NamedModel(model, sample=sample, inputs=inputs, outputs=outputs, task=task, labels=labels)
    _check_batch(named)
    return named


def _opened(path: Path) -> Any:
    if (path / "saved_model.pb").is_file():
        raise ModelError(
            f"{str(path)!r} is a SavedModel already: copy it to <directory>/<version>, and see what a server makes of "
            f"it by tfkit export verify; what is exported is {_KERAS}"
        )
    return load_model(path)


def _check_copied(path: Path, exporter: Chosen, **given: Any) -> None:
    """Refuses what cannot be had of a file that is written already."""
    name, params = exporter
    if name != _COPIED:
        raise ModelError(
            f"{str(path)!r} is a LiteRT file, which format={_COPIED!r} copies; for {name!r} export {_KERAS}"
        )
    for key, value in (*params.items(), *given.items()):
        if value is not None:
            raise ParameterError(f"{str(path)!r} is copied as it is: leave out {key}=, or export {_KERAS}")


def _check_batch(named: NamedModel) -> None:
    """Refuses a model that was built for batches of one size, and computes with no other."""
    sizes = {tensor.shape[0] for tensor in getattr(named.keras, "inputs", None) or () if tensor.shape}
    for tensor in named.signature.outputs:
        if tensor.shape and tensor.shape[0] is not None and tensor.shape[0] in sizes:
            raise ModelError(
                f"model {named.name!r} cannot be called with an open batch: it was built for batches of "
                f"{tensor.shape[0]} rows; build it without batch_size= and batch_shape=, and without stateful layers"
            )
