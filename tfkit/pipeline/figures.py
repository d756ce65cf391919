"""What is measured of a trial's model where an objective or a constraint names it: its size, work and speed."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.data import Data
from tfkit.flops import flops
from tfkit.goal import FIGURES, Goal
from tfkit.measurement import Measurement, count_parameters, measure
from tfkit.reasons import reason

if TYPE_CHECKING:
    import keras

# Known of a model that is not trained yet, at next to no cost.
EARLY = ("parameters", "flops")
_LITERT = "litert_"
_ROWS = 32


class Excluded(Exception):
    """A model exceeds a bound, whatever training makes of it.

    Attributes:
        figures: What was measured of it.
    """

    def __init__(self, figures: dict[str, float]) -> None:
        super().__init__(figures)
        self.figures = figures


def check_early(model: keras.Model, goal: Goal) -> None:
    """Checks what is known of a model before it is trained; it must be built.

    Args:
        model: The model.
        goal: What is measured is what its objectives and constraints name.

    Raises:
        Excluded: It exceeds a bound.
        keras_tuner.errors.FailedTrialError: It cannot be measured; the text says why.
    """
    found = _told(lambda: _early(model, goal.figures))
    if goal.violation(found) > 0:
        raise Excluded(found)


def figures(model: keras.Model, names: Collection[str], data: Data) -> dict[str, float]:
    """Measures a model.

    Args:
        model: The model; it stays as it is.
        names: What to measure, of `tfkit.goal.FIGURES`: "parameters"; "flops" for one row; "bytes" of its .keras
            without the optimizer's state; "latency_ms" of one row, the median, as a traced function; "litert_bytes" and
            "litert_latency_ms" of its LiteRT file, in float32 and on one thread.
        data: Gives rows.

    Raises:
        keras_tuner.errors.FailedTrialError: It cannot be measured, or not converted; the text says why.
    """
    return _told(lambda: _figures(model, [name for name in FIGURES if name in names], data))


def _told(measured: Any) -> dict[str, float]:
    """What a function measures; it would fail again, so a trial of which it cannot be known has failed for good."""
    import keras_tuner

    try:
        found: dict[str, float] = measured()
    except Exception as error:
        raise keras_tuner.errors.FailedTrialError(
            f"the model cannot be measured: {type(error).__name__}: {reason(error)}"
        ) from error
    return found


def _figures(model: keras.Model, names: Collection[str], data: Data) -> dict[str, float]:
    found = _early(model, names)
    plain = [name for name in names if name in ("bytes", "latency_ms")]
    if plain:
        found |= _of(measure(model, data.sample(1), repeats=_repeats(plain)), plain)
    litert = [name for name in names if name.startswith(_LITERT)]
    return found | _litert(model, litert, data) if litert else found


def _early(model: keras.Model, names: Collection[str]) -> dict[str, float]:
    known = {"parameters": count_parameters, "flops": flops}
    return {name: float(known[name](model)) for name in EARLY if name in names}


def _litert(model: keras.Model, names: Collection[str], data: Data) -> dict[str, float]:
    from tfkit.formats.conversion import convert

    with tempfile.TemporaryDirectory(prefix="tfkit-figures-") as folder:
        path = convert(model, Path(folder, "model.tflite"), check=data.sample(_ROWS)).path
        plain = [name.removeprefix(_LITERT) for name in names]
        found = _of(measure(path, data.sample(1), repeats=_repeats(plain)), plain)
    return {f"{_LITERT}{name}": value for name, value in found.items()}


def _of(measured: Measurement, names: Collection[str]) -> dict[str, float]:
    known = {"bytes": float(measured.bytes), "latency_ms": measured.latency_p50_ms}
    return {name: known[name] for name in names}


def _repeats(names: Collection[str]) -> int:
    return 200 if "latency_ms" in names else 1
