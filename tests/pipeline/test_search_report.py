"""The charts and the page of a search, and what they say of its hyperparameters."""

import dataclasses
import itertools
import json
import re
import sys

import keras_tuner
import numpy as np
import pytest
from filled_search import fill

from tfkit.pipeline.report import write_report
from tfkit.pipeline.search_axes import Axis
from tfkit.pipeline.search_charts import charts, front, history, importance_section
from tfkit.pipeline.search_folder import SearchFolder, open_search
from tfkit.pipeline.search_importance import importance, main_effects, tree_effects
from tfkit.pipeline.search_report import write_search_report
from tfkit.pipeline.search_result import TrialResult


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "two"
    objectives = [keras_tuner.Objective("val_loss", "min"), keras_tuner.Objective("size", "max")]
    fill(folder, objectives).close()
    return open_search(folder)


def with_scores(score, count, axes=("a", "b", "c"), seed=0):
    """A search whose scores are a function of places in the unit cube."""
    rows = np.random.default_rng(seed).random((count, len(axes)))
    trials = [
        TrialResult(f"{n:04d}", dict(zip(axes, row)), score(*row), "COMPLETED", {}, {}, None)
        for n, row in enumerate(rows)
    ]
    return SearchFolder(".", (("loss", "min"),), tuple(Axis(name, 0.0, 1.0) for name in axes), tuple(trials))


def test_importance_is_the_share_of_the_variance():
    # Var(3a + b) = (9 + 1) / 12, and nothing comes of c.
    known = importance(with_scores(lambda a, b, c: 3 * a + b, 300))
    assert list(known.shares) == ["a", "b", "c"]
    assert list(known.shares.values()) == pytest.approx([0.9, 0.1, 0.0], abs=0.03)
    assert known.trials == 300
    # Of (a - 1/2)(b - 1/2) nothing is due to either alone.
    both = importance(with_scores(lambda a, b, c: (a - 0.5) * (b - 0.5), 300))
    assert both.together > 0.6


def test_effects_of_a_tree_are_those_of_its_predictions_on_a_fine_grid():
    """The exact figures against plain averages of scikit-learn's predictions: an independent way."""
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(0)
    x = rng.integers(0, 8, (60, 2)) / 8 + 1 / 16
    tree = DecisionTreeRegressor(max_leaf_nodes=12, random_state=0).fit(x, rng.random(60))
    points = (np.arange(16) + 0.5) / 16  # every threshold is an edge of this grid
    grid = np.array(list(itertools.product(points, points)))
    values = tree.predict(grid).reshape(16, 16)
    expected = [values.mean(axis=1 - column).var() / values.var() for column in range(2)]
    assert tree_effects(tree.tree_, 2) == pytest.approx(expected)


def test_importance_needs_trials_and_scores_that_differ():
    assert importance(with_scores(lambda a, b, c: a, 9)) is None
    assert importance(with_scores(lambda a, b, c: 1.0, 20)) is None
    assert importance(with_scores(lambda a: a, 20, axes=("a",))) is None


def test_hyperparameters_that_say_nothing_have_no_importance():
    trials = [TrialResult(f"{n:04d}", {"a": 0.5, "b": 0.5}, float(n), "COMPLETED", {}, {}, None) for n in range(20)]
    axes = (Axis("a", 0.0, 1.0), Axis("b", 0.0, 1.0))
    assert importance(SearchFolder(".", (("loss", "min"),), axes, tuple(trials))) is None


def test_one_trial_that_diverged_does_not_decide():
    diverged = with_scores(lambda a, b, c: 1e9 if c > 0.995 else a, 300)
    assert sum(trial.score == 1e9 for trial in diverged.trials) > 0
    assert importance(diverged).shares["a"] > 0.8


def test_main_effects_of_noise_are_small_shares():
    rng = np.random.default_rng(0)
    shares = main_effects(rng.random((100, 3)), rng.random(100))
    assert max(shares) < 0.5


