"""Drift against closed forms, scipy and simulation."""

import time

import numpy as np
import pytest
from scipy import stats

from tfkit.formats.profile import take_profile
from tfkit_serving.drift import DriftObserver, index_by_chance, kolmogorov_smirnov, stability_index
from tfkit_serving.drift.window import Window


def values(observer, name):
    return {
        labels.get("feature", labels.get("label")): value for key, labels, value in observer.metrics() if key == name
    }


def gaussian(rows, seed, shift=0.0, columns=1):
    return np.random.default_rng(seed).normal(shift, 1.0, (rows, columns)).astype("float32")


@pytest.mark.parametrize("shift", [0.25, 0.5, 1.0, 2.0])
def test_shifted_gaussians_give_the_closed_form(shift):
    edges = stats.norm.ppf(np.arange(1, 2000) / 2000)
    p = np.diff(stats.norm.cdf(edges), prepend=0, append=1) * 1e9
    q = np.diff(stats.norm.cdf(edges, shift), prepend=0, append=1) * 1e9
    # Jeffreys' divergence of two Gaussians of variance 1 is the square of their distance; bins lose a little of it.
    assert stability_index(p, q) == pytest.approx(shift**2, rel=0.01)
    assert stability_index(p, q) <= shift**2
    # Their distributions differ most midway between them.
    assert kolmogorov_smirnov(p, q) == pytest.approx(2 * stats.norm.cdf(shift / 2) - 1, abs=1e-3)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_ks_is_scipys_within_the_largest_share_of_a_bin(shift):
    before, after = gaussian(2000, 1), gaussian(1000, 2, shift)
    profile = take_profile({"x": before}, {}, task=None)
    observer = DriftObserver(profile, window=1000)
    observer.observe({"x": after}, {})
    exact = stats.ks_2samp(before[:, 0], after[:, 0]).statistic
    edges = profile["features"][0]["edges"]
    share = max(np.max(np.histogram(each, [-np.inf, *edges, np.inf])[0]) / len(each) for each in (before, after))
    found = values(observer, "tfkit_drift_ks")["x[0]"]
    assert found <= exact + 1e-9
    assert found >= exact - share


def test_200_windows_stay_still_and_200_shifted_ones_do_not():
    profile = take_profile({"x": gaussian(2048, 0)}, {}, task=None)
    still, shifted = [], []
    for seed in range(1, 201):
        for shift, found in ((0.0, still), (1.0, shifted)):
            observer = DriftObserver(profile)
            observer.observe({"x": gaussian(1000, seed, shift)}, {})
            found += values(observer, "tfkit_drift_psi").values()
    assert max(still) < 0.1
    assert min(shifted) > 0.25
    # What 99 of 100 stay below by chance: the profile itself is one draw, so that its share of the noise is common.
    bound = index_by_chance(20, 2048, 1000)
    assert np.mean(np.array(still) < bound) > 0.95


@pytest.mark.parametrize("bins", [3, 20, 65])
def test_the_bound_by_chance_is_the_quantile_of_chi_squared(bins):
    exact = stats.chi2.ppf(0.99, bins - 1) * (1 / 5000 + 1 / 1000)
    assert index_by_chance(bins, 5000, 1000) == pytest.approx(exact, rel=0.01)


def test_the_window_forgets_what_was_before():
    observer = DriftObserver(take_profile({"x": gaussian(2048, 0)}, {}, task=None))
    observer.observe({"x": gaussian(5000, 1, shift=3.0)}, {})
    assert values(observer, "tfkit_drift_psi")["x[0]"] > 0.25
    for row in gaussian(1000, 2):
        observer.observe({"x": row[None]}, {})
    assert values(observer, "tfkit_drift_psi")["x[0]"] < 0.1


def test_the_window_counts_the_last_rows():
    window = Window(3, rows=100, blocks=10)
    bins = np.random.default_rng(0).integers(0, 3, 1234)
    for number in bins:
        window.add(np.eye(3, dtype="int64")[number], 1)
    assert 90 <= window.rows <= 100
    assert window.total.tolist() == np.bincount(bins[-window.rows :], minlength=3).tolist()


def test_nothing_but_the_rows_is_told_of_too_few():
    observer = DriftObserver(take_profile({"x": gaussian(500, 0)}, {}, task=None), minimum=200)
    observer.observe({"x": gaussian(199, 1)}, {})
    assert observer.metrics() == [("tfkit_drift_rows", {}, 199.0)]
    observer.observe({"x": gaussian(1, 1)}, {})
    assert "x[0]" in values(observer, "tfkit_drift_psi")


def test_missing_values_words_and_classes_have_their_shares():
    generator = np.random.default_rng(0)
    texts = np.array([[f"word{n % 7} other{n % 5} common{n % 50}"] for n in range(500)], object)
    scores = generator.dirichlet([1, 1, 1], 500)
    profile = take_profile({"text": texts, "x": gaussian(500, 0)}, {"scores": scores}, task="classification")
    observer = DriftObserver(profile, labels=("a", "b", "c"), window=400)
    seen = np.array([[b"word1 strange"]] * 300 + [[b""]] * 100, object)
    x = gaussian(400, 1)
    x[:40] = np.nan
    answers = np.repeat(np.eye(3), [200, 120, 80], axis=0)
    observer.observe({"text": seen, "x": x}, {"scores": answers})
    assert values(observer, "tfkit_drift_outside_vocabulary_share") == {"text[0].tokens": 0.5}
    missing = values(observer, "tfkit_drift_missing_share")
    assert missing["x[0]"] == 0.1
    assert missing["text[0].length"] == 0.25
    assert values(observer, "tfkit_prediction_share") == {"a": 0.5, "b": 0.3, "c": 0.2, "other": 0.0}


def test_rows_of_other_shapes_are_passed_over_or_counted_as_they_are():
    observer = DriftObserver(take_profile({"x": gaussian(500, 0, columns=4)}, {}, task=None), minimum=1, window=500)
    observer.observe({"x": gaussian(300, 1, columns=2)}, {})
    observer.observe({"x": np.zeros((0, 4), "float32")}, {})
    observer.observe({"y": gaussian(100, 1)}, {})
    observer.observe({}, {})
    assert set(values(observer, "tfkit_drift_psi")) == {"x[0]", "x[1]"}


def test_a_profile_of_another_schema_is_refused():
    with pytest.raises(ValueError, match="schema 99"):
        DriftObserver({"schema": 99, "features": []})


@pytest.mark.nightly
def test_a_row_of_32_features_costs_little():
    rows = gaussian(5000, 0, columns=32)
    observer = DriftObserver(take_profile({"x": rows[:2000]}, {}, task=None))
    began = time.process_time()
    for row in rows:
        observer.observe({"x": row[None]}, {})
    assert (time.process_time() - began) / len(rows) < 20e-6
