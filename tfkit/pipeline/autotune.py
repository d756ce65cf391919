"""autotune: how to call `compile` and `fit` so that the same training takes less time, measured and never assumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit import progress
from tfkit.data import Data, is_dataset
from tfkit.errors import ParameterError
from tfkit.models import require_compiled
from tfkit.pipeline.layouts import WHOLE_PASS, Preprocess, layouts
from tfkit.pipeline.race import Race, Way

_EXECUTIONS = (8, 32)
_LONGEST_EXECUTION = 0.5  # seconds: callbacks and Ctrl-C wait for the end of an execution
_PROVEN = 1.05  # what is returned is so much faster when it is measured again beside the default


@dataclass(frozen=True)
class Autotuned:
    """What `autotune` found.

    Attributes:
        settings: `{"compile": {…}, "fit": {…}}`, to pass to `compile` and to `fit`; "fit" holds x and y.
        speedup: The time of the default over the time of these settings for the same rows; 1.0 for the default.
        precision: The dtype policy that was faster, of those that were asked for: set it with
            `keras.config.set_dtype_policy` before the model is built.
        way: The way that the settings are of.
        measured: The rows that each way trains in a second, in the order of the measurements.
        left_out: Ways that were not measured, with the reason.
    """

    settings: dict[str, dict[str, Any]]
    speedup: float
    precision: str | None
    way: Way
    measured: dict[Way, float]
    left_out: dict[str, str]


def autotune(
    model: Any,
    data: Any,
    *,
    seconds: float = 20.0,
    preprocess: Preprocess | None = None,
    memory_mb: float | None = None,
    precisions: Sequence[str] = (),
) -> Autotuned:
    """Measures ways to run the same training and returns the settings of the fastest; trains nothing.

    Layouts of the input, steps_per_execution and jit are tried one after the other, each beside the best so far; what
    won is measured once more beside `model.fit(x, y)`, and where it is not clearly faster the default is returned. The
    model is left as it was; TensorFlow's own random numbers go on. Batches of other sizes and other precisions train
    another model, so they are tried only when asked for.

    Args:
        model: A built and compiled model.
        data: A Data, of which the train part is taken, or such a part: arrays, or a dataset of batches.
        seconds: About how long to measure; a graph that is being traced or compiled is not interrupted.
        preprocess: A function of a row of x that the rows go through before the model: mapped before batches are
            made, after it, and once for all are tried.
        memory_mb: Tries larger batches, as far as training takes no more than so many MiB over what is held now.
        precisions: Names of dtype policies to try, such as "mixed_bfloat16".

    Raises:
        ParameterError: A bound is not above 0, or a precision is no policy of Keras.
        ModelError: The model is not built or not compiled.
        DataError: `preprocess` with a dataset.

    Example:
        >>> import keras, numpy as np, tfkit
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> found = tfkit.autotune(model, (np.ones((640, 4)), np.ones(640)), seconds=2)
        >>> model.compile("sgd", "mse", **found.settings["compile"])
        >>> history = model.fit(**found.settings["fit"], epochs=2, verbose=0)
        >>> len(history.history["loss"]), int(model.optimizer.iterations)
        (2, 40)
    """
    from tfkit.attach.range_test import left_as_it_was

    for name, bound in (("seconds", seconds), ("memory_mb", memory_mb)):
        if bound is not None and not bound > 0:
            raise ParameterError(f"the parameter {name!r} of autotune must be > 0; got {bound!r}")
    _check_precisions(precisions)
    require_compiled(model)
    data = data if isinstance(data, Data) else Data(data)
    with left_as_it_was(model), progress.task("autotune") as advance:
        race = Race(model, data, layouts(data, preprocess), seconds, advance)
        for alternatives in _stages(race, memory_mb, precisions):
            race.run(alternatives)
        return _proven(race)


def _check_precisions(precisions: Sequence[str]) -> None:
    import keras

    for name in precisions:
        try:
            keras.DTypePolicy(name)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"the parameter 'precisions' of autotune names no dtype policy: {name!r}") from error


def _stages(race: Race, memory_mb: float | None, precisions: Sequence[str]) -> Iterator[list[Way]]:
    """What is tried beside the best so far, in turn."""
    yield [dataclasses.replace(race.best, layout=name) for name in _in_time(race)]
    if race.in_graph():
        yield [dataclasses.replace(race.best, steps_per_execution=count) for count in _executions(race)]
    if memory_mb is not None:
        yield [dataclasses.replace(race.best, batch_size=size) for size in _larger_batches(race, memory_mb)]
    yield [dataclasses.replace(race.best, precision=each) for each in precisions]
    if race.in_graph() and race.can_compile():
        yield [dataclasses.replace(race.best, jit_compile=not race.default.jit_compile)]


def _in_time(race: Race) -> list[str]:
    """The layouts that a quarter of the time is enough to make."""
    whole = race.pace(race.default) * race.default.batch_size * (race.batches() or 0)
    late = [name for name in race.layouts if name in WHOLE_PASS and whole > race.seconds / 4]
    race.left_out.update(dict.fromkeys(late, f"a pass over all rows takes about {whole:.0f} s; pass a larger seconds="))
    return [name for name in race.layouts if name not in late]


def _executions(race: Race) -> list[int]:
    """Counts of steps in an execution that make sense: no more than an epoch has, and none that takes long."""
    step = race.pace(race.best) * race.best.batch_size
    most = race.batches()
    return [each for each in _EXECUTIONS if each * step <= _LONGEST_EXECUTION and (most is None or each <= most)]


def _larger_batches(race: Race, memory_mb: float) -> list[int]:
    from tfkit.pipeline.batch_finder import find_batch_size

    if is_dataset(race.data.part("train")):
        race.left_out["batch_size"] = "a dataset comes in batches of its own"
        return []
    found = find_batch_size(race.model, race.data, memory_mb=memory_mb, seconds=race.seconds / 4)
    return [each.size for each in found.measured if each.size > race.default.batch_size]


def _proven(race: Race) -> Autotuned:
    """The best way, once it has proven itself beside the default again."""
    best, speedup = race.best, 1.0
    if best != race.default:
        speedup = race.again(best)
    if speedup < _PROVEN:
        if best != race.default:
            race.left_out.setdefault(str(best), f"measured again it was {speedup:.2f} times as fast as the default")
        best, speedup = race.default, 1.0
    compiled = {"steps_per_execution": best.steps_per_execution, "jit_compile": best.jit_compile}
    return Autotuned(
        settings={"compile": compiled, "fit": race.fit_arguments(best)},
        speedup=speedup,
        precision=best.precision,
        way=best,
        measured=race.rows_per_second(),
        left_out=race.left_out,
    )
