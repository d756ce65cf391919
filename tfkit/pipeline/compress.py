"""compress: steps in a row, each measured, the loss of the metric bounded."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tfkit.data import Data
from tfkit.errors import DataError, ParameterError
from tfkit.factory import create
from tfkit.models import require_built, require_compiled
from tfkit.pipeline.copies import compiled_copy
from tfkit.pipeline.rows import Row, higher_is_better, measured_row, part_metric
from tfkit.progress import say, task
from tfkit.protocols import Compressed, Compressor
from tfkit.recipe import Step, step_name


@dataclass(frozen=True)
class CompressionResult:
    """What `tfkit.compress` made.

    Attributes:
        model: The compressed Keras model; where the last step made an artifact, the model it was made from.
        artifacts: Files by format, such as {"litert": path}.
        table: A row for the source, then one for each step: step, metric, parameters, nonzero, bytes,
            gzip_bytes, latency_p50_ms, latency_p99_ms, agreement, kept; a step's also notes and path. The
            metric is measured on the validation part; the last row has test_metric too where there
            is a test part.
        front: The Pareto front of an automatic search; None where the steps were given.
    """

    model: Any
    artifacts: dict[str, Path]
    table: list[Row]
    front: list[Row] | None = None


@dataclass
class _Chain:
    """What the steps so far have led to, and what bounds them."""

    source: Any
    data: Data
    metric: Step
    max_drop: float | None
    epochs: int
    model: Any
    artifacts: dict[str, Path] = field(default_factory=dict)
    table: list[Row] = field(default_factory=list)


def compress(
    model: Any,
    steps: Sequence[Step],
    data: Data,
    *,
    metric: Step = "accuracy",
    max_drop: float | None = None,
    epochs: int = 1,
    directory: str | Path | None = None,
    target: Literal["size", "latency"] = "size",
    time_budget: float | None = None,
) -> CompressionResult:
    """Compresses a model by one step after another and measures each.

    The model that is given stays as it was; a copy is trained, with the optimizer and loss it was
    compiled with. A step that costs more of the metric than `max_drop` is undone, and its row says so.

    Args:
        model: A built and compiled Keras model.
        steps: Compressors in their order, each a name or (name, params).
        data: Train part for fine-tuning and calibration, validation part for the metric.
        metric: A metric plugin: name or (name, params).
        max_drop: Largest loss of the metric against the source as given, such as 0.005; None for any.
        epochs: Epochs of fine-tuning in each step; 0 trains nothing.
        directory: Where artifacts go; None for a new temporary folder.
        target: What an automatic search over steps makes small; steps that are given are all done.
        time_budget: Seconds after which no further step begins; its row is then missing.

    Raises:
        ModelError: The model is not built or not compiled.
        DataError: The data is no tfkit.Data.
        ParameterError: An unknown parameter of a step; all steps are checked before the first is done.
        PluginNotFound: An unknown step.
        VerificationError: An artifact does not compute what its source computes.
        ConversionError: A converter failed.
    """
    require_compiled(require_built(model))
    if not isinstance(data, Data):
        raise DataError(f"compress takes a tfkit.Data, which it trains and chooses on; got {type(data).__name__}")
    if max_drop is not None and not max_drop >= 0:
        raise ParameterError(f"the parameter 'max_drop' of compress must be a float >= 0 or None; got {max_drop!r}")
    compressors = _compressors(steps)
    folder = _folder(directory)
    chain = _Chain(model, data, metric, max_drop, epochs, model)
    chain.table.append(measured_row("source", model, data, metric))
    ends = time.monotonic() + (float("inf") if time_budget is None else time_budget)
    with task("compress", total=len(compressors)) as advance:
        for position, (name, compressor) in enumerate(compressors, start=1):
            if time.monotonic() >= ends:
                say(f"compress: the time budget of {time_budget} s is spent before step {position}, {name}")
                break
            _run_step(chain, name, compressor, folder / f"{position}-{name}")
            advance(name)
    if data.test is not None:
        subject = _subject(chain.model, chain.artifacts)
        chain.table[-1]["test_metric"] = part_metric(subject, data, "test", metric)
    return CompressionResult(chain.model, chain.artifacts, chain.table)


def _folder(directory: str | Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="tfkit-compress-"))
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"the directory {str(directory)!r} cannot be made ({error.strerror})") from None
    return Path(directory)


def _compressors(steps: Sequence[Step]) -> list[tuple[str, Compressor]]:
    if isinstance(steps, str):
        hint = " (the search over steps, 'auto', is not built yet)" if steps == "auto" else ""
        raise ParameterError(f"steps must be a list such as ['quantize']; got {steps!r}{hint}")
    named = [step_name(step) for step in steps]
    return [(name, create("compressor", name, **params)) for name, params in named]


def _run_step(chain: _Chain, name: str, compressor: Compressor, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy = compiled_copy(chain.model)
    made = compressor.compress(copy, chain.data, epochs=chain.epochs, directory=folder)
    subject = _subject(made.model, made.artifacts)
    label = getattr(compressor, "label", name)
    row = measured_row(label, subject, chain.data, chain.metric, source=chain.source)
    row["kept"] = _within_bound(chain, row["metric"])
    row["notes"] = list(made.notes)
    row["path"] = str(_saved(made, folder))
    chain.table.append(row)
    if not row["kept"]:
        lost = abs(chain.table[0]["metric"] - row["metric"])
        say(f"compress: {label} is undone: it loses {lost:.4f}, more than max_drop={chain.max_drop}")
        shutil.rmtree(folder, ignore_errors=True)
        return
    if made.model is not None:
        if chain.artifacts:
            say(f"compress: {label} changes the model, so the artifacts made before it are dropped: make them last")
        chain.model, chain.artifacts = made.model, {}
    chain.artifacts.update(made.artifacts)


def _saved(made: Compressed, folder: Path) -> Path:
    """Where the step's result is: its artifact, else its model, saved here."""
    if made.artifacts:
        return next(iter(made.artifacts.values()))
    made.model.save(folder / "model.keras")
    return folder / "model.keras"


def _within_bound(chain: _Chain, value: float) -> bool:
    if chain.max_drop is None:
        return True
    drop = chain.table[0]["metric"] - value
    return (drop if higher_is_better(chain.metric) else -drop) <= chain.max_drop + 1e-12


def _subject(model: Any, artifacts: dict[str, Path] | Any) -> Any:
    """What is measured: the artifact where there is one, else the model."""
    return next(iter(artifacts.values()), model)
