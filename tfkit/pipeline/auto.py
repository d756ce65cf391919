"""The automatic search over compressors: which, how strong, in which order, and trained for how long.

Cheap things first. The source is quantized in every way there is, which takes a conversion each. A
searcher's oracle then gives strengths (a ladder of one compressor, then all of them together); each is
cut out of the source, trained for a few epochs with the source as its teacher, converted and measured.
That figure is a lower bound, so the rest of the time goes to training: always to the smallest arm that
is predicted to come within the bound in the time that is left, twice as long each time, and to a
milder one when the prediction fails. At the end the best arms are converted in the other ways too, and
those that then lose too much are trained with quantized weights.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from pathlib import Path
from typing import Any

from tfkit.data import Data
from tfkit.interrupt import heard_interrupts
from tfkit.pipeline import moves
from tfkit.pipeline.arms import Arm, Trainer, timed
from tfkit.pipeline.candidates import JOURNAL, Candidate, Search
from tfkit.pipeline.clock import Clock
from tfkit.pipeline.copies import compiled_copy, saved
from tfkit.pipeline.front import pareto
from tfkit.pipeline.proposals import Proposals
from tfkit.pipeline.refine import between, polish, refine
from tfkit.pipeline.result import CompressionResult
from tfkit.pipeline.rows import Yardstick, litert_latency, part_metric, signature_latency
from tfkit.progress import say, task
from tfkit.recipe import Step

_SECONDS = 600.0
_MAX_DROP = 0.01
# Shares of the budget by which a phase has ended.
_FINISH_BY, _EXPLORE_BY = 0.3, 0.35
# First looks in a row that may bring nothing better.
_PATIENCE = 12


def search_steps(
    source: Any,
    data: Data,
    *,
    metric: Step,
    max_drop: float | None,
    epochs: int,
    target: str,
    time_budget: float | None,
    folder: Path,
    begun: float,
    searcher: Step = "random",
    seed: int = 0,
) -> CompressionResult:
    """Searches for the smallest or the fastest model within a bound; see this module and `tfkit.compress`.

    Each candidate is on disk, in `candidates.jsonl`, before the next begins. Ctrl-C ends the search and
    keeps what it has found.

    Args:
        source: A built and compiled Keras model.
        data: Train, validation and test parts.
        metric: What may drop, by at most `max_drop` on the validation part (None: 0.01).
        max_drop: The bound.
        epochs: Epochs of the first look at a strength; 0 trains nothing at all.
        target: "size" or "latency".
        time_budget: Seconds, None for ten minutes.
        folder: Where files go.
        begun: `time.monotonic()` at which the budget began.
        searcher: Gives the strengths.
        seed: The searcher's.
    """
    (folder / JOURNAL).unlink(missing_ok=True)
    installed = moves.installed_moves()
    spaces = [("grid", moves.ladder(installed, target)), (searcher, moves.space(installed, target))]
    proposals = Proposals(spaces if installed else [], folder / "search", seed)
    clock = Clock(begun, _SECONDS if time_budget is None else time_budget)
    yardstick = Yardstick(source, data.without_test(), metric)
    bound = _MAX_DROP if max_drop is None else max_drop
    with task("compress auto") as advance, heard_interrupts(), contextlib.closing(proposals):
        search = Search(yardstick, Trainer(source, data, folder), clock, bound, epochs, target, folder, advance)
        interrupted = _interrupted(search, proposals)
    return _result(search, data, metric, interrupted)


def _interrupted(search: Search, proposals: Proposals) -> bool:
    """Runs the phases; whether Ctrl-C ended them."""
    _measure_source(search)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a compressor's are in the notes of its row
            _finish_source(search)
            _explore(search, proposals)
            polish(search)
    except KeyboardInterrupt:
        say(f"compress: interrupted; {len(search.found)} candidates are kept in {search.folder / JOURNAL}")
        return True
    return False


def _measure_source(search: Search) -> None:
    """The source's row; what it takes is kept free for the end, when the chosen one is measured likewise."""
    source, clock = search.yardstick.source, search.clock
    row, seconds = timed(lambda: search.yardstick.row("source", source))
    search.clock.note("row", seconds)
    if clock.fits(4 * seconds):
        latency, more = timed(lambda: signature_latency(source, search.yardstick.data))
        row.update(latency)
        seconds += more
    search.record(row)
    clock.reserve = 1.0 + 1.2 * seconds


def _finish_source(search: Search) -> None:
    """The source as a file in every way there is: no training, one conversion each."""
    if search.clock.fits(search.clock.cost("convert")):
        _convert_source(search)
    if not search.finishes:
        search.clock.forget("convert", search.clock.cost("row"))  # from here on models are measured as they are


