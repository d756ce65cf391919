"""The folds of a cross-validation, by scikit-learn's splitters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfkit.data import Data, map_leaves
from tfkit.errors import DataError, ParameterError
from tfkit.reasons import reason


def splitter(cross_validation: Any) -> Any:
    """What splits rows: a number of folds, or an object with scikit-learn's `split`.

    Raises:
        ParameterError: It is neither.
    """
    folds = cross_validation
    if isinstance(folds, int) and not isinstance(folds, bool) and folds >= 2:
        return folds
    if hasattr(folds, "split") and hasattr(folds, "get_n_splits"):
        return folds
    raise ParameterError(
        f"cross_validation must be a number of folds >= 2 or one of scikit-learn's splitters; got {folds!r}"
    )


def folds(data: Data, cross_validation: Any) -> Iterator[Data]:
    """The train part, split anew into train and validation parts; the parts of validation and test are left out.

    Args:
        data: Its train part is split, as arrays.
        cross_validation: A number of folds, >= 2: of the rows shuffled by the data's seed, and of each class
            alike many where there is one column of class ids with a row for each fold. Or a splitter of
            scikit-learn's, such as RepeatedKFold or ShuffleSplit; give it a random_state, or a search that goes
            on has other folds.

    Raises:
        ParameterError: It is neither of these.
        DataError: The rows cannot be split like that.

    Example:
        >>> import numpy as np
        >>> data = Data((np.zeros((9, 2)), np.arange(9) % 3))
        >>> [(fold.rows("train"), sorted(fold.validation[1].tolist())) for fold in folds(data, 3)]
        [(6, [0, 1, 2]), (6, [0, 1, 2]), (6, [0, 1, 2])]
    """
    import numpy as np

    chosen_way = splitter(cross_validation)
    parts = data.arrays("train")
    rows, labels = np.zeros((data.rows("train"), 1)), _classes(parts[1])
    try:
        split = list(_made(chosen_way, labels, data.seed).split(rows, labels))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the train part cannot be split by cross_validation={cross_validation}: {reason(error)}"
        ) from None
    for chosen, held_out in split:
        yield dataclasses.replace(data, train=_taken(parts, chosen), validation=_taken(parts, held_out), test=None)


def _made(cross_validation: Any, labels: Any, seed: int) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    if not isinstance(cross_validation, int):
        return cross_validation
    kind = StratifiedKFold if _is_enough(labels, cross_validation) else KFold
    return kind(cross_validation, shuffle=True, random_state=seed)


def _classes(y: Any) -> Any:
    """Class ids by row where y is one column of them, else None."""
    import numpy as np

    column = np.squeeze(y, -1) if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1 else y
    if not isinstance(column, np.ndarray) or column.ndim != 1 or column.dtype.kind not in "iubOSU":
        return None
    return column


def _is_enough(labels: Any, folds: int) -> bool:
    """Whether each fold can have a row of each class."""
    import numpy as np

    return labels is not None and bool(np.unique(labels, return_counts=True)[1].min() >= folds)


def _taken(parts: tuple[Any, ...], rows: Any) -> tuple[Any, ...]:
    return tuple(map_leaves(lambda leaf: leaf[rows], each) for each in parts)
