"""What an automatic search trains longer, converts in other ways and trains with quantized weights."""

import time

import numpy as np
import pytest

from tfkit.pipeline import candidates, moves, refine
from tfkit.pipeline.arms import Arm, Trainer, power_of, usual_power
from tfkit.pipeline.clock import Clock
from tfkit.pipeline.front import pareto
from tfkit.pipeline.proposals import Proposals


def test_the_front_is_that_of_a_brute_force():
    generator = np.random.default_rng(0)
    rows = [
        {"bytes": int(b), "metric": float(m)} for b, m in zip(generator.integers(0, 30, 200), generator.random(200))
    ]
    for better in (True, False):
        sign = 1 if better else -1

        def beats(other, row, sign=sign):
            no_worse = other["bytes"] <= row["bytes"] and sign * other["metric"] >= sign * row["metric"]
            return no_worse and (other["bytes"] < row["bytes"] or other["metric"] != row["metric"])

        expected = [row for row in rows if not any(beats(other, row) for other in rows)]
        found = pareto(rows, "bytes", higher_is_better=better)
        assert sorted(map(tuple, map(dict.items, found))) == sorted(map(tuple, map(dict.items, expected)))
        assert [row["bytes"] for row in found] == sorted(row["bytes"] for row in found)


def test_epochs_to_come_of_a_power_law():
    # A loss of 0.16 / sqrt(epochs) is at 0.01 after 256 epochs.
    arm = Arm({}, None, epochs=16, drops=[(4, 0.08), (16, 0.04)])
    assert power_of(arm.drops) == pytest.approx(0.5)
    assert arm.epochs_to(0.01) == pytest.approx(256 - 16)
    assert Arm({}, None, epochs=4, drops=[(4, 0.005)]).epochs_to(0.01) == 0.0
    # An arm that was looked at once falls as the others do.
    steep = Arm({}, None, epochs=4, drops=[(1, 0.08), (4, 0.02)])
    assert usual_power([steep, Arm({}, None, drops=[(1, 0.1)])]) == pytest.approx((0.5 + 1.0) / 2)
    assert Arm({}, None, epochs=1, drops=[(1, 0.08)]).epochs_to(0.01, usual=0.75) == pytest.approx(15)


def test_an_oracle_proposes_every_strength_once_and_takes_failures(tmp_path):
    installed = tuple(move for move in moves.MOVES if move.compressor == "prune")
    proposals = Proposals([("grid", moves.ladder(installed, "size"))], tmp_path / "search", 0)
    seen = []
    while (values := proposals.next()) is not None:
        seen.append(values["prune"])
        proposals.tell(None if values["prune"] == 0.75 else 1.0)
    assert seen == [0.5, 0.75, 0.9]


def test_what_is_within_the_bound_is_cut_again():
    def arm(ratio, drop, **more):
        return Arm({"shrink": ratio, "multiple_of": 1, **more}, None, epochs=1, drops=[(1, drop)])

    class Search:
        max_drop = 0.01
        arms = [arm(0.3, 0.0), arm(0.5, 0.005), arm(0.7, 0.2)]
        refused = []

        def refused_settings(self):
            return self.refused

    values, start = refine.further(Search())
    assert (values, start) == ({"shrink": 0.6, "multiple_of": 1, "after": 0.5}, Search.arms[1])
    # 0.6 of the source are 0.2 of what 0.5 have left.
    assert moves.steps(values, "before") == [("shrink", {"ratio": 0.2, "multiple_of": 1})]
    assert moves.told(values) == "shrink 0.6 after 0.5"
    Search.arms.append(arm(0.6, 0.02, after=0.5))
    assert refine.further(Search())[0]["shrink"] == 0.55
    Search.arms.append(arm(0.55, 0.02, after=0.5))
    assert refine.further(Search()) is None
    Search.arms.append(arm(0.55, 0.01, after=0.5))
    assert refine.further(Search())[0]["shrink"] == 0.64
    # Where widths are multiples a small cut may leave the model as it is: a larger one comes next.
    Search.refused.append({"shrink": 0.64, "multiple_of": 8, "after": 0.55})
    assert refine.further(Search())[0]["shrink"] == 0.71
    Search.arms.append(arm(0.71, 0.02, after=0.55))
    assert refine.further(Search())[0]["shrink"] == pytest.approx(0.595, abs=0.0051)


class Polished:
    """What `polish` and `rescue` need of a search: nothing is trained or converted."""

    def __init__(self, arms, found, best):
        self.arms, self.found, self.finishes = arms, found, [("int8", 8), ("int4", 4), ("float16", 16)]
        self.max_drop, self.epochs, self.cost = 0.01, 1, "bytes"
        self.clock = Clock(time.monotonic(), 1000.0)
        self.trainer = Trainer.__new__(Trainer)
        self.made, self.trained = [], []
        self._best = best

    def best(self):
        return self._best

    def finish(self, arm, label, made):
        self.made.append((arm.told(), label))

    def retrain(self, candidate, params, epochs, ends):
        self.trained.append((candidate.arm.told(), params, epochs))


def candidate(ratio, size, drop, *, bits=8, seconds=1.0, epochs=8):
    arm = Arm({"shrink": ratio} if ratio else {}, None, epochs, seconds, [(epochs, drop)], cost=size)
    row = {"bytes": size, "kept": drop <= 0.01, "finish": f"int{bits}"}
    return candidates.Candidate(row, drop, arm, ("quantize", {"bits": bits, "activations": 8}))


def test_the_best_arms_are_made_in_the_ways_that_were_not_tried_within_the_budget():
    found = [candidate(0.5, 50, 0.005), candidate(0.7, 30, 0.02)]
    found[0].arm.finished.add("int8")
    search = Polished([each.arm for each in found], [], found[0])
    search.epochs = 0
    refine.polish(search)
    assert search.made[:3] == [("shrink 0.7", "int8"), ("shrink 0.5", "int4"), ("shrink 0.7", "int4")]
    search.made, search.clock = [], Clock(time.monotonic(), 0.0)
    refine.polish(search)
    assert search.made == []


def test_rescued_are_the_smaller_trained_ones_that_are_nearest_to_the_bound():
    found = [
        candidate(0, 20, 0.011, seconds=None),  # the source itself in 8 bits
        candidate(0.5, 50, 0.005),
        candidate(0.6, 40, 0.03),
        candidate(0.7, 30, 0.012, bits=4),
        candidate(0.8, 25, 0.02, bits=16),
        candidate(0.1, 90, 0.011),
    ]
    search = Polished([], found, found[1])
    refine.rescue(search)
    assert search.trained == [
        ("shrink 0.7", {"bits": 4, "activations": 8}, 2),
        ("shrink 0.6", {"bits": 8, "activations": 8}, 2),
    ]
