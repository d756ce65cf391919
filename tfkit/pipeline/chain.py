"""Chain: steps of compression in a row, each made from what the one before it left, measured, kept or undone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfkit.pipeline.copies import compiled_copy, recompiled, saved
from tfkit.pipeline.result import CompressionResult
from tfkit.pipeline.rows import Row, Yardstick, litert_latency, part_metric, signature_latency, within
from tfkit.pipeline.steps import PlannedStep
from tfkit.progress import say, task
from tfkit.protocols import Compressed, Compressor
from tfkit.recipe import Step

# What a model's latencies as a server and as LiteRT runs it take at least, in seconds.
_RUNTIME_SECONDS = 5.0


class Chain:
    """What the steps so far have led to, and what bounds them.

    Args:
        yardstick: What everything is measured with; its source is where the chain begins.
        max_drop: Largest loss of the metric; None for any.
        epochs: Epochs of each step that has none of its own.
        folder: Where files go.
        ends: `time.monotonic()` after which no step begins.
    """

    def __init__(
        self, yardstick: Yardstick, max_drop: float | None, epochs: int, folder: Path, ends: float = float("inf")
    ) -> None:
        self.yardstick = yardstick
        self.max_drop = max_drop
        self.epochs = epochs
        self.folder = folder
        self.ends = ends
        self.model = yardstick.source
        self.artifacts: dict[str, Path] = {}
        self.table: list[Row] = [yardstick.row("source", yardstick.source)]

    def run(self, steps: Sequence[PlannedStep], compressors: Sequence[Compressor]) -> None:
        """Does one step after the other, until time is up."""
        with task("compress", total=len(steps)) as advance:
            for position, (step, compressor) in enumerate(zip(steps, compressors), start=1):
                if time.monotonic() >= self.ends:
                    say(f"compress: the time budget is spent before step {position}, {step.name}")
                    break
                self._run_step(step, compressor, self.folder / f"{position}-{step.name}")
                advance(step.name)

    def result(self, metric: Step) -> CompressionResult:
        """What it has led to: the last row gets the metric on the test part, where there is one."""
        self._compare_runtimes()
        data = self.yardstick.data
        if data.test is not None:
            subject = next(iter(self.artifacts.values()), self.model)
            self.table[-1]["test_metric"] = part_metric(subject, data, "test", metric)
        return CompressionResult(self.model, self.artifacts, self.table)

    def _run_step(self, step: PlannedStep, compressor: Compressor, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made, notes = self._made(step, compressor, folder)
        subject = next(iter(made.artifacts.values()), made.model)
        label = getattr(compressor, "label", step.name)
        row = self.yardstick.row(label, subject, model=made.model or self.model)
        drop = self.yardstick.drop(row, self.table[0])
        row["kept"] = within(drop, self.max_drop)
        row["notes"] = notes
        row["path"] = str(_saved(made, self.yardstick.source, folder))
        self.table.append(row)
        if not row["kept"]:
            say(f"compress: {label} is undone: it loses {drop:.4f}, more than max_drop={self.max_drop}")
            shutil.rmtree(folder, ignore_errors=True)
            return
        self._keep(made, label)

    def _made(self, step: PlannedStep, compressor: Compressor, folder: Path) -> tuple[Compressed, list[str]]:
        """What the step makes of a copy of the model, and what is to be said of it."""
        from tfkit.attach.deadline import deadline

        epochs = self.epochs if step.epochs is None else step.epochs
        with deadline(self.ends) as limit:
            data = self.yardstick.data.without_test()
            made = compressor.compress(compiled_copy(self.model), data, epochs=epochs, directory=folder)
        if not limit.reached:
            return made, list(made.notes)
        say(f"compress: the training of {step.name} was cut short by the time budget")
        return made, [*made.notes, "its training was cut short by the time budget"]

    def _keep(self, made: Compressed, label: str) -> None:
        if made.model is not None:
            if self.artifacts:
                say(f"compress: {label} changes the model, so the artifacts made before it are dropped: make them last")
            self.model, self.artifacts = made.model, {}
        self.artifacts.update(made.artifacts)

    def _compare_runtimes(self) -> None:
        """Latencies that cost seconds to take, for the first and the last alone: as a server and as LiteRT runs them.

        Left out where the time that is left is less than the last of them took.
        """
        source, data = self.yardstick.source, self.yardstick.data
        kept = [row for row in self.table if row["kept"]]
        wanted: list[tuple[Row, Callable[[], Row]]] = [(self.table[0], lambda: signature_latency(source, data))]
        if self.model is not source:
            wanted.append((kept[-1], lambda: signature_latency(self.model, data)))
        if "litert" in self.artifacts:
            wanted.append((self.table[0], lambda: litert_latency(source, self.folder / "source.tflite", data)))
        seconds = _RUNTIME_SECONDS
        for row, measured in wanted:
            begun = time.monotonic()
            if begun + seconds > self.ends:
                return
            row.update(measured())
            seconds = time.monotonic() - begun


def _saved(made: Compressed, source: Any, folder: Path) -> Path:
    """Where the step's result is: its artifact, else its model, saved here."""
    if made.artifacts:
        return next(iter(made.artifacts.values()))
    if not made.model.compiled:
        recompiled(made.model, source)
    return saved(made.model, folder / "model.keras")
