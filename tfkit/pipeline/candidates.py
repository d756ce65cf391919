"""Candidates of an automatic search: each measured, judged and written down before the next begins."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit.errors import TfkitError
from tfkit.factory import create
from tfkit.models import load_model
from tfkit.pipeline.arms import Arm, Trainer
from tfkit.pipeline.clock import Clock
from tfkit.pipeline.copies import compiled_copy, recompiled, saved
from tfkit.pipeline.front import OBJECTIVES
from tfkit.pipeline.journal import Journal
from tfkit.pipeline.moves import Made, Values, changes_the_model
from tfkit.pipeline.rows import Row, Yardstick, within
from tfkit.progress import Advance
from tfkit.protocols import Compressed
from tfkit.registry import installed


@dataclass
class Candidate:
    """A model that was measured.

    Attributes:
        row: Its row; `keras_path` is where its Keras model lies, without one it is the source, and `arm_path` where
            that of its arm lies if it is another one.
        drop: The loss of the metric against the source, measured or, where that is more, to be expected.
        arm: What it was made from; None for the source's own float file.
        finish: The step that made the file; None where there is none.
    """

    row: Row
    drop: float
    arm: Arm | None = None
    finish: Made | None = None

    @property
    def artifacts(self) -> dict[str, Path]:
        """Its file by format; none where it is a Keras model alone."""
        return {self.row["format"]: Path(self.row["path"])} if "format" in self.row else {}

    def model(self, source: Any) -> Any:
        """The Keras model as it was then, compiled as the source is."""
        path = self.row.get("keras_path")
        return compiled_copy(source) if path is None else recompiled(load_model(Path(path)), source)


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
        journal: Where each row is written down.
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
    journal: Journal
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
        found = self.finish(arm, *self.finishes[0]) if self.finishes else self._as_keras(arm)
        if found is not None:
            arm.drops.append((arm.epochs, found.drop))
            arm.cost = found.row[self.cost]
        return found

    def finish(self, arm: Arm, label: str, made: Made) -> Candidate | None:
        """An arm's model as a file, measured; None where the compressor refuses it, which is written down."""
        told = f"{arm.told()}, {label}" if arm.values else label
        with self.attempt(told, label) as attempt:
            model = self.trainer.finished(arm, self.clock.ends - self.clock.reserve)
            begun = time.monotonic()
            name, params = made
            compressor = create("compressor", name, **{**params, **self._time_limit(made)})
            given = compiled_copy(model) if changes_the_model(made) else model
            result = compressor.compress(given, self.trainer.data, epochs=0, directory=attempt.folder)
            row = {**self._row(told, result, model), **_about(arm, label, result)}
            self.clock.note("convert", time.monotonic() - begun)
            attempt.row = {**row, **_kept_models(attempt.folder, arm, model, result)}
        if attempt.row is None:
            return None
        arm.finished.add(label)
        return self.keep(attempt.row, arm, made)

    def retrain(self, candidate: Candidate, params: dict[str, Any], epochs: int, ends: float) -> Candidate | None:
        """Trains a candidate with quantized weights and measures it; None where that is refused.

        Args:
            candidate: What was made from an arm.
            params: Bits of weights and activations.
            epochs: Epochs of training.
            ends: `time.monotonic()` at which that ends at the latest.
        """
        arm = candidate.arm
        assert arm is not None
        label = f"qat {candidate.row['finish']}"
        told = f"{arm.told()}, {label}"
        with self.attempt(told, label) as attempt:
            model = candidate.model(self.yardstick.source)
            result = self.trainer.quantized(model, params, epochs, ends, attempt.folder)
            row = {**self._row(told, result, result.model), **_about(arm, label, result)}
            row["epochs"] = round(candidate.row["epochs"] + epochs, 2)
            recompiled(result.model, self.yardstick.source)
            attempt.row = {**row, "keras_path": str(saved(result.model, attempt.folder / "model.keras"))}
        return None if attempt.row is None else self.keep(attempt.row, arm)

    @contextmanager
    def attempt(self, told: str, label: str) -> Iterator[Attempt]:
        """A folder to work in, and what is done where the compressor refuses: written down, the folder removed."""
        attempt = Attempt(self.folder / f"{self._number():03d}-{label.replace(' ', '-')}")
        attempt.folder.mkdir(parents=True)
        try:
            yield attempt
        except Exception as error:  # a stranger's compressor may raise anything; the search goes on without it
            attempt.row = None
            shutil.rmtree(attempt.folder, ignore_errors=True)
            self.refuse(told, error)

    def keep(self, row: Row, arm: Arm | None = None, finish: Made | None = None) -> Candidate:
        """Judges a candidate and writes it down."""
        candidate = self.judged(row, arm, finish)
        self.record(row)
        return candidate

    def sort_finishes(self) -> None:
        """The cheapest first that loses little: arms are measured in it, and the bound is for what is cut out."""
        harmless = [each for each in self.found if each.arm is not None and each.arm.is_source]
        harmless = [each for each in harmless if each.drop <= self.max_drop / 4]
        costs = {each.row["finish"]: each.row[self.cost] for each in harmless}
        self.finishes.sort(key=lambda each: costs.get(each[0], math.inf))

    def judged(self, row: Row, arm: Arm | None = None, finish: Made | None = None) -> Candidate:
        """A candidate of a row, which says afterwards whether it is within the bound: measured, and to be expected."""
        drop = self.yardstick.drop(row, self.source_row)
        if row.get("expected_drop") is not None:
            drop = max(drop, row["expected_drop"])
        row["kept"] = within(drop, self.max_drop)
        candidate = Candidate(row, drop, arm, finish)
        self.found.append(candidate)
        return candidate

    def refuse(self, told: str, error: Exception, settings: Values | None = None) -> None:
        """Writes down what could not be made, and why; with the settings of a whole arm."""
        name = "" if isinstance(error, TfkitError) else f"{type(error).__name__}: "
        about = {} if settings is None else {"settings": dict(settings)}
        self.record({"step": told, **about, "kept": False, "error": " ".join(f"{name}{error}".split())[:500]})

    def refused_settings(self) -> list[Values]:
        """The settings of arms that could not be made."""
        return [row["settings"] for row in self.rows if "error" in row and "settings" in row]

    def record(self, row: Row) -> None:
        """Writes a row down, whatever comes after."""
        row["seconds"] = round(self.clock.gone(), 1)
        self.rows.append(row)
        self.journal.write(row)
        words = row.get("error") or f"metric {row['metric']:.4f}, {row['bytes']} bytes, {row['latency_p50_ms']:.3f} ms"
        self.advance(f"{row['step']}: {words}"[:100])

    def _number(self) -> int:
        """One more than that of any attempt's folder, those of earlier calls included."""
        numbers = [int(each.name.partition("-")[0]) for each in self.folder.glob("[0-9][0-9][0-9]-*")]
        return max(numbers, default=0) + 1

    def _row(self, told: str, result: Compressed, model: Any) -> Row:
        subject = next(iter(result.artifacts.values()), result.model)
        return self.yardstick.row(told, subject, model=model)

    def _as_keras(self, arm: Arm) -> Candidate | None:
        with self.attempt(arm.told(), "keras") as attempt:
            model = self.trainer.finished(arm, self.clock.ends - self.clock.reserve)
            path = str(saved(model, attempt.folder / "model.keras"))
            row = self._row(arm.told(), Compressed(model), model)
            attempt.row = {**row, **_about(arm, None, Compressed(model)), "path": path, "keras_path": path}
        return None if attempt.row is None else self.keep(attempt.row, arm)

    def _time_limit(self, made: Made) -> dict[str, float]:
        """A limit for converters that take one: what is left, and a little of the tenth that may be overrun."""
        takes = "timeout" in [each["name"] for each in installed().get("compressor", made[0]).parameters]
        if changes_the_model(made) or not takes:
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


def _kept_models(folder: Path, arm: Arm, model: Any, result: Compressed) -> Row:
    """Where an arm's model is kept, and what a compressor made of it where that is a Keras model too."""
    if not result.artifacts:
        path = str(saved(result.model, folder / "model.keras"))
        kept = {} if arm.is_source else {"arm_path": str(saved(model, folder / "arm.keras"))}
        return {"path": path, "keras_path": path, **kept}
    return {} if arm.is_source else {"keras_path": str(saved(model, folder / "model.keras"))}


def _about(arm: Arm, finish: str | None, result: Compressed) -> Row:
    """What a row says of how its model was made."""
    files = [{"format": key, "path": str(path)} for key, path in result.artifacts.items()][:1]
    return {
        "finish": finish,
        "settings": dict(arm.values),
        "epochs": round(arm.epochs, 2),
        "epoch_seconds": arm.epoch_seconds,
        "notes": list(result.notes),
        **(files[0] if files else {}),
    }
