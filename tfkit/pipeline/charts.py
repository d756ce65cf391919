"""Charts of the report, each an SVG that needs no network."""

from __future__ import annotations

import io
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

# The column and the label of what an automatic search makes small.
_COSTS = {"size": ("bytes", "bytes"), "latency": ("latency_p50_ms", "ms, one row at a time")}
_STRENGTHS = {"prune": "sparsity", "quantize": "bits"}
BLUE, ORANGE, GREY = "#2f6db3", "#d97b29", "#8a8f98"


def learning_curves(history: Mapping[str, Sequence[float]]) -> str:
    """A panel for each figure that Keras logged, train and validation together, over the epochs."""
    names = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    figure, panels = new_figure(len(names))
    for panel, name in zip(panels, names):
        for key, colour, label in ((name, BLUE, "train"), (f"val_{name}", ORANGE, "validation")):
            if key in history:
                epochs = range(1, len(history[key]) + 1)
                panel.plot(epochs, history[key], color=colour, label=label, marker="o" if len(epochs) < 3 else None)
        panel.set(title=name, xlabel="epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend(frameon=False)
    return as_svg(figure)


def confusion(matrix: Any) -> str:
    """Counts of true classes (rows) against predicted classes (columns), shaded by their share of the row."""
    import numpy as np

    matrix = np.asarray(matrix)
    classes = len(matrix)
    figure, (panel,) = new_figure(1, size=(min(1.6 + 0.42 * classes, 9), min(1.4 + 0.42 * classes, 8.5)))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    panel.set(xlabel="predicted", ylabel="true")
    if classes <= 30:
        panel.set_xticks(range(classes))
        panel.set_yticks(range(classes))
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                shade = "white" if shares[row, column] > 0.5 else "black"
                panel.text(column, row, f"{count:.0f}", ha="center", va="center", color=shade, fontsize=8)
    panel.spines[:].set_visible(False)
    return as_svg(figure)


def trial_scores(trials: Sequence[Mapping[str, Any]], objective: str, *, minimize: bool) -> str:
    """The score of each trial in its order, and the best so far of those within the bounds.

    Crosses are trials beyond a bound, and at the bottom those without a score: not worth training, or failed.

    Args:
        trials: Of each that has ended score, status and feasible.
        objective: Name of the score.
        minimize: Whether less is better.
    """
    figure, (panel,) = new_figure(1, size=(7, 3))
    places: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    for number, trial in enumerate(trials, start=1):
        places[_fate(trial)].append((number, trial["score"]))
    best = list(itertools.accumulate((score for _, score in places["trial"]), min if minimize else max))
    for label, marker in (("trial", "o"), ("infeasible", "x")):
        if places[label]:
            panel.scatter(*zip(*places[label]), color=GREY, marker=marker, s=18, label=label)
    panel.step([number for number, _ in places["trial"]], best, where="post", color=BLUE, label="best so far")
    bottom = panel.get_ylim()[0]
    for label, colour, marker in (("not trained", GREY, "+"), ("failed", ORANGE, "x")):
        numbers = [number for number, _ in places[label]]
        if numbers:
            panel.scatter(numbers, [bottom] * len(numbers), marker=marker, color=colour, label=label)
    panel.set(xlabel="trial", ylabel=objective)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(frameon=False)
    return as_svg(figure)


def front_chart(compressed: Mapping[str, Any]) -> str:
    """Metric against size or latency of all candidates, the front, the source, the chosen one and the bound.

    Args:
        compressed: rows, front, candidates, metric, bound and target, as a run keeps them.
    """
    cost, label = _COSTS[compressed["target"]]
    figure, (panel,) = new_figure(1, size=(7, 3.6))
    measured = [row for row in compressed["candidates"] or [] if row.get(cost) is not None]
    rows, front = compressed["rows"], compressed["front"]
    panel.scatter(*_columns(measured, cost), color=GREY, s=16, label="candidate")
    panel.step(*_columns(front, cost), where="post", color=BLUE, marker="o", markersize=4, label="front")
    source = next((row for row in rows if row["step"] == "float-litert"), rows[0])
    panel.scatter(*_columns([source], cost), color="black", marker="s", s=36, label=source["step"], zorder=3)
    chosen = [row for row in rows if row["kept"]][-1:]
    panel.scatter(*_columns(chosen, cost), facecolors="none", edgecolors=ORANGE, s=110, label="chosen", zorder=4)
    if compressed["bound"] is not None:
        panel.axhline(compressed["bound"], color=ORANGE, linestyle="--", linewidth=1, label="bound")
    panel.set(xscale="log", xlabel=label, ylabel=compressed["metric"])
    panel.legend(frameon=False, fontsize=8)
    return as_svg(figure)


def sensitivity_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """The loss of the metric over the strength, a line for each kernel, pruning and rounding side by side."""
    moves = list(dict.fromkeys(row["move"] for row in rows))
    figure, panels = new_figure(len(moves))
    kernels = list(dict.fromkeys(row["kernel"] for row in rows))
    for panel, move in zip(panels, moves):
        for kernel in kernels:
            points = [row for row in rows if row["move"] == move and row["kernel"] == kernel]
            label = kernel.partition("/")[2] or kernel
            panel.plot([row["strength"] for row in points], [row["drop"] for row in points], marker="o", label=label)
        panel.set(title=move, xlabel=_STRENGTHS.get(move, "strength"), ylabel="loss of the metric")
    if "quantize" in moves:
        panels[moves.index("quantize")].invert_xaxis()  # to the right is stronger, in both
    if len(kernels) <= 12:
        panels[0].legend(frameon=False, fontsize=7)
    return as_svg(figure)


def _fate(trial: Mapping[str, Any]) -> str:
    """What a trial is called in a chart."""
    if trial["status"] == "FAILED":
        return "failed"
    if trial["score"] is None:
        return "not trained"
    return "trial" if trial.get("feasible", True) else "infeasible"


def _columns(rows: Sequence[Mapping[str, Any]], cost: str) -> tuple[list[float], list[float]]:
    return [row[cost] for row in rows], [row["metric"] for row in rows]


def new_figure(panels: int, size: tuple[float, float] | None = None, columns: int | None = None) -> tuple[Any, Any]:
    """A figure and its panels, side by side or so many in a row; a panel has 4.2 × 3 inches unless a size is given."""
    # Figure without pyplot: nothing global, no display.
    from matplotlib.figure import Figure

    across = min(panels, columns or panels)
    rows = -(-panels // across)
    figure = Figure(figsize=size or (4.2 * across, 3 * rows), layout="constrained")
    axes = figure.subplots(rows, across, squeeze=False).ravel()
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.title.set_fontsize(10)
    for panel in axes[panels:]:
        panel.remove()
    return figure, axes[:panels]


def as_svg(figure: Any) -> str:
    """The figure as an SVG element, the same for the same figure."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tfkit", "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
