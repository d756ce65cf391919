"""Checks of metrics: any split into batches, weights, and the way through Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfkit.registry import Plugin
from tfkit.testing.examples import Example, make, require, workable
from tfkit.testing.problems import ROWS, Problem, problems
from tfkit.testing.shared import shared

if TYPE_CHECKING:
    import keras
    import numpy as np

# How a metric may say that it takes no sample_weight.
_REFUSALS = (ValueError, TypeError, NotImplementedError)


def measures_a_problem(plugin: Plugin) -> None:
    """Each example measures one of the usual problems (classes, two classes, labels, numbers); the result is finite."""
    for example in workable(plugin):
        tried: list[str] = []
        found = _problem(plugin, example, tried)
        require(found, f"{dict(example)} gives a finite result on no problem: {'; '.join(tried)}")


def batches_change_nothing(plugin: Plugin) -> None:
    """Batches of 1, 7 and the rest give what one pass over all rows gives."""
    for example, problem, whole in _measured(plugin):
        parts = make(plugin, example)
        for begin, end in ((0, 1), (1, 8), (8, ROWS)):
            _update(parts, problem.rows(begin, end))
        _compare(result(parts), whole, f"{dict(example)} in batches of 1, 7 and {ROWS - 8} rows, against one pass")


def reset_state_forgets(plugin: Plugin) -> None:
    """After `reset_state` it measures like a new one."""
    for example, problem, whole in _measured(plugin):
        used = make(plugin, example)
        _update(used, problem.reversed())
        used.reset_state()
        _update(used, problem)
        _compare(result(used), whole, f"{dict(example)} after reset_state(), against a new one")


def weights_of_one_change_nothing(plugin: Plugin) -> None:
    """A sample_weight of ones changes nothing, or sample_weight is refused."""
    import numpy as np

    for example, problem, whole in _measured(plugin):
        weighted = _weighted(plugin, example, problem, np.ones(ROWS, "float32"))
        if weighted is not None:
            _compare(weighted, whole, f"{dict(example)} with sample_weight of ones, against none")


def weights_of_zero_leave_rows_out(plugin: Plugin) -> None:
    """Rows of sample_weight 0 count like rows that are not there, or sample_weight is refused."""
    import numpy as np

    half = ROWS // 2
    for example, problem, _ in _measured(plugin):
        weights = (np.arange(ROWS) < half).astype("float32")
        weighted = _weighted(plugin, example, problem, weights)
        if weighted is not None:
            alone = _update(make(plugin, example), problem.rows(0, half))
            _compare(weighted, result(alone), f"{dict(example)} with the last half weighted 0, against the first half")


def measures_in_evaluate(plugin: Plugin) -> None:
    """In `compile(metrics=[…])`, `evaluate` gives what updates by hand give: it works in a graph."""
    for example, _, whole in _measured(plugin)[:1]:
        _, found = _model(plugin)
        _compare(found, whole, f"{dict(example)} in evaluate(), against by hand")


def measures_after_loading(plugin: Plugin) -> None:
    """A model saved with it loads and measures the same."""
    import keras

    for example, problem, whole in _measured(plugin)[:1]:
        model, _ = _model(plugin)
        model.save("model.keras")
        loaded = keras.saving.load_model("model.keras")
        loaded.run_eagerly = True  # that it works in a graph is shown by measures_in_evaluate
        _compare(_evaluated(loaded, problem), whole, f"{dict(example)} in a model saved and loaded, against by hand")


def result(metric: Any) -> np.ndarray:
    """A metric's result, or the values of a dict of results, as one flat float64 array."""
    import numpy as np

    from tfkit.nests import leaves

    return np.concatenate([np.ravel(np.asarray(leaf, "float64")) for leaf in leaves(metric.result())])


@shared
def _model(plugin: Plugin) -> tuple[keras.Model, np.ndarray]:
    """A model that measures the first example, and what it measures."""
    example, problem, _ = _measured(plugin)[0]
    model = problem.model(make(plugin, example))
    return model, _evaluated(model, problem)


@shared
def _measured(plugin: Plugin) -> list[tuple[Example, Problem, np.ndarray]]:
    """Each example with the first problem that it measures and its result there."""
    return [(example, *found) for example in workable(plugin) if (found := _problem(plugin, example, []))]


def _problem(plugin: Plugin, example: Example, tried: list[str]) -> tuple[Problem, np.ndarray] | None:
    import numpy as np

    for problem in problems():
        try:
            found = result(_update(make(plugin, example), problem))
        except Exception as error:
            tried.append(f"{problem.name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        if np.isfinite(found).all():
            return problem, found
        tried.append(f"{problem.name}: {found}")
    return None


def _update(metric: Any, problem: Problem, weights: Any = None) -> Any:
    given = {} if weights is None else {"sample_weight": weights}
    metric.update_state(problem.y_true, problem.y_pred, **given)
    return metric


def _weighted(plugin: Plugin, example: Example, problem: Problem, weights: Any) -> np.ndarray | None:
    """The result under weights, or None where the metric refuses them."""
    try:
        return result(_update(make(plugin, example), problem, weights))
    except _REFUSALS:
        return None


def _evaluated(model: Any, problem: Problem) -> np.ndarray:
    import numpy as np

    logs = model.evaluate(problem.y_pred, problem.y_true, batch_size=ROWS, verbose=0, return_dict=True)
    logs.pop("loss")
    return np.concatenate([np.ravel(np.asarray(value, "float64")) for value in logs.values()])


def _compare(got: np.ndarray, wanted: np.ndarray, told: str) -> None:
    import numpy as np

    same = got.shape == wanted.shape and np.allclose(got, wanted, rtol=1e-5, atol=1e-6)
    require(same, f"{told}: {np.round(got, 6)}, not {np.round(wanted, 6)}")


CHECKS = (
    measures_a_problem,
    batches_change_nothing,
    reset_state_forgets,
    weights_of_one_change_nothing,
    weights_of_zero_leave_rows_out,
    measures_in_evaluate,
    measures_after_loading,
)
