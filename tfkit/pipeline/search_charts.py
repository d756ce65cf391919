"""Charts of a search, each an SVG that needs no network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from tfkit.goal import Goal
from tfkit.pipeline.charts import BLUE, GREY, ORANGE, as_svg, new_figure, trial_scores
from tfkit.pipeline.search_axes import Axis
from tfkit.pipeline.search_folder import SearchFolder
from tfkit.pipeline.search_importance import Importance, importance
from tfkit.pipeline.search_result import ENDED, TrialResult, outcome

_COLUMNS = 4
# A label is legible where lines cross it.
_LABEL = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}


def charts(found: SearchFolder) -> list[dict[str, str]]:
    """All charts that the trials are enough for, each with its title, a note and the SVG.

    Args:
        found: The search's folder.
    """
    drawn = [("History", history(found), "")]
    if found.completed and len(found.axes) > 1:
        drawn.append(
            ("Parallel coordinates", parallel_coordinates(found), "Each line is a trial; the darker the better.")
        )
    drawn += importance_section(found)
    if found.completed and found.axes:
        drawn.append(
            ("Slices", slices(found), "The score against each hyperparameter; the later the trial the darker.")
        )
    if found.completed and len(found.objectives) > 1:
        note = "Nothing else is as good in both and better in one."
        crosses = " Crosses exceed a constraint." if found.constraints else ""
        drawn.append(("Pareto front", pareto_fronts(found), note + crosses))
    return [{"title": title, "svg": svg, "note": note} for title, svg, note in drawn]


def history(found: SearchFolder) -> str:
    """The score of each trial in its order, and the best so far; those that wait or run are left out."""
    ended = [outcome(trial) for trial in found.trials if trial.status in ENDED]
    return trial_scores(ended, found.objective, minimize=found.minimize)


def parallel_coordinates(found: SearchFolder) -> str:
    """A line for each completed trial through its values, and its score at the right; inactive ones leave a gap."""
    import matplotlib

    figure, (panel,) = new_figure(1, size=(min(2 + 1.5 * len(found.axes), 14), 3.6))
    shades = matplotlib.colormaps["Blues_r"]
    scores = [trial.score or 0.0 for trial in found.completed]
    axis = Axis(found.objective, min(scores), max(scores))
    order = list(enumerate(found.completed))
    for rank, trial in reversed(order):  # the best is drawn last
        places = [_place(each, trial) for each in found.axes]
        shade = shades(0.75 * rank / max(len(order) - 1, 1))
        panel.plot([*places, axis.place(trial.score)], color=shade, linewidth=2.2 if rank == 0 else 1, marker=".")
    for position, each in enumerate([*found.axes, axis]):
        panel.axvline(position, color=GREY, linewidth=0.7, zorder=0)
        for height, words in _ticks(each):
            panel.text(position + 0.02, height, words, fontsize=7, va="center", bbox=_LABEL)
    panel.set_xticks(
        range(len(found.axes) + 1), [*(each.name for each in found.axes), axis.name], rotation=20, ha="right"
    )
    panel.set_yticks([])
    panel.set_ylim(-0.06, 1.06)
    panel.spines[:].set_visible(False)
    return as_svg(figure)


def importance_chart(found: Importance) -> str:
    """Bars: the share of the score's variance that each hyperparameter accounts for."""
    names = [*found.shares, "several together"]
    shares = [*found.shares.values(), found.together]
    figure, (panel,) = new_figure(1, size=(6.5, 0.8 + 0.3 * len(names)))
    bars = panel.barh(names, shares, color=[*[BLUE] * len(found.shares), GREY])
    panel.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3, fontsize=8)
    panel.invert_yaxis()
    panel.set(xlabel="share of the score's variance", xlim=(0, 1.1))
    return as_svg(figure)


def importance_section(found: SearchFolder) -> list[tuple[str, str, str]]:
    """Title, chart and note on what mattered; nothing where there are too few trials."""
    try:
        known = importance(found)
    except ModuleNotFoundError:
        return [("Importance", "", "It needs scikit-learn, which is not installed.")]
    if known is None:
        return []
    note = (
        f"From {known.trials} completed trials: functional ANOVA on a random forest. It says what made a difference "
        "where the search has looked."
    )
    return [("Importance", importance_chart(known), note)]


def slices(found: SearchFolder) -> str:
    """A panel for each hyperparameter: the scores of the trials against its value."""
    figure, panels = new_figure(len(found.axes), columns=_COLUMNS)
    numbers = {trial.id: number for number, trial in enumerate(found.trials)}
    for panel, axis in zip(panels, found.axes):
        active = [trial for trial in found.completed if axis.name in trial.values]
        places = [axis.place(trial.values[axis.name]) for trial in active]
        shades = [numbers[trial.id] for trial in active]
        panel.scatter(places, [trial.score for trial in active], c=shades, cmap="Blues", s=18, edgecolors=GREY, lw=0.4)
        panel.set(title=axis.name, xlim=(-0.05, 1.05), ylabel=found.objective)
        ticks = _ticks(axis)
        panel.set_xticks([height for height, _ in ticks], [words for _, words in ticks], fontsize=7)
    return as_svg(figure)


def pareto_fronts(found: SearchFolder) -> str:
    """A panel for each pair of objectives: all trials, and those that no other one beats in both."""
    pairs = list(itertools.combinations(found.objectives, 2))
    figure, panels = new_figure(len(pairs), columns=_COLUMNS)
    for panel, ((across, direction), (up, other)) in zip(panels, pairs):
        completed = [trial for trial in found.completed if {across, up} <= trial.metrics.keys()]
        best = front([trial.metrics for trial in completed if trial.feasible], {across: direction, up: other})
        for is_feasible, marker in ((True, "o"), (False, "x")):
            points = [trial.metrics for trial in completed if trial.feasible == is_feasible]
            panel.scatter(
                [each[across] for each in points], [each[up] for each in points], color=GREY, s=16, marker=marker
            )
        panel.plot([each[across] for each in best], [each[up] for each in best], color=ORANGE, marker="o", markersize=5)
        panel.set(xlabel=f"{across} ({direction})", ylabel=f"{up} ({other})")
    return as_svg(figure)


def front(points: Sequence[Mapping[str, float]], directions: Mapping[str, str]) -> list[Mapping[str, float]]:
    """The points that no other one beats, ordered by the first objective.

    Args:
        points: Figures by name.
        directions: "min" or "max" by name.

    Example:
        >>> points = [{"loss": 1, "size": 9}, {"loss": 2, "size": 3}, {"loss": 3, "size": 5}]
        >>> front(points, {"loss": "min", "size": "min"})
        [{'loss': 1, 'size': 9}, {'loss': 2, 'size': 3}]
    """

    goal = Goal(tuple(directions.items()))
    return sorted((points[number] for number in goal.front(points)), key=goal.losses)


def _place(axis: Axis, trial: TrialResult) -> float:
    return axis.place(trial.values[axis.name]) if axis.name in trial.values else float("nan")


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    """Where labels stand on an axis, and what they say."""
    if axis.choices:
        return [(axis.place(each), str(each)) for each in axis.choices] if len(axis.choices) <= 8 else []
    low, high = axis.low or 0, axis.high or 0
    middle = (low * high) ** 0.5 if axis.log else (low + high) / 2
    return [(axis.place(each), f"{each:.3g}") for each in dict.fromkeys((low, middle, high))]
