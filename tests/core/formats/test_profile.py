"""The profile of the data, against numpy's own figures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfkit.formats.example import example_row
from tfkit.formats.profile import bin_counts, feature_values, take_profile, words

RNG = np.random.default_rng(0)


def only(profile, name):
    found = [each for each in profile["features"] if each["name"] == name]
    assert len(found) == 1
    return found[0]


def test_a_number_has_moments_and_twenty_bins_of_equal_share():
    x = RNG.normal(3, 2, (2000, 2)).astype("float32")
    profile = take_profile({"x": x}, {}, task=None)
    found = only(profile, "x[1]")
    column = x[:, 1].astype("float64")
    assert (profile["schema"], profile["rows"], found["count"], found["missing"]) == (1, 2000, 2000, 0)
    for name in ("mean", "std", "min", "max"):
        assert found[name] == pytest.approx(getattr(np, name)(column), rel=1e-8)
    assert found["edges"] == pytest.approx(np.percentile(column, np.arange(5, 100, 5)), rel=1e-6)
    assert found["shares"] == pytest.approx([0.05] * 20)


def test_few_distinct_values_have_a_bin_each_and_an_empty_one_outside():
    x = np.array([[0], [1], [1], [5]])
    found = only(take_profile({"x": x}, {}, task=None), "x[0]")
    assert found["edges"] == [-0.5, 0.5, 3.0, 5.5]
    assert found["shares"] == [0, 0.25, 0.5, 0.25, 0]
    assert bin_counts(found, np.array([-9.0, 0, 5, 6])).tolist() == [1, 1, 0, 1, 1]


def test_a_constant_is_told_from_what_is_near():
    found = only(take_profile({"x": np.full((9, 1), 3.0)}, {}, task=None), "x[0]")
    assert bin_counts(found, np.array([3.0, 2.9, 3.1])).tolist() == [1, 1, 1]
    assert (found["std"], found["shares"]) == (0, [0, 1, 0])


def test_what_is_missing_is_counted_apart():
    x = np.array([[1.0, np.nan], [np.inf, np.nan], [2.0, np.nan]])
    profile = take_profile({"x": x}, {}, task=None)
    first, second = only(profile, "x[0]"), only(profile, "x[1]")
    assert (first["count"], first["missing"], first["mean"]) == (2, 1, 1.5)
    assert (second["count"], second["missing"], second["mean"], second["shares"]) == (0, 3, None, [0])


def test_images_are_described_by_their_rows():
    x = RNG.random((50, 4, 4, 3))
    profile = take_profile({"image": x, "wide": RNG.random((50, 65))}, {}, task=None)
    assert [each["name"] for each in profile["features"]] == [
        f"{tensor}.{of}" for tensor in ("image", "wide") for of in ("mean", "std", "min", "max")
    ]
    assert only(profile, "image.std")["mean"] == pytest.approx(x.reshape(50, -1).std(axis=1).mean(), rel=1e-8)


def test_texts_by_length_and_words():
    text = np.array([["Good film"], [b"bad film"], [""], ["très bon film!"]], object)
    profile = take_profile({"text": text}, {}, task=None)
    length, tokens = only(profile, "text[0].length"), only(profile, "text[0].tokens")
    assert (length["count"], length["missing"], length["min"], length["max"]) == (3, 1, 8, 14)
    assert (tokens["count"], tokens["values"][0], tokens["shares"][0]) == (7, "film", pytest.approx(3 / 7))
    assert tokens["vocabulary"] == ["film"]
    assert tokens["outside"] == pytest.approx(4 / 7)
    assert sum(tokens["shares"]) == pytest.approx(1)
    assert words("Très bon") == ["très", "bon"]


def test_few_distinct_strings_are_categories():
    color = np.array([["red"], ["blue"], ["red"], [""]])
    found = only(take_profile({"color": color}, {}, task=None), "color[0]")
    assert (found["kind"], found["values"], found["missing"]) == ("categories", ["blue", "red"], 1)
    assert found["shares"] == pytest.approx([1 / 3, 2 / 3, 0])
    assert bin_counts(found, ["red", "green", ""]).tolist() == [0, 1, 1]


def test_a_classifiers_output_by_class_and_score():
    scores = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    profile = take_profile({}, {"scores": scores}, task="classification")
    assert [each["name"] for each in profile["features"]] == ["scores.class", "scores.score"]
    assert only(profile, "scores.class")["values"] == [0, 1]
    assert only(profile, "scores.class")["shares"] == pytest.approx([1 / 3, 2 / 3, 0])
    assert only(profile, "scores.score")["mean"] == pytest.approx(0.6)
    binary = only(take_profile({}, {"p": np.array([[0.2], [0.9], [0.5]])}, task="classification"), "p.class")
    assert (binary["values"], binary["shares"]) == ([0, 1], pytest.approx([2 / 3, 1 / 3, 0]))
    plain = take_profile({}, {"p": np.array([[0.2], [0.9]])}, task="regression")
    assert [each["name"] for each in plain["features"]] == ["p[0]"]


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from(["float32", "float64", "int64", "bool"]),
        st.tuples(st.integers(1, 60), st.integers(1, 3)),
        elements=None,
    )
)
def test_the_shares_are_those_of_the_rows_in_the_bins(x):
    profile = json.loads(json.dumps(take_profile({"x": x}, {}, task=None)))
    for feature in profile["features"]:
        values = feature_values(feature, {"x": x})
        counts = bin_counts(feature, values)
        assert len(counts) == len(feature["edges"]) + 1
        assert counts.sum() == feature["count"] == np.isfinite(x[:, feature["index"]].astype("float64")).sum()
        np.testing.assert_allclose(counts / max(1, feature["count"]), feature["shares"], atol=1e-8)
        assert sorted(set(feature["edges"])) == feature["edges"]


def test_an_example_row_of_every_kind():
    rows = {
        "text": np.array(["good", b"bad"], object),
        "raw": np.array([[b"\xff"]], object),
        "flag": np.array([[True]]),
        "id": np.array([7]),
        "x": np.array([[[0.1, 2.0]]], "float32"),
    }
    wanted = {"text": "good", "raw": [{"b64": "/w=="}], "flag": [True], "id": 7, "x": [[0.1, 2.0]]}
    assert example_row(rows) == wanted
    assert example_row({"x": np.zeros((1, 10_001))}) is None
    assert example_row({"x": np.zeros((1, 2), "complex64")}) is None
