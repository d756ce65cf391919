"""Candidates of an automatic search: each measured, judged and written down before the next begins."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit.errors import TfkitError
from tfkit.factory import create
from tfkit.pipeline.arms import Arm, Trainer
from tfkit.pipeline.clock import Clock
from tfkit.pipeline.copies import compiled_copy, saved
from tfkit.pipeline.folder import plain_json
from tfkit.pipeline.front import OBJECTIVES
from tfkit.pipeline.moves import Made
from tfkit.pipeline.rows import Row, Yardstick
from tfkit.progress import Advance
from tfkit.protocols import Compressed
from tfkit.registry import installed

JOURNAL = "candidates.jsonl"


@dataclass
class Candidate:
    """A model that was measured.

    Attributes:
        row: Its row.
        model: The Keras model, as it was then.
        artifacts: Its files by format.
        drop: The loss of the metric against the source.
        arm: What it was made from; None for the source's own float file.
        finish: The step that made the file; None where there is none.
    """

    row: Row
    model: Any
    artifacts: dict[str, Path]
    drop: float
    arm: Arm | None = None
    finish: Made | None = None


@dataclass
class Search:
    """What a search knows.

    Attributes:
        yardstick: What everything is measured with.
        trainer: Makes and trains arms.
        clock: The time budget.
        max_drop: Largest loss of the metric.
        epochs: Epochs of a first look; 0 trains nothing.
        target: "size" or "latency".
        folder: Where files go.
        advance: Shows progress.
        rows: The rows of the source and of all candidates, refused ones too, in their order.
        found: The candidates that were measured.
        arms: The arms that may be trained on.
        finishes: The ways to a file that the source can go, with their labels, the best first.
    """

    yardstick: Yardstick
    trainer: Trainer
    clock: Clock
    max_drop: float
    epochs: int
    target: str
    folder: Path
    advance: Advance
    rows: list[Row] = field(default_factory=list)
    found: list[Candidate] = field(default_factory=list)
    arms: list[Arm] = field(default_factory=list)
    finishes: list[tuple[str, Made]] = field(default_factory=list)

    @property
    def cost(self) -> str:
        """The column that is made small."""
        return OBJECTIVES[self.target]

    @property
    def source_row(self) -> Row:
        """The row of the model that was given."""
        return self.rows[0]

    def best(self) -> Candidate | None:
        """The cheapest candidate within the bound; of equals the one that is smaller after gzip."""
        good = [each for each in self.found if each.row["kept"]]
        return min(good, key=lambda each: (each.row[self.cost], each.row["gzip_bytes"]), default=None)

    def measure(self, arm: Arm) -> Candidate | None:
        """Measures an arm as it is now, as a file where there is a way to one; None where that is refused."""
        model = self.trainer.finished(arm)
        found = self.finish(arm, *self.finishes[0], model) if self.finishes else self._as_keras(arm, model)
        if found is not None:
            arm.drops.append((arm.epochs, found.drop))
            arm.cost = found.row[self.cost]
        return found

    def finish(self, arm: Arm, label: str, made: Made, model: Any) -> Candidate | None:
        """An arm's model as a file, measured; None where the compressor refuses it, which is written down."""
        told = f"{arm.told()}, {label}" if arm.values else label
        begun = time.monotonic()
        with self.attempt(told, label) as attempt:
            name, params = made
            compressor = create("compressor", name, **{**params, **self._time_limit(name)})
            result = compressor.compress(model, self.trainer.data, epochs=0, directory=attempt.folder)
            attempt.row = self._row(told, label, result, model, arm)
        self.clock.note("convert", time.monotonic() - begun)
        if attempt.row is None:
            return None
        arm.finished.add(label)
        frozen = model if arm.is_source else self._frozen(arm, model)
        return self.keep(attempt.row, frozen, dict(result.artifacts), arm, made)

    def retrained(self, candidate: Candidate, told: str, result: Compressed, epochs: int) -> Row:
        """The row of what a compressor made of a candidate by training it on."""
        assert candidate.arm is not None
        row = self._row(told, f"qat {candidate.row['finish']}", result, result.model, candidate.arm)
        return {**row, "epochs": round(candidate.row["epochs"] + epochs, 2)}

    @contextmanager
    def attempt(self, told: str, label: str) -> Iterator[Attempt]:
        """A folder to work in, and what is done where the compressor refuses: written down, the folder removed."""
        attempt = Attempt(self.folder / f"{len(self.rows):03d}-{label.replace(' ', '-')}")
        attempt.folder.mkdir(parents=True, exist_ok=True)
        try:
            yield attempt
        except Exception as error:  # a stranger's compressor may raise anything; the search goes on without it
            attempt.row = None
            shutil.rmtree(attempt.folder, ignore_errors=True)
            self.refuse(told, error)

    def keep(
        self,
        row: Row,
        model: Any,
        artifacts: dict[str, Path],
        arm: Arm | None = None,
        finish: Made | None = None,
    ) -> Candidate:
        """Judges a candidate and writes it down."""
        drop = self.yardstick.drop(row, self.source_row)
        row["kept"] = drop <= self.max_drop + 1e-12
        candidate = Candidate(row, model, artifacts, drop, arm, finish)
        self.found.append(candidate)
        self.record(row)
        return candidate

    def refuse(self, told: str, error: Exception) -> None:
        """Writes down what could not be made, and why."""
        name = "" if isinstance(error, TfkitError) else f"{type(error).__name__}: "
        self.record({"step": told, "kept": False, "error": " ".join(f"{name}{error}".split())[:500]})

    def record(self, row: Row) -> None:
        """Writes a row down, whatever comes after."""
        self.rows.append(row)
        with (self.folder / JOURNAL).open("a") as file:
            file.write(json.dumps(plain_json(row)) + "\n")
        words = row.get("error") or f"metric {row['metric']:.4f}, {row['bytes']} bytes, {row['latency_p50_ms']:.3f} ms"
        self.advance(f"{row['step']}: {words}"[:100])

    def _row(self, told: str, label: str, result: Compressed, model: Any, arm: Arm) -> Row:
        subject = next(iter(result.artifacts.values()), result.model)
        row = self.yardstick.row(told, subject, model=model)
        about = {"finish": label, "epochs": round(arm.epochs, 2), "notes": list(result.notes), "path": str(subject)}
        return {**row, **about, "settings": dict(arm.values)}

    def _as_keras(self, arm: Arm, model: Any) -> Candidate | None:
        with self.attempt(arm.told(), "keras") as attempt:
            path = saved(model, attempt.folder / "model.keras")
            row = self.yardstick.row(arm.told(), model)
            attempt.row = {**row, "epochs": round(arm.epochs, 2), "path": str(path), "settings": dict(arm.values)}
        return None if attempt.row is None else self.keep(attempt.row, self._frozen(arm, model), {}, arm)

    def _frozen(self, arm: Arm, model: Any) -> Any:
        """The model with the weights it has now: arms go on training, what was measured must not."""
        return compiled_copy(model) if self.epochs and model is arm.model else model

    def _time_limit(self, name: str) -> dict[str, float]:
        """A limit for compressors that take one: what is left, and a little of the tenth that may be overrun."""
        if "timeout" not in [each["name"] for each in installed().get("compressor", name).parameters]:
            return {}
        return {"timeout": min(600.0, max(5.0, self.clock.left() + 0.05 * self.clock.seconds))}


@dataclass
class Attempt:
    """One try of a compressor.

    Attributes:
        folder: Where it may write.
        row: The row, once it was measured; None where it was refused.
    """

    folder: Path
    row: Row | None = None
