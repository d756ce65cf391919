"""compress: steps in a row, each measured, the loss of the metric bounded."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tfkit.data import Data
from tfkit.errors import DataError, ParameterError
from tfkit.models import require_built, require_compiled
from tfkit.parameters import Ge, check
from tfkit.pipeline.chain import Chain
from tfkit.pipeline.result import CompressionResult
from tfkit.pipeline.rows import Yardstick
from tfkit.pipeline.steps import AUTO, CompressStep, plan
from tfkit.recipe import Step


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
            for 0.01 in an automatic search, where it bounds `expected_drop` of the table too.
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

        made = {"metric": metric, "folder": _folder(directory), "begun": begun, "searcher": searcher, "seed": seed}
        return search_steps(model, data, **made, **numbers)  # type: ignore[arg-type]
    planned = plan(steps)
    compressors = [step.make(model) for step in planned]
    ends = float("inf") if time_budget is None else begun + time_budget
    chain = Chain(Yardstick(model, data, metric), max_drop, epochs, _folder(directory), ends)
    chain.run(planned, compressors)
    return chain.result(metric)


def _folder(directory: str | Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="tfkit-compress-"))
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"the directory {str(directory)!r} cannot be made ({error.strerror})") from None
    return Path(directory)
