"""Race: ways to train one model, measured beside each other."""

from __future__ import annotations

import contextlib
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit.data import Data
from tfkit.pipeline.layouts import Layout

_WORTH = 1.03  # a way counts as faster from here on
_WINDOWS, _ROUNDS, _LAST_ROUNDS = 4, 2, 4
_COMPILING = 10  # times what it takes to trace
_ENDLESS = 10**9  # epochs: the stopwatch ends the fit


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes:
        layout: How the rows come: a name of `tfkit.pipeline.layouts`.
        batch_size: Rows in a batch.
        steps_per_execution: Steps that Keras runs before it comes back to Python.
        jit_compile: Whether XLA compiles the step.
        precision: The dtype policy that layers compute by; None is the model's own.
    """

    layout: str
    batch_size: int
    steps_per_execution: int
    jit_compile: bool
    precision: str | None = None


class Race:
    """Measures ways by short fits and keeps the fastest for the best.

    Args:
        model: A compiled model; its weights change.
        data: The data, of which the train part is taken.
        found: Layouts by name, the first of which is the default.
        seconds: After this much time nothing more is begun.
        advance: Shows progress.

    Attributes:
        default: What `fit` does by itself.
        best: The fastest way so far.
        left_out: Ways that were not measured, or do not count, with the reason.
    """

    def __init__(
        self, model: Any, data: Data, found: dict[str, Layout], seconds: float, advance: Callable[[str], None]
    ) -> None:
        self.model, self.data, self.layouts, self.seconds = model, data, found, seconds
        self.default = self.best = Way(
            next(iter(found)), data.batch_size, model.steps_per_execution, bool(model.jit_compile)
        )
        self.left_out: dict[str, str] = {}
        self._ends = time.monotonic() + seconds
        self._window = min(0.25, max(0.02, seconds / 200))
        self._advance = advance
        self._paces: dict[Way, list[float]] = {}
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._fits: dict[tuple[str, int], dict[str, Any]] = {}
        self._traced = 0.0

    def run(self, alternatives: Sequence[Way]) -> None:
        """Measures ways beside the best so far and takes the fastest of all for it."""
        others = [way for way in alternatives if way not in self._paces and way != self.best]
        if not others:
            return
        if self._late():
            self.left_out.update({str(way): "no time was left for it" for way in others})
            return
        found = self._taking_turns([self.best, *others], _ROUNDS)
        fastest = min(found, key=lambda way: found[way])
        if found[self.best] / found[fastest] >= _WORTH:
            self.best = fastest

    def again(self, way: Way) -> float:
        """The time of the default over that of a way, both measured once more."""
        found = self._taking_turns([self.default, way], _LAST_ROUNDS)
        return found[self.default] / found[way] if way in found else 0.0

    def pace(self, way: Way) -> float:
        """Seconds of a row, the median of all that was measured; of a way that was not, it is measured now."""
        if way not in self._paces:
            self._taking_turns([way], 1)
        return statistics.median(self._paces[way])

    def rows_per_second(self) -> dict[Way, float]:
        """What each way that was measured trains in a second."""
        return {way: 1 / self.pace(way) for way in self._paces}

    def fit_arguments(self, way: Way) -> dict[str, Any]:
        """What `fit` is called with."""
        key = (way.layout, way.batch_size)
        if key not in self._fits:
            self._fits[key] = self.layouts[way.layout](way.batch_size)
        return dict(self._fits[key])

    def batches(self) -> int | None:
        """Batches of an epoch; None where that is not known."""
        arguments = self.fit_arguments(self.best)
        if "batch_size" in arguments:
            return -(-self.data.rows("train") // self.best.batch_size)
        count = int(arguments["x"].cardinality())
        return count if count > 0 else None

    def in_graph(self) -> bool:
        """Whether steps run in one graph on one device, so that they can be compiled or run several at once."""
        if not self.model.run_eagerly and self.model.distribute_strategy.num_replicas_in_sync == 1:
            return True
        self.left_out["steps_per_execution, jit_compile"] = "the model runs eagerly, or on several replicas"
        return False

    def can_compile(self) -> bool:
        """Whether there is time for XLA."""
        if time.monotonic() + _COMPILING * self._traced < self._ends:
            return True
        self.left_out["jit_compile"] = "there was no time to compile"
        return False

    def _taking_turns(self, ways: Sequence[Way], rounds: int) -> dict[Way, float]:
        """Seconds of a row by each way; a way that fails is left out, but for the first."""
        seen: dict[Way, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in list(seen):
                if self._late() and all(seen.values()):
                    break
                try:
                    seen[way] += self._visit(way)
                except Exception as error:
                    if way == ways[0]:
                        raise
                    self.left_out[str(way)] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
                    del seen[way]
                self._advance("")
        for way in [way for way, paces in seen.items() if not paces and way != ways[0]]:
            self.left_out[str(way)] = "it took too long to be measured"
            del seen[way]
        for way, paces in seen.items():
            self._paces.setdefault(way, []).extend(paces)
        return {way: statistics.median(paces) for way, paces in seen.items()}

    def _visit(self, way: Way) -> list[float]:
        """Seconds of a row in each window of a short fit."""
        from tfkit.attach.precision import computed_in
        from tfkit.attach.stopwatch import Stopwatch

        watch = Stopwatch(self._window, _WINDOWS, self._ends)
        with warnings.catch_warnings(), computed_in(self.model, way.precision), self._compiled(way):
            # Keras says so at the first end of a dataset that does not know its length.
            warnings.filterwarnings("ignore", "Your input ran out of data", UserWarning)
            self.model.fit(**self.fit_arguments(way), epochs=_ENDLESS, callbacks=[watch], verbose=0)
        self._traced = max(self._traced, watch.first_seconds)
        return [each / way.batch_size for each in watch.step_seconds]

    @contextlib.contextmanager
    def _compiled(self, way: Way) -> Iterator[None]:
        """Has the model run that way; its graph is traced once however often it is its turn."""
        model = self.model
        before = model.steps_per_execution, model.jit_compile, model.train_function
        key = (way.steps_per_execution, way.jit_compile, way.precision)
        model.steps_per_execution, model.jit_compile = way.steps_per_execution, way.jit_compile
        model.train_function = self._functions.get(key)
        try:
            yield
            self._functions[key] = model.train_function
        finally:
            model.steps_per_execution, model.jit_compile, model.train_function = before

    def _late(self) -> bool:
        return time.monotonic() > self._ends
