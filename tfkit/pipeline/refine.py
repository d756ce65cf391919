"""Refining: the time of an automatic search goes to training the arms that are worth it."""

from __future__ import annotations

import time

from tfkit.pipeline import moves
from tfkit.pipeline.arms import Arm, usual_power
from tfkit.pipeline.candidates import Candidate, Search
from tfkit.pipeline.steps import is_installed

# The share of the budget that is kept for the end.
_POLISH_SHARE = 0.12
_MIN_EPOCHS = 2.0
# How much longer than so far an arm is trained at once at most.
_GROWTH = 3.0
# What a second cut keeps of the units that the first has left: so much, less where widths that are multiples of
# something leave nothing to go, and more where that was too much.
_KEPT, _MORE_KEPT = (0.8, 0.65, 0.5), 0.9
# An epoch of training with quantized weights, in epochs of plain training; and how many candidates get one.
_QAT_COST, _RESCUES = 3.0, 3


def refine(search: Search) -> None:
    """Trains the smallest arm that is predicted to come within the bound, longer each time, then the next."""
    while search.epochs:
        left = search.clock.left() - _polish_seconds(search)
        arm = _promising(search, left)
        if arm is None:
            return
        assert arm.epoch_seconds is not None
        seconds = left - _overhead(search, arm)
        wanted = max(1.2 * arm.epochs_to(_goal(search), usual_power(search.arms)), _MIN_EPOCHS)
        epochs = min(wanted, max(_GROWTH * arm.epochs, _MIN_EPOCHS), seconds / arm.epoch_seconds)
        if not _trained(search, arm, epochs, time.monotonic() + seconds):
            search.arms.remove(arm)


def further(search: Search) -> tuple[moves.Values, Arm] | None:
    """The next strength to cut the smallest arm to that is within the bound, and that arm; None where all were tried.

    What was trained already is cut again, by a little: it keeps more of the metric than the same cut of the source.
    """
    good = [arm for arm in search.arms if _is_plain(arm) and arm.drop <= search.max_drop]
    if not good:
        return None
    start = max(good, key=lambda arm: float(arm.values["shrink"]))
    ratio = start.values["shrink"]
    tried = {arm.values["shrink"] for arm in search.arms if arm.values.get("after") == ratio}
    refused = {each["shrink"] for each in search.refused_settings() if each.get("after") == ratio}
    bold = [each for each in (_cut(ratio, kept) for kept in _KEPT) if each not in refused]
    for smaller in (*bold[:1], _cut(ratio, _MORE_KEPT)):
        if smaller not in tried | refused and smaller > ratio:
            return {**start.values, "shrink": smaller, "after": ratio}, start
    return None


def _cut(ratio: float, kept: float) -> float:
    return round(1 - (1 - ratio) * kept, 2)


def polish(search: Search) -> None:
    """Makes files of the best arms in the other ways too: fewer bits may fit now."""
    arms = sorted(search.arms, key=lambda arm: (arm.drop > search.max_drop, arm.cost or 0.0))
    for label, made in search.finishes:
        for arm in arms[:4]:
            if label not in arm.finished and search.clock.fits(_finish_seconds(search, arm)):
                search.finish(arm, label, made)
    if search.epochs and is_installed("qat"):
        rescue(search)


def rescue(search: Search) -> None:
    """Trains with quantized weights what is smaller than the best but loses too much."""
    for candidate in _nearly(search)[:_RESCUES]:
        assert candidate.arm is not None
        assert candidate.finish is not None
        seconds = search.clock.left() - 1.5 * search.clock.cost("convert")
        epoch = 1.15 * _QAT_COST * (candidate.arm.epoch_seconds or 0.0)
        epochs = int(min(max(1.0, candidate.arm.epochs / 4), seconds / epoch))
        if epochs >= 1:
            params = {key: candidate.finish[1][key] for key in ("bits", "activations")}
            search.retrain(candidate, params, epochs, time.monotonic() + seconds)


def _finish_seconds(search: Search, arm: Arm) -> float:
    """A conversion, and the moves that come last where they were not made yet."""
    last = 0.0 if arm.made is not None else search.trainer.finish_epochs(arm.values, arm.epochs)
    return search.clock.cost("convert") + last * (arm.epoch_seconds or 0.0)


def _overhead(search: Search, arm: Arm) -> float:
    """Seconds of a turn besides training: a conversion, and the moves that come last."""
    last = search.trainer.finish_epochs(arm.values, arm.epochs + 1) * (arm.epoch_seconds or 0.0)
    return 1.15 * (search.clock.cost("convert") + last)


def _trained(search: Search, arm: Arm, epochs: float, ends: float) -> bool:
    try:
        search.trainer.train(arm, epochs, ends)
    except Exception as error:  # as in Search.attempt
        search.refuse(arm.told(), error)
        return False
    return search.measure(arm) is not None


def _goal(search: Search) -> float:
    """The loss that an arm is trained for: a little less than the bound."""
    return max(0.9 * search.max_drop, 1e-4)


def _polish_seconds(search: Search) -> float:
    conversions = 2 * len(search.finishes) * search.clock.cost("convert")
    return min(search.clock.seconds * _POLISH_SHARE, conversions)


def _promising(search: Search, left: float) -> Arm | None:
    """The cheapest arm that would beat the best so far and is predicted to come within the bound in time."""
    best = search.best()
    affordable, usual = [], usual_power(search.arms)
    for arm in search.arms:
        if arm.cost is None or arm.epoch_seconds is None or arm.drop <= search.max_drop:
            continue
        if best is not None and arm.cost >= best.row[search.cost]:
            continue
        seconds = max(arm.epochs_to(_goal(search), usual), 1.0) * arm.epoch_seconds + _overhead(search, arm)
        if seconds <= left:
            affordable.append(arm)
    return min(affordable, key=lambda arm: arm.cost or 0.0, default=None)


def _is_plain(arm: Arm) -> bool:
    """Whether shrinking is all that was done to it."""
    made = [*moves.steps(arm.values, "before"), *moves.steps(arm.values, "after")]
    return [name for name, _ in made] == ["shrink"]


def _nearly(search: Search) -> list[Candidate]:
    """The trained candidates that lose too much and cost less than the best, the nearest to the bound first."""
    best = search.best()
    most = float("inf") if best is None else best.row[search.cost]
    failed = [each for each in search.found if not each.row["kept"] and each.row[search.cost] < most]
    return sorted((each for each in failed if _takes_qat(each)), key=lambda each: each.drop)


def _takes_qat(candidate: Candidate) -> bool:
    """Whether its arm was trained, which the source is not, and its file has weights of 4 or 8 bits."""
    arm, finish = candidate.arm, candidate.finish
    if arm is None or not arm.epoch_seconds or finish is None or moves.changes_the_model(finish):
        return False
    return finish[1].get("bits") in (4, 8)
