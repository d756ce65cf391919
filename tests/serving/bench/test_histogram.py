"""Quantiles and bars of latencies, against numpy's."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfkit_serving.bench.histogram import Histogram


def _of(values):
    made = Histogram()
    for each in values:
        made.record(int(each))
    return made


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_a_quantile_is_numpys_within_two_percent(values, share):
    exact = int(np.quantile(np.array(values), share, method="inverted_cdf"))
    found = _of(values).quantile(share)
    assert exact <= found <= exact * 1.02 + 1


@given(st.lists(st.integers(0, 10**10), max_size=50), st.lists(st.integers(0, 10**10), max_size=50))
def test_merged_is_as_recorded_in_one(first, second):
    merged = _of(first)
    merged.merge(Histogram.from_dict(json.loads(json.dumps(_of(second).as_dict()))))
    together = _of(first + second)
    assert merged.counts == together.counts
    assert (merged.total, merged.maximum, merged.sum) == (together.total, together.maximum, together.sum)


def test_nothing_recorded():
    assert Histogram().quantile(0.5) == 0
    assert Histogram().mean() == 0.0
    assert list(Histogram().bars()) == []


def test_bars_group_by_steps_of_one_two_five():
    lines = list(_of([900, 1_500_000, 1_600_000, 9_000_000]).bars(width=10))
    shown = {line[:11].strip(): line[11:].split() for line in lines}
    assert shown["≤    1 µs"] == ["25.0%", "█" * 5]
    assert shown["≤    2 ms"] == ["50.0%", "█" * 10]
    assert shown["≤   10 ms"] == ["25.0%", "█" * 5]
    assert len(lines) == 13  # 1 µs to 10 ms, without a gap


@pytest.mark.parametrize("value", [0, 1, 127, 128, 129, 10**9, 2**40])
def test_a_value_lies_in_its_own_bucket(value):
    assert _of([value]).quantile(1.0) == value  # the maximum bounds it
