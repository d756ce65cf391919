"""The folds of a cross-validation, by scikit-learn's splitters."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfkit.data import Data
from tfkit.errors import DataError, ParameterError
from tfkit.nests import map_leaves
from tfkit.reasons import reason

Rows = tuple[Any, Any]


def folds(data: Data, cross_validation: Any) -> tuple[Rows, ...]:
    """The rows of the train part that each fold is trained on, and those that it is measured on.

    Args:
        data: Its train part is split, as arrays.
        cross_validation: A number of folds, >= 2: of the rows shuffled by the data's seed, and of each class
            alike many where there is one column of class ids with a row for each fold. Or a splitter of
            scikit-learn's, such as RepeatedKFold or ShuffleSplit.

    Returns:
        Pairs of int arrays; none where cross_validation is None.

    Raises:
        ParameterError: It is neither of these.
        DataError: The rows cannot be split like that.

    Example:
        >>> import numpy as np
        >>> data = Data((np.zeros((9, 2)), np.arange(9) % 3))
        >>> [(len(train), sorted((held_out % 3).tolist())) for train, held_out in folds(data, 3)]
        [(6, [0, 1, 2]), (6, [0, 1, 2]), (6, [0, 1, 2])]
    """
    import numpy as np

    if cross_validation is None:
        return ()
    _check(cross_validation)
    labels = _classes(data.arrays("train")[1])
    rows = np.zeros((data.rows("train"), 1))
    try:
        return tuple(_made(cross_validation, labels, data.seed).split(rows, labels))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the train part cannot be split by cross_validation={cross_validation}: {reason(error)}"
        ) from None


def fold(data: Data, rows: Rows) -> Data:
    """The train part, split into train and validation parts by its rows; other parts are left out."""
    parts = data.arrays("train")
    train, held_out = (_taken(parts, each) for each in rows)
    return dataclasses.replace(data, train=train, validation=held_out, test=None)


def digest(values: Any) -> str:
    """A text that is equal for equal arrays and nests of them."""
    import joblib  # type: ignore[import-untyped]

    return str(joblib.hash(values))


def _check(cross_validation: Any) -> None:
    folds = cross_validation
    is_number = isinstance(folds, int) and not isinstance(folds, bool) and folds >= 2
    if not is_number and not (hasattr(folds, "split") and hasattr(folds, "get_n_splits")):
        raise ParameterError(
            f"cross_validation must be a number of folds >= 2 or one of scikit-learn's splitters; got {folds!r}"
        )


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
