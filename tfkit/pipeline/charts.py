"""Charts of the report, each an SVG that needs no network."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

_BLUE, _ORANGE, _GREY = "#2f6db3", "#d97b29", "#8a8f98"


def learning_curves(history: Mapping[str, Sequence[float]]) -> str:
    """A panel for each figure that Keras logged, train and validation together, over the epochs."""
    names = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    figure, panels = _figure(len(names))
    for panel, name in zip(panels, names):
        for key, colour, label in ((name, _BLUE, "train"), (f"val_{name}", _ORANGE, "validation")):
            if key in history:
                epochs = range(1, len(history[key]) + 1)
                panel.plot(epochs, history[key], color=colour, label=label, marker="o" if len(epochs) < 3 else None)
        panel.set(title=name, xlabel="epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend(frameon=False)
    return _svg(figure)


def confusion(matrix: Any) -> str:
    """Counts of true classes (rows) against predicted classes (columns), shaded by their share of the row."""
    import numpy as np

    matrix = np.asarray(matrix)
    classes = len(matrix)
    figure, (panel,) = _figure(1, size=(min(1.6 + 0.42 * classes, 9), min(1.4 + 0.42 * classes, 8.5)))
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
    return _svg(figure)


def trial_scores(trials: Sequence[Mapping[str, Any]], objective: str, *, minimize: bool) -> str:
    """The score of each trial in its order, and the best so far; failed trials are crosses at the bottom."""
    figure, (panel,) = _figure(1, size=(7, 3))
    scored = [(number, trial["score"]) for number, trial in enumerate(trials, start=1) if trial["score"] is not None]
    failed = [number for number, trial in enumerate(trials, start=1) if trial["score"] is None]
    best: list[float] = []
    for _, score in scored:
        best.append(score if not best else (min if minimize else max)(best[-1], score))
    panel.scatter([number for number, _ in scored], [score for _, score in scored], color=_GREY, s=18, label="trial")
    panel.step([number for number, _ in scored], best, where="post", color=_BLUE, label="best so far")
    if failed:
        bottom = panel.get_ylim()[0]
        panel.scatter(failed, [bottom] * len(failed), marker="x", color=_ORANGE, label="failed")
    panel.set(xlabel="trial", ylabel=objective)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(frameon=False)
    return _svg(figure)


def _figure(panels: int, size: tuple[float, float] | None = None) -> tuple[Any, Any]:
    # Figure without pyplot: nothing global, no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (4.2 * panels, 3), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.title.set_fontsize(10)
    return figure, axes


def _svg(figure: Any) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tfkit", "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
