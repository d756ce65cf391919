"""Random labels and predictions of classes, and their way through a metric."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

quick = settings(max_examples=25, deadline=None)


def ids_of(form, ids, classes):
    """Class ids in one of the forms that labels come in."""
    return {
        "(n,)": ids,
        "(n, 1)": ids[:, None],
        "float": ids.astype("float32"),
        "one-hot": np.eye(classes, dtype="float32")[ids],
        "smooth": np.eye(classes, dtype="float32")[ids] * 0.8 + 0.2 / classes,
    }[form]


@st.composite
def tasks(draw, most=6):
    """Random ids of at most so many classes, scores, weights or None, and where to cut into batches."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, rows = draw(st.integers(2, most)), draw(st.integers(1, 30))
    # Of few classes some are often absent from the labels, the predictions, or both.
    used = rng.integers(1, count + 1)
    ids, scores = rng.integers(0, used, rows), rng.normal(size=(rows, count)).astype("float32")
    weights = rng.choice([0.0, 0.25, 1.0, 3.7], rows) if draw(st.booleans()) else None
    if weights is not None:
        weights[0] = 1.0
    cuts = sorted(draw(st.lists(st.integers(1, rows), max_size=3)))
    return count, ids, scores, weights, cuts


def measured(metric, y_true, y_pred, weights, cuts):
    """The result in one pass and, checked to be the same, batch by batch after a reset."""
    metric.update_state(y_true, y_pred, weights)
    whole = np.asarray(metric.result())
    metric.reset_state()
    for begin, end in zip([0, *cuts], [*cuts, len(y_pred)]):
        if begin < end:
            part = slice(begin, end)
            metric.update_state(y_true[part], y_pred[part], None if weights is None else weights[part])
    np.testing.assert_allclose(metric.result(), whole, rtol=1e-6, atol=1e-7)
    return whole