def _convert_source(search: Search) -> None:
    clock, source = search.clock, search.yardstick.source
    found, seconds = timed(lambda: litert_latency(source, search.folder / "source.tflite", search.yardstick.data))
    clock.note("convert", seconds)
    search.source_row.update(found)
    if found["litert_path"] is not None:
        path = Path(found["litert_path"])
        row = search.yardstick.row("float LiteRT", path, model=source)
        search.keep({**row, "path": str(path), "epochs": 0}, source, {"litert": path})
    unchanged = Arm({}, source)
    for label, made in moves.finishes():
        if (search.finishes and clock.spent() > _FINISH_BY) or not clock.fits(clock.cost("convert")):
            break
        if search.finish(unchanged, label, made, source) is not None:
            search.finishes.append((label, made))
    # Arms are measured in the first of them, which should leave the bound to what is cut out of the model.
    harmless = [each for each in search.found if each.drop <= search.max_drop / 4]
    costs = {each.row.get("finish"): each.row[search.cost] for each in harmless}
    search.finishes.sort(key=lambda each: costs.get(each[0], math.inf))


def _explore(search: Search, proposals: Proposals) -> None:
    """Looks at strengths for a share of the time, then trains the promising ones longer, and goes on with both."""
    while _time_to_explore(search) and _proposed(search, proposals):
        pass
    refine(search)
    vain = 0
    while vain < _PATIENCE and search.clock.fits(_look_seconds(search)):
        before = search.best()
        values = between(search)
        if values is not None:
            _first_look(search, values)
        elif not _proposed(search, proposals):
            return
        refine(search)
        vain = vain + 1 if search.best() is before else 0


def _proposed(search: Search, proposals: Proposals) -> bool:
    """Looks at the next strength; False where all were tried."""
    values = proposals.next()
    if values is None:
        return False
    proposals.tell(_first_look(search, values))
    return True


def _time_to_explore(search: Search) -> bool:
    explored = search.clock.spent() > _EXPLORE_BY and search.arms
    return not explored and search.clock.fits(_look_seconds(search))


def _look_seconds(search: Search) -> float:
    known = [arm.epoch_seconds for arm in search.arms if arm.epoch_seconds is not None]
    epoch = sum(known) / len(known) if known else 0.0
    return search.clock.cost("build") + search.epochs * epoch + search.clock.cost("convert")


def _first_look(search: Search, values: moves.Values) -> float | None:
    """A score of one strength, None where it was refused."""
    try:
        arm, seconds = timed(lambda: search.trainer.arm(values))
        search.clock.note("build", seconds)
        if search.epochs:
            search.trainer.train(arm, search.epochs, _look_ends(search, values))
        measured = search.measure(arm)
    except Exception as error:  # as in Search.attempt
        search.refuse(moves.told(values) or "unchanged", error)
        return None
    if measured is None:
        return None
    search.arms.append(arm)
    return _score(search, measured)


def _look_ends(search: Search, values: moves.Values) -> float:
    """When the training of a first look ends at the latest: what is left, and a third of what exploring may take."""
    clock = search.clock
    known = [arm.epoch_seconds for arm in search.arms if arm.epoch_seconds is not None]
    last = search.trainer.finish_epochs(values, search.epochs) * max(known, default=0.0)
    most = max(1.0, clock.seconds * _EXPLORE_BY / 3)
    return min(time.monotonic() + most, clock.ends - clock.reserve - clock.cost("convert") - last)


def _score(search: Search, found: Candidate) -> float:
    """How often the cost was halved, less what the metric fell short of the bound, in quarters of the bound."""
    base = search.source_row.get("litert_bytes" if search.target == "size" else "litert_p50_ms")
    halved = math.log2((base or search.source_row[search.cost]) / found.row[search.cost])
    return halved - max(0.0, found.drop - search.max_drop) / max(search.max_drop, 0.005) / 4


def _result(search: Search, data: Data, metric: Step, interrupted: bool) -> CompressionResult:
    source = search.yardstick.source
    best = search.best() or Candidate(search.source_row, source, {}, 0.0)
    model = compiled_copy(source) if best.model is source else best.model
    best.row["keras_path"] = str(saved(model, search.folder / "model.keras"))
    table = [search.source_row] if best.row is search.source_row else [search.source_row, best.row]
    if data.test is not None:
        subject = next(iter(best.artifacts.values()), model)
        best.row["test_metric"] = part_metric(subject, data, "test", metric)
    if time.monotonic() < search.clock.ends and not interrupted and best.row is not search.source_row:
        best.row.update(signature_latency(model, search.yardstick.data))
    rows = [each.row for each in search.found] or [search.source_row]
    front = pareto(rows, search.cost, higher_is_better=search.yardstick.higher_is_better)
    return CompressionResult(model, best.artifacts, table, front, search.rows[1:], interrupted)
