"""Metrics of probabilities against scikit-learn and a closed form: labels, weights and batches in every form."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from random_tasks import ids_of, measured, quick, tasks
from scipy.special import expit, softmax

import tfkit

MEANS = ("log-loss", "brier", "calibration-error")


def create(name, /, **params):
    return tfkit.create("metric", name, dtype="float64", **params)


def calibration_error(ids, chances, weights, bins=15):
    """Guo et al. 2017, formula 3, a bin at a time."""
    weights = np.ones(len(ids)) if weights is None else weights
    confidence, right = chances.max(1), chances.argmax(1) == ids
    found = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1), np.linspace(0, 1, bins + 1)[1:]):
        mine = (confidence > low) & (confidence <= high)
        found += abs(np.sum(weights[mine] * (confidence[mine] - right[mine])))
    return found / weights.sum()


def reference(name, ids, chances, weights):
    if name == "calibration-error":
        return calibration_error(ids, chances, weights)
    function = {"log-loss": sk.log_loss, "brier": sk.brier_score_loss}[name]
    return function(ids, chances, labels=range(chances.shape[1]), sample_weight=weights)


@pytest.mark.parametrize("name", MEANS)
@given(
    task=tasks(),
    form=st.sampled_from(["(n,)", "(n, 1)", "float", "one-hot", "smooth"]),
    from_logits=st.booleans(),
    sharpness=st.sampled_from([1.0, 30.0]),
)
@quick
def test_of_many_classes(name, task, form, from_logits, sharpness):
    classes, ids, scores, weights, cuts = task
    chances = softmax(sharpness * scores.astype("float64"), axis=1)
    given_scores = sharpness * scores.astype("float64") if from_logits else chances
    found = measured(create(name, from_logits=from_logits), ids_of(form, ids, classes), given_scores, weights, cuts)
    np.testing.assert_allclose(found, reference(name, ids, chances, weights), atol=1e-6)


@pytest.mark.parametrize("name", MEANS)
@given(task=tasks(most=2), column=st.booleans(), from_logits=st.booleans())
@quick
def test_of_a_sigmoid(name, task, column, from_logits):
    _, ids, scores, weights, cuts = task
    logits = scores[:, 0].astype("float64")
    chances = expit(logits)
    outputs = logits if from_logits else chances
    found = measured(create(name, from_logits=from_logits), ids, outputs[:, None] if column else outputs, weights, cuts)
    np.testing.assert_allclose(found, reference(name, ids, np.stack([1 - chances, chances], 1), weights), atol=1e-6)


@pytest.mark.parametrize("name", MEANS)
def test_of_several_labels_it_is_the_mean_over_labels(name):
    rng = np.random.default_rng(0)
    labels, chances, weights = rng.integers(0, 2, (30, 4)), rng.random((30, 4)), rng.random(30)
    found = float(create(name, multi_label=True)(labels, chances, weights))
    columns = [(labels[:, i], np.stack([1 - chances[:, i], chances[:, i]], 1)) for i in range(4)]
    if name == "calibration-error":
        ids, both = (np.concatenate(each) for each in zip(*columns))
        wanted = calibration_error(ids, both, np.tile(weights, 4))
    else:
        wanted = np.mean([reference(name, ids, both, weights) for ids, both in columns])
    assert found == pytest.approx(wanted, abs=1e-9)


@given(task=tasks(), k=st.integers(1, 4), ties=st.booleans())
@quick
def test_top_k_accuracy(task, k, ties):
    classes, ids, scores, weights, cuts = task
    scores = np.round(scores) if ties else scores
    found = measured(create("top-k-accuracy", k=k), ids, scores, weights, cuts)
    if classes == 2:  # scikit-learn takes one column there
        wanted = 1.0 if k > 1 else np.average((scores[:, 1] >= scores[:, 0]) == ids, weights=weights)
    elif k >= classes:
        wanted = 1.0
    else:
        wanted = sk.top_k_accuracy_score(ids, scores, k=k, labels=range(classes), sample_weight=weights)
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_top_k_of_a_sigmoid():
    labels, chances = [0, 1, 1], [0.4, 0.4, 0.6]
    assert float(create("top-k-accuracy", k=1)(labels, chances)) == pytest.approx(2 / 3)
    assert float(create("top-k-accuracy", k=1, threshold=0.3)(labels, chances)) == pytest.approx(2 / 3)
    assert float(create("top-k-accuracy")(labels, chances)) == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_loss_clips_as_scikit_learn(dtype):
    chances = np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype)
    found = create("log-loss")([1, 1, 0], chances)
    assert float(found) == pytest.approx(sk.log_loss([1, 1, 0], chances), rel=1e-6)


def test_bins_of_confidence_hold_their_upper_edge():
    # 0.6 belongs to (0.4, 0.6] and 0.61 to (0.6, 0.8]: each alone is off by what it lacks.
    found = create("calibration-error", bins=5)([0, 1], np.array([[0.6, 0.4], [0.61, 0.39]]))
    assert float(found) == pytest.approx((0.4 + 0.61) / 2)


@pytest.mark.parametrize("name", [*MEANS, "top-k-accuracy", "roc-auc", "average-precision"])
def test_ids_are_refused(name):
    for predicted in (np.array([0, 2]), np.array([0.0, 2.0])):
        with pytest.raises(tfkit.ParameterError, match="are class ids: give probabilities"):
            create(name, num_classes=3).update_state([0, 1], predicted)


@pytest.mark.parametrize("name", MEANS)
def test_what_is_no_probability_is_refused(name):
    with pytest.raises(tfkit.DataError, match=r"from 0 to 1 \(pass from_logits=True for logits\); row 1 .* has -1"):
        create(name).update_state([0, 1], [[0.5, 0.5], [3.0, -1.0]])


@pytest.mark.parametrize("name", ["top-k-accuracy", "mcc", "cohen-kappa"])
def test_what_is_not_defined_for_several_labels_is_refused(name):
    with pytest.raises(tfkit.ParameterError, match="must be False"):
        create(name, multi_label=True)


@pytest.mark.parametrize("name", [*MEANS, "top-k-accuracy", "roc-auc", "average-precision"])
def test_a_prediction_that_is_nan_shows(name):
    scores = [[0.2, 0.8], [np.nan, 0.5], [0.6, 0.4]]
    assert np.isnan(create(name)([0, 1, 1], scores))
    # … unless its row is masked.
    outputs = np.array(scores, "float32")

    class Masked(np.ndarray):
        _keras_mask = np.array([True, False, True])

    seen = create(name)([0, 1], outputs[[0, 2]])
    np.testing.assert_allclose(create(name)([0, 1, 1], outputs.view(Masked)), seen)


@pytest.mark.parametrize("name", [*MEANS, "top-k-accuracy"])
def test_what_no_row_was_counted_for(name):
    assert float(create(name).result()) == 0.0
