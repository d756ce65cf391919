"""cv_results_ of a search, from what its trials have reported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

Table = dict[str, Any]

_SPLIT = re.compile(r"split(\d+)_(.+)")


def figures(found: Mapping[str, Any]) -> dict[str, float]:
    """What `cross_validate` gives, as one number a name: "split0_test_score", "split0_fit_time", …"""
    return {
        f"split{split}_{name}": float(value) for name, values in found.items() for split, value in enumerate(values)
    }


def cv_results(trials: Sequence[Trial], splits: int, error_score: Any) -> Table:
    """The dict of arrays that scikit-learn's searches have, a row a trial.

    Args:
        trials: Trials that have ended, with what `figures` gave as their metrics.
        splits: Number of splits.
        error_score: Score of those that have failed; their times are 0.

    Example:
        >>> figures({"test_score": [0.5, 1.0]})
        {'split0_test_score': 0.5, 'split1_test_score': 1.0}
    """
    import numpy as np

    told = [_reported(trial) for trial in trials]
    names = list(dict.fromkeys(match[2] for each in told for match in map(_SPLIT.fullmatch, each) if match))
    table: Table = {}
    for name in names:
        missing = 0.0 if name.endswith("_time") else error_score
        values = np.array([[each.get(f"split{split}_{name}", missing) for split in range(splits)] for each in told])
        table.update(_columns(name, values))
    values_of = [dict(trial.hyperparameters.values) for trial in trials]
    for name in dict.fromkeys(name for values in values_of for name in values):
        table[f"param_{name}"] = _masked([values.get(name, np.ma.masked) for values in values_of])
    return {**table, "params": values_of}


def _reported(trial: Trial) -> dict[str, float]:
    return {name: history.get_history()[0].mean() for name, history in trial.metrics.metrics.items()}


def _columns(name: str, values: Any) -> Table:
    """Mean and standard deviation over the splits, the splits themselves of scores, and the rank of test scores."""
    columns = (
        {} if name.endswith("_time") else {f"split{split}_{name}": column for split, column in enumerate(values.T)}
    )
    columns |= {f"mean_{name}": values.mean(axis=1), f"std_{name}": values.std(axis=1)}
    if name.startswith("test_"):
        columns[f"rank_{name}"] = _ranks(values.mean(axis=1))
    return columns


def _ranks(means: Any) -> Any:
    """1 for the largest; equals share the least rank, and what is no number comes last."""
    import numpy as np
    from scipy.stats import rankdata

    worst = np.nanmin(means) - 1 if not np.isnan(means).all() else 0
    return rankdata(-np.nan_to_num(means, nan=worst), method="min").astype(np.int32)


def _masked(values: Sequence[Any]) -> Any:
    """A masked array of objects, as scikit-learn's: masked where a hyperparameter is inactive."""
    import numpy as np

    mask = [value is np.ma.masked for value in values]
    made: Any = np.ma.MaskedArray(np.empty(len(values), dtype=object), mask=mask)
    for row, value in enumerate(values):
        if not mask[row]:
            made[row] = value
    return made