def test_front_holds_what_nothing_beats():
    points = [{"a": a, "b": b} for a, b in ((1, 1), (2, 3), (3, 2), (3, 3), (0, 0))]
    assert front(points, {"a": "max", "b": "max"}) == [{"a": 3, "b": 3}]
    assert front(points, {"a": "max", "b": "min"}) == [{"a": 3, "b": 2}, {"a": 1, "b": 1}, {"a": 0, "b": 0}]


@pytest.fixture(scope="module")
def drawn(found):
    return charts(found)


def test_every_chart_is_drawn(drawn):
    titles = ["History", "Parallel coordinates", "Importance", "Slices", "Pareto front"]
    assert [chart["title"] for chart in drawn] == titles
    assert all(chart["svg"].startswith("<svg") for chart in drawn)
    assert "From 20 completed trials" in drawn[2]["note"]
    assert drawn[3]["svg"].count("layers") == 1


def test_the_best_so_far_keeps_to_the_bounds_and_only_failures_are_called_so(monkeypatch):
    monkeypatch.setattr("tfkit.pipeline.charts.as_svg", lambda figure: figure.axes[0])
    rows = [
        (3.0, "COMPLETED", True),
        (1.0, "COMPLETED", False),
        (2.0, "COMPLETED", True),
        (None, "COMPLETED", False),
        (None, "FAILED", False),
    ]
    trials = [
        TrialResult(f"{n:04d}", {}, score, status, {}, {}, None, 0.0 if is_feasible or status == "FAILED" else 0.5)
        for n, (score, status, is_feasible) in enumerate(rows)
    ]
    panel = history(SearchFolder(".", (("loss", "min"),), (), tuple(trials)))
    drawn = {each.get_label(): each.get_offsets()[:, 0].tolist() for each in panel.collections}
    assert drawn == {"trial": [1, 3], "infeasible": [2], "not trained": [4], "failed": [5]}
    (line,) = panel.lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([1, 3], [3.0, 2.0])


def test_few_trials_draw_less(found):
    few = dataclasses.replace(found, trials=found.trials[:6], objectives=(("val_loss", "min"),))
    assert [chart["title"] for chart in charts(few)] == ["History", "Parallel coordinates", "Slices"]
    failed = dataclasses.replace(found, trials=found.trials[5:6])
    assert [chart["title"] for chart in charts(failed)] == ["History"]


def test_the_page_needs_no_network_and_names_the_failures(found, drawn, monkeypatch):
    monkeypatch.setattr("tfkit.pipeline.search_report.charts", lambda found: drawn)
    text = write_search_report(found).read_text()
    assert not re.search(r"(src|href)=[\"']?https?:|<script|@import|url\(http", text)
    assert text.count("<svg") == 5
    assert text.count("<summary>trial") == 3
    assert "ValueError: bad &lt;luck&gt;" in text
    assert "<luck>" not in text
    assert "20 completed, 3 failed, 1 running" in text
    empty = dataclasses.replace(found, trials=())
    assert "no trials yet" in write_search_report(empty).read_text()


def test_without_scikit_learn_the_page_says_so(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    assert importance_section(found) == [("Importance", "", "It needs scikit-learn, which is not installed.")]


def test_a_runs_report_has_the_charts_of_its_search(found, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tfkit.pipeline.report.charts", lambda searched: drawn if searched.trials == found.trials else []
    )
    row = {"step": "float", "path": "model.keras", "part": "test", "test": {"accuracy": 0.9}, "agreement": 1.0}
    counts = {"parameters": 1, "nonzero": 1, "bytes": 9, "gzip_bytes": 9, "flops": 1, "kept": True}
    trials = [{"values": trial.values, "score": trial.score, "status": trial.status} for trial in found.trials[:5]]
    search = {"objective": "val_loss", "minimize": True, "best": found.best.values, "trials": trials}
    files = {
        "run": {"recipe": "toy", "status": "finished", "stages": []},
        "table": [{**row, **counts, "latency_p50_ms": 1.0, "latency_p99_ms": 1.0}],
        "trials": search,
    }
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert write_report(tmp_path).read_text().count("<svg") == 1
    (tmp_path / "search").symlink_to(found.path)
    text = write_report(tmp_path).read_text()
    assert text.count("<svg") == 5
    assert "Parallel coordinates" in text
