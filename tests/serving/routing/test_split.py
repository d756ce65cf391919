"""Splits: their weights, who they keep, and how they are written."""

import subprocess
import sys
from collections import Counter

import pytest

from tfkit_serving.routing import Split, by_model, parse_split
from tfkit_serving.routing.options import RoutingOptions, ShadowShare, parse_shadows, parse_splits

SPLIT = parse_split("stable=60,canary=30,next=10,off=0")


def shares(labels):
    counts = Counter(labels)
    return {label: count / counts.total() for label, count in counts.items()}


def test_labels_are_drawn_by_weight():
    # Five standard deviations of a share over 20,000 draws: 0.5 * sqrt(1 / 20000) * 5 = 0.018 at most.
    wanted = pytest.approx({"stable": 0.6, "canary": 0.3, "next": 0.1}, abs=0.018)
    assert shares(SPLIT.in_turn()[0] for _ in range(20_000)) == wanted
    assert shares(SPLIT.in_turn(f"user-{number}")[0] for number in range(20_000)) == wanted


@pytest.mark.parametrize("key", [None, "user-{}"])
def test_what_a_label_cannot_take_goes_to_the_others_by_their_weights(key):
    turns = [SPLIT.in_turn(key and key.format(number)) for number in range(20_000)]
    second = shares(turn[1] for turn in turns if turn[0] == "stable")
    assert second == pytest.approx({"canary": 0.75, "next": 0.25}, abs=0.025)
    assert all(sorted(turn) == ["canary", "next", "stable"] for turn in turns)


def test_a_caller_stays_where_it_is():
    keys = [f"user-{number}" for number in range(2000)]
    before = {key: SPLIT.in_turn(key)[0] for key in keys}
    assert all(SPLIT.in_turn(key)[0] == label for key, label in before.items())
    # More for the canary takes callers from the others, and moves nobody between those.
    after = {key: parse_split("stable=60,canary=60,next=10").in_turn(key)[0] for key in keys}
    assert {after[key] for key in keys if after[key] != before[key]} == {"canary"}
    without = {key: parse_split("stable=60,canary=30").in_turn(key)[0] for key in keys}
    assert {before[key] for key in keys if without[key] != before[key]} == {"next"}


def test_every_process_keeps_a_caller_on_the_same_label():
    code = (
        "from tfkit_serving.routing import parse_split; split = parse_split('a=1,b=1');"
        "print(''.join(split.in_turn(str(key))[0] for key in range(64)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    split = parse_split("a=1,b=1")
    assert found.stdout.strip() == "".join(split.in_turn(str(key))[0] for key in range(64))


def test_an_empty_key_keeps_nobody():
    assert {Split(("a", "b"), (1, 1)).in_turn("")[0] for _ in range(100)} == {"a", "b"}


@pytest.mark.parametrize("text", ["stable", "a=1,a=2", "a=0,b=0", "a=-1,b=2", "=1", "a=nan", "a=inf", "", "a=1,"])
def test_a_wrong_split_is_refused(text):
    with pytest.raises(ValueError, match=r"stable=90,canary=10|above 0"):
        parse_split(text)


@pytest.mark.parametrize("text", ["", "=10", "a=0", "a=101", "a=x", "a=", "a=1,b=2", "a=nan"])
def test_a_wrong_shadow_is_refused(text):
    with pytest.raises(ValueError, match="as in canary=10"):
        parse_shadows([text])


def test_models_are_told_apart_and_the_others_share_one():
    options = RoutingOptions(parse_splits([" m : a=1", "b=1"]), parse_shadows(["n:c = 25"]))
    assert (options.split("m").labels, options.split("n").labels) == (("a",), ("b",))
    assert (options.shadow("n"), options.shadow("m")) == (ShadowShare("c", 25.0), None)
    assert options.models() == {"m", "n"}
    with pytest.raises(ValueError, match="m is there twice"):
        by_model(["m:a=1", "m:b=1"])


def test_a_shadow_takes_its_share():
    share = ShadowShare("canary", 25.0)
    assert [share.takes(lambda at=at: at) for at in (0.0, 0.2499, 0.25, 0.9999)] == [True, True, False, False]
    assert ShadowShare("canary").takes(lambda: 0.9999999)
