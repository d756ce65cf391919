"""How much each hyperparameter matters: functional ANOVA on a random forest of a search's trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfkit.pipeline.search_folder import SearchFolder

# Of fewer a forest learns nothing that is worth a chart.
LEAST_TRIALS = 10
_TREES = 64


@dataclass(frozen=True)
class Importance:
    """What a search's trials say of its hyperparameters.

    Attributes:
        shares: By hyperparameter, the share of the score's variance that is due to it alone, the largest first.
        trials: Completed trials that this rests on.
    """

    shares: dict[str, float]
    trials: int

    @property
    def together(self) -> float:
        """The share that is due to several hyperparameters together."""
        return max(0.0, 1.0 - sum(self.shares.values()))


def importance(found: SearchFolder) -> Importance | None:
    """Functional ANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014): main effects in the variance of a forest.

    A hyperparameter that is inactive in a trial counts with its default, as there. A score that is far worse than
    the others (three interquartile ranges beyond the worse quartile) counts as that bound, so that one trial that
    diverged does not decide.

    Args:
        found: The search's folder.

    Returns:
        None with fewer than 10 completed trials, fewer than two hyperparameters, or scores that are all equal or that
        the hyperparameters say nothing of.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    if len(found.completed) < LEAST_TRIALS or len(found.axes) < 2:
        return None
    places, scores = _table(found)
    if not scores.std() > 0:
        return None
    shares = main_effects(places, scores)
    if shares is None:
        return None
    by_name = {axis.name: share for axis, share in zip(found.axes, shares)}
    ranked = dict(sorted(by_name.items(), key=lambda each: -each[1]))
    return Importance(ranked, len(found.completed))


def main_effects(places: Any, scores: Any) -> list[float] | None:
    """For each column, the share of a forest's variance over the unit cube that is due to it alone.

    Args:
        places: Array of shape (trials, columns), within 0 and 1.
        scores: Array of shape (trials,).

    Returns:
        None where every tree is constant.
    """
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=0).fit(places, scores)
    found = [tree_effects(each.tree_, places.shape[1]) for each in forest.estimators_]
    shares = [each for each in found if each is not None]
    return [float(share) for share in np.mean(shares, axis=0)] if shares else None


def tree_effects(tree: Any, columns: int) -> Any:
    """The same of one of scikit-learn's trees, exact; None where it is constant."""
    import numpy as np

    lows, highs, values = _leaves(tree, columns)
    sides = highs - lows
    volumes = sides.prod(axis=1)
    mean = (volumes * values).sum()
    variance = (volumes * (values - mean) ** 2).sum()
    if not variance > 0:
        return None
    effects = []
    for column in range(columns):
        edges = np.unique(np.concatenate([lows[:, column], highs[:, column]]))
        # Leaves of this interval of the column, weighted by their extent in all the others.
        inside = (lows[:, column] <= edges[:-1, None]) & (edges[1:, None] <= highs[:, column])
        marginal = inside @ (volumes / sides[:, column] * values)
        effects.append((np.diff(edges) * (marginal - mean) ** 2).sum() / variance)
    return np.array(effects)


def _leaves(tree: Any, columns: int) -> tuple[Any, Any, Any]:
    """The boxes of the leaves within the unit cube: lower and upper corners, and values."""
    import numpy as np

    boxes: list[tuple[Any, Any, float]] = []

    def descend(node: int, low: Any, high: Any) -> None:
        column, threshold = tree.feature[node], tree.threshold[node]
        if column < 0:
            boxes.append((low, high, float(tree.value[node].item())))
            return
        left, right = high.copy(), low.copy()
        left[column] = right[column] = threshold
        descend(tree.children_left[node], low, left)
        descend(tree.children_right[node], right, high)

    descend(0, np.zeros(columns), np.ones(columns))
    lows, highs, values = zip(*boxes)
    return np.array(lows), np.array(highs), np.array(values)


def _table(found: SearchFolder) -> tuple[Any, Any]:
    """Places of the values of the completed trials, and their scores."""
    import numpy as np

    rows = [[axis.place(trial.values.get(axis.name, axis.default)) for axis in found.axes] for trial in found.completed]
    scores = np.array([trial.score for trial in found.completed], dtype=float)
    return np.array(rows), _capped(scores if found.minimize else -scores)


def _capped(losses: Any) -> Any:
    import numpy as np

    low, high = np.quantile(losses, [0.25, 0.75])
    return np.minimum(losses, high + 3 * (high - low)) if high > low else np.asarray(losses)
