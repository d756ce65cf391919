"""The automatic search over compressors: which, how strong, in which order, and trained for how long.

Cheap things first. The source is quantized in every way there is, which takes a conversion each. A
searcher's oracle then gives strengths (a ladder of one compressor, then all of them together); each is
cut out of the source, trained for a few epochs with the source as its teacher and with less dropout or
none, converted and measured.
That figure is a lower bound, so the rest of the time goes to training: always to the smallest arm that
is predicted to come within the bound in the time that is left, longer each time. What came within it is
cut again, a little further, and trained on. At the end the best arms are converted in the other ways too, and
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
from tfkit.formats.conversion import start_converter
from tfkit.interrupt import heard, heard_interrupts
from tfkit.pipeline import moves
from tfkit.pipeline.arms import Arm, Trainer, timed
from tfkit.pipeline.candidates import Candidate, Search
from tfkit.pipeline.clock import Clock
from tfkit.pipeline.copies import saved
from tfkit.pipeline.front import pareto
from tfkit.pipeline.journal import JOURNAL, Journal, identity
from tfkit.pipeline.lock import locked
from tfkit.pipeline.proposals import Proposals
from tfkit.pipeline.refine import further, polish, refine
from tfkit.pipeline.restored import restore
from tfkit.pipeline.result import CompressionResult
from tfkit.pipeline.rows import Row, Yardstick, float_litert, litert_columns, part_metric, signature_latency
from tfkit.pipeline.steps import AUTO_MAX_DROP
from tfkit.progress import say, task
from tfkit.recipe import Step

_SECONDS = 600.0
_LOCK = "compress.lock"
_FLOAT = "float LiteRT"
# Shares of the budget by which a phase has ended.
_FINISH_BY, _EXPLORE_BY = 0.3, 0.2
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
    keeps what it has found; called again on the same model and data in the same folder, it goes on from
    there with what is left of the budget.

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
    installed = moves.installed_moves(source, data.without_test())
    drops = moves.has_dropout(source)
    spaces = [
        ("grid", moves.ladder(installed, target, drops=drops)),
        (searcher, moves.space(installed, target, drops=drops)),
    ]
    yardstick = Yardstick(source, data.without_test(), metric)
    bound = AUTO_MAX_DROP if max_drop is None else max_drop
    with locked(folder, _LOCK), task("compress auto") as advance, heard_interrupts():
        journal = Journal(folder, identity(source, data, metric))
        clock = Clock(begun - _spent_before(journal), _SECONDS if time_budget is None else time_budget)
        trainer = Trainer(source, data, folder)
        search = Search(yardstick, trainer, clock, bound, epochs, target, folder, journal, advance)
        with contextlib.closing(Proposals(spaces if installed else [], folder / "search", seed)) as proposals:
            interrupted = _interrupted(search, proposals)
        return _result(search, data, metric, interrupted)


def _spent_before(journal: Journal) -> float:
    """Seconds that earlier calls took, until they wrote their last row."""
    return float(journal.rows[-1]["seconds"]) if journal.rows else 0.0


def _interrupted(search: Search, proposals: Proposals) -> bool:
    """Runs the phases; whether Ctrl-C ended them."""
    if search.journal.rows:
        restore(search)
    else:
        _measure_source(search)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a compressor's are in the notes of its row
            _finish_source(search)
            _explore(search, proposals)
            polish(search)
    except KeyboardInterrupt:
        heard()
        kept = f"{len(search.found)} candidates are kept in {search.folder / JOURNAL}"
        say(f"compress: interrupted; {kept}, and the same call goes on from there")
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
    if not search.arms and search.clock.fits(search.clock.cost("convert")):
        _convert_source(search)
    if not search.finishes:
        search.clock.forget("convert", search.clock.cost("row"))  # from here on models are measured as they are


def _convert_source(search: Search) -> None:
    """Makes what earlier calls have not made."""
    clock, source = search.clock, search.yardstick.source
    tried = {row["step"] for row in search.rows}
    has_file = _FLOAT in tried or _has_float_file(search)
    unchanged = Arm({}, source)
    for label, made in moves.finishes(source) if has_file else moves.finishes_in_keras():
        if (search.finishes and clock.spent() > _FINISH_BY) or not clock.fits(clock.cost("convert")):
            break
        if label not in tried and search.finish(unchanged, label, made) is not None:
            search.finishes.append((label, made))
    search.sort_finishes()


def _has_float_file(search: Search) -> bool:
    """Converts the source as it is, and measures that; False where it is refused."""
    start_converter()  # uncounted, or a search of little time would hold every conversion for as dear
    source, begun = search.yardstick.source, time.monotonic()
    path = float_litert(source, search.folder / "source.tflite", search.yardstick.data)
    row = None
    if path is not None:
        row = search.yardstick.row(_FLOAT, path, model=source)
        search.keep({**row, "format": "litert", "path": str(path), "epochs": 0})
    search.clock.note("convert", time.monotonic() - begun)
    search.source_row.update(litert_columns(row and {**row, "path": path}))
    return row is not None


def _explore(search: Search, proposals: Proposals) -> None:
    """Looks at strengths for a share of the time, then trains the promising ones longer, and goes on with both."""
    while _time_to_explore(search) and _proposed(search, proposals):
        pass
    refine(search)
    vain = 0
    while vain < _PATIENCE and search.clock.fits(_look_seconds(search)):
        before = search.best()
        next_cut = further(search)
        if next_cut is not None:
            _first_look(search, *next_cut)
        elif not _proposed(search, proposals):
            return
        refine(search)
        vain = vain + 1 if search.best() is before else 0


def _proposed(search: Search, proposals: Proposals) -> bool:
    """Looks at the next strength; False where all were tried."""
    while (values := proposals.next()) is not None:
        known = _known(search, values)
        if known is None:
            proposals.tell(_first_look(search, values))
            return True
        proposals.tell(_score(search, known) if isinstance(known, Candidate) else None)
    return False


def _known(search: Search, values: moves.Values) -> Candidate | Row | None:
    """What an earlier call made of that strength: the first candidate, or a refusal; None where it is new."""
    candidates = (each for each in search.found if each.row.get("settings") == values and _is_looked_at(search, each))
    refused = (row for row in search.rows if "error" in row and row.get("settings") == values)
    return next(candidates, None) or next(refused, None)


def _is_looked_at(search: Search, found: Candidate) -> bool:
    """Whether a candidate is what a first look ends with, and not what it may begin with."""
    return found.arm is not None and (not search.epochs or bool(found.row["epochs"]) or found.drop <= search.max_drop)


def _time_to_explore(search: Search) -> bool:
    explored = search.clock.spent() > _EXPLORE_BY and search.arms
    return not explored and search.clock.fits(_look_seconds(search))


def _look_seconds(search: Search) -> float:
    known = [arm.epoch_seconds for arm in search.arms if arm.epoch_seconds is not None]
    epoch = sum(known) / len(known) if known else 0.0
    return search.clock.cost("build") + search.epochs * epoch + search.clock.cost("convert")


def _first_look(search: Search, values: moves.Values, start: Arm | None = None) -> float | None:
    """A score of one strength, cut out of the source or of an arm; None where it was refused."""
    try:
        arm, seconds = timed(lambda: search.trainer.arm(values, start))
        search.clock.note("build", seconds)
        measured = _looked_at(search, arm)
    except Exception as error:  # as in Search.attempt
        search.refuse(moves.told(values) or "unchanged", error, values)
        return None
    if measured is None:
        return None
    search.arms.append(arm)
    return _score(search, measured)


def _looked_at(search: Search, arm: Arm) -> Candidate | None:
    """Measures a new arm: as it is where that may do, else after the epochs of a first look."""
    if not search.epochs:
        return search.measure(arm)
    if moves.may_need_no_training(arm.values):
        untrained = search.measure(arm)
        if untrained is None or untrained.drop <= search.max_drop:
            return untrained
    search.trainer.train(arm, search.epochs, _look_ends(search, arm.values))
    return search.measure(arm)


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
    best = search.best() or Candidate(search.source_row, 0.0)
    model = best.model(source)
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
