"""compress: steps in a row, each measured, the loss of the metric bounded."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from tfkit.data import Data
from tfkit.errors import DataError, ParameterError
from tfkit.models import require_built, require_compiled
from tfkit.parameters import Ge, check
from tfkit.pipeline.copies import compiled_copy, recompiled, saved
from tfkit.pipeline.result import CompressionResult
from tfkit.pipeline.rows import Row, Yardstick, litert_latency, part_metric, signature_latency
from tfkit.pipeline.steps import AUTO, CompressStep, PlannedStep, plan
from tfkit.progress import say, task
from tfkit.protocols import Compressed, Compressor
from tfkit.recipe import Step


@dataclass
class _Chain:
    """What the steps so far have led to, and what bounds them."""

    yardstick: Yardstick
    max_drop: float | None
    epochs: int
    model: Any
    artifacts: dict[str, Path] = field(default_factory=dict)
    table: list[Row] = field(default_factory=list)

    def subject(self) -> Any:
        """What is measured: the artifact where there is one, else the model."""
        return next(iter(self.artifacts.values()), self.model)


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    max_drop: Annotated[float | None, Ge(0), "Largest loss of the metric."] = None
    epochs: Annotated[int, Ge(0), "Epochs of fine-tuning in each step."] = 1
    target: Annotated[Literal["size", "latency"], "What an automatic search makes small."] = "size"
    time_budget: Annotated[float | None, Ge(0), "Seconds."] = None


def compress(
    model: Any,
    steps: str | Sequence[CompressStep],
    data: Data,
    *,
    metric: Step = "accuracy",
    max_drop: float | None = None,
    epochs: int = 1,
    directory: str | Path | None = None,
    target: Literal["size", "latency"] = "size",
    time_budget: float | None = None,
    searcher: Step = "random",
    seed: int = 0,
) -> CompressionResult:
    """Compresses a model by one step after another and measures each, or searches the steps.

    The model that is given stays as it was; a copy is trained, with the optimizer and loss it was
    compiled with. A step that costs more of the metric than `max_drop` is undone, and its row says so.

    With `steps="auto"` order and strength are searched: see `tfkit.pipeline.auto`.

    Args:
        model: A built and compiled Keras model.
        steps: Compressors in their order, each a name, (name, params) or (name, params, epochs), or "auto".
            A `teacher` that is "source" is the model that is given.
        data: Train part for fine-tuning and calibration, validation part for the metric.
        metric: A metric plugin: name or (name, params).
        max_drop: Largest loss of the metric against the source as given, such as 0.005; None for any, and
            for 0.01 in an automatic search.
        epochs: Epochs of fine-tuning in each step; 0 trains nothing. An automatic search, which trains as
            long as its time allows, takes it for the first look at a candidate.
        directory: Where artifacts go; None for a new temporary folder.
        target: What an automatic search over steps makes small; steps that are given are all done.
        time_budget: Seconds after which no further step begins; its row is then missing. An automatic
            search ends by then; None gives it ten minutes.
        searcher: The searcher of an automatic search: name or (name, params).
        seed: Its seed.

    Raises:
        ModelError: The model is not built or not compiled, or Keras cannot save and load it.
        DataError: The data is no tfkit.Data.
        ParameterError: An unknown parameter of a step; all steps are checked before the first is done.
        PluginNotFound: An unknown step.
        VerificationError: An artifact does not compute what its source computes.
        ConversionError: A converter failed.
    """
    begun = time.monotonic()
    require_compiled(require_built(model))
    if not isinstance(data, Data):
        raise DataError(f"compress takes a tfkit.Data, which it trains and chooses on; got {type(data).__name__}")
    numbers = {"max_drop": max_drop, "epochs": epochs, "target": target, "time_budget": time_budget}
    check(_Numbers, numbers, owner="compress")
    if steps == AUTO:
        from tfkit.pipeline.auto import search_steps

        return search_steps(
            model,
            data,
            metric=metric,
            folder=_folder(directory),
            begun=begun,
            searcher=searcher,
            seed=seed,
            **numbers,  # type: ignore[arg-type]
        )
    planned = plan(steps)
    compressors = [step.make(model) for step in planned]
    folder = _folder(directory)
    yardstick = Yardstick(model, data, metric)
    chain = _Chain(yardstick, max_drop, epochs, model)
    chain.table.append(yardstick.row("source", model))
    ends = float("inf") if time_budget is None else begun + time_budget
    with task("compress", total=len(planned)) as advance, _deadline(ends):
        for position, (step, compressor) in enumerate(zip(planned, compressors), start=1):
            if time.monotonic() >= ends:
                say(f"compress: the time budget of {time_budget} s is spent before step {position}, {step.name}")
                break
            _run_step(chain, step, compressor, folder / f"{position}-{step.name}")
            advance(step.name)
    if time.monotonic() < ends:
        _compare_runtimes(chain, folder)
    if data.test is not None:
        chain.table[-1]["test_metric"] = part_metric(chain.subject(), data, "test", metric)
    return CompressionResult(chain.model, chain.artifacts, chain.table)


def _folder(directory: str | Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="tfkit-compress-"))
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"the directory {str(directory)!r} cannot be made ({error.strerror})") from None
    return Path(directory)


@contextlib.contextmanager
def _deadline(ends: float) -> Iterator[None]:
    from tfkit.attach.deadline import deadline

    with deadline(ends):
        yield


def _run_step(chain: _Chain, step: PlannedStep, compressor: Compressor, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy = compiled_copy(chain.model)
    epochs = chain.epochs if step.epochs is None else step.epochs
    made = compressor.compress(copy, chain.yardstick.data.without_test(), epochs=epochs, directory=folder)
    subject = next(iter(made.artifacts.values()), made.model)
    label = getattr(compressor, "label", step.name)
    row = chain.yardstick.row(label, subject, model=made.model or chain.model)
    drop = chain.yardstick.drop(row, chain.table[0])
    row["kept"] = within(drop, chain.max_drop)
    row["notes"] = list(made.notes)
    row["path"] = str(_saved(made, chain.yardstick.source, folder))
    chain.table.append(row)
    if not row["kept"]:
        say(f"compress: {label} is undone: it loses {drop:.4f}, more than max_drop={chain.max_drop}")
        shutil.rmtree(folder, ignore_errors=True)
        return
    if made.model is not None:
        if chain.artifacts:
            say(f"compress: {label} changes the model, so the artifacts made before it are dropped: make them last")
        chain.model, chain.artifacts = made.model, {}
    chain.artifacts.update(made.artifacts)


def _saved(made: Compressed, source: Any, folder: Path) -> Path:
    """Where the step's result is: its artifact, else its model, saved here."""
    if made.artifacts:
        return next(iter(made.artifacts.values()))
    if not made.model.compiled:
        recompiled(made.model, source)
    return saved(made.model, folder / "model.keras")


def within(drop: float, max_drop: float | None) -> bool:
    """Whether a loss is within the bound; None bounds nothing.

    Example:
        >>> within(0.1 + 0.2, 0.3), within(0.31, 0.3)
        (True, False)
    """
    return max_drop is None or drop <= max_drop + 1e-12


def _compare_runtimes(chain: _Chain, folder: Path) -> None:
    """Latencies that cost seconds to take, for the first and the last alone: as a server and as LiteRT runs them."""
    source, data = chain.yardstick.source, chain.yardstick.data
    chain.table[0].update(signature_latency(source, data))
    if chain.model is not source:
        kept = [row for row in chain.table if row["kept"]][-1]
        kept.update(signature_latency(chain.model, data))
    if "litert" in chain.artifacts:
        chain.table[0].update(litert_latency(source, folder / "source.tflite", data))
