import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from tfkit.pipeline.expected import decisions, expectation


def task(rows, seed, noise):
    """A source that knows the true probabilities, another model that sees them dimly, and labels drawn from them."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=2.5, size=rows)
    other = expit(scores + noise * generator.normal(size=rows))
    labels = (generator.random(rows) < expit(scores)).astype(int)
    return expit(scores), other, labels


def true_drop(source, other):
    """Of two classes, at known probabilities."""
    return np.mean(((source > 0.5) != (other > 0.5)) * np.abs(2 * source - 1))


def told_drop(source, other, labels):
    return np.mean((source > 0.5) == labels) - np.mean((other > 0.5) == labels)


def expected_drop(source, other, labels, *weights):
    return expectation("accuracy", source, (labels, *weights)).drop(decisions(other, {}))


def test_of_few_rows_fewer_models_pass_that_lose_too_much():
    bound, wrong = 0.005, {"labels": 0, "expected": 0}
    for seed in range(100):
        source, other, labels = task(600, seed, 0.5)
        assert true_drop(source, other) > bound
        told = told_drop(source, other, labels)
        wrong["labels"] += told <= bound
        wrong["expected"] += max(told, expected_drop(source, other, labels)) <= bound
    assert wrong["labels"] > 20
    assert wrong["expected"] < wrong["labels"] / 4


def test_of_few_rows_models_that_lose_little_still_pass():
    passed = [0, 0]
    for seed in range(50):
        source, other, labels = task(600, seed, 0.3)
        assert true_drop(source, other) <= 0.006
        told = told_drop(source, other, labels)
        passed[0] += told <= 0.005
        passed[1] += max(told, expected_drop(source, other, labels)) <= 0.005
    assert passed[1] > 0.8 * passed[0]


def test_of_many_rows_it_is_the_labels_and_their_paired_standard_error():
    source, other, labels = task(100_000, 0, 1.0)
    lost = ((source > 0.5) == labels) * 1.0 - ((other > 0.5) == labels)
    error = lost.std() / np.sqrt(len(lost))
    assert expected_drop(source, other, labels) == pytest.approx(lost.mean() + error, rel=0.03)


def test_no_other_decision_loses_nothing():
    source, _, labels = task(300, 0, 1.0)
    assert expected_drop(source, source**3 / (source**3 + (1 - source) ** 3), labels) == 0


def test_weights_count_as_rows_that_occur_more_often():
    source, _, labels = task(200, 0, 1.5)
    weights = np.random.default_rng(1).integers(0, 4, 200)
    rows = np.repeat(np.arange(200), weights)
    once = expectation("accuracy", source, (labels, weights))
    often = expectation("accuracy", source[rows], (labels[rows],))
    np.testing.assert_allclose(once.sure[rows], often.sure)
    assert once.weights @ (once.decided == labels) == pytest.approx(np.mean(often.decided == often.labels))


@pytest.mark.parametrize("form", ["(n, 1)", "two columns", "logits", "logits of two", "one-hot"])
def test_forms_of_outputs_and_labels(form):
    source, other, labels = task(300, 3, 1.0)
    want = expected_drop(source, other, labels)
    params, y = {}, labels
    made = [source, other]
    if form == "(n, 1)":
        made, y = [each[:, None] for each in made], labels[:, None]
    if form in ("two columns", "one-hot"):
        made = [np.stack([1 - each, each], 1) for each in made]
        y = np.eye(2)[labels] if form == "one-hot" else labels
    if form == "logits":
        params, made = {"from_logits": True}, [logit(each) for each in made]
    if form == "logits of two":
        params, made = {"from_logits": True}, [np.stack([0 * each, logit(each)], 1) for each in made]
    found = expectation(("accuracy", params), made[0], (y,))
    assert found.drop(decisions(made[1], params)) == pytest.approx(want, abs=1e-9)


def test_a_source_that_is_too_sure_is_calibrated():
    source, _, labels = task(5000, 0, 1.0)
    found = expectation("accuracy", expit(4 * logit(source)), (labels,))
    np.testing.assert_allclose(found.sure[:, 1], source, atol=0.03)


def test_it_expects_nothing_of_other_metrics_and_outputs():
    labels = np.array([0, 1, 2])
    outputs = softmax(np.eye(3), 1)
    assert expectation("accuracy", outputs, (labels,)) is not None
    for metric in ("f1", ("accuracy", {"multi_label": True})):
        assert expectation(metric, outputs, (labels,)) is None
    for wrong in (10 * outputs, np.ones((3, 4, 3)), [outputs, outputs]):
        assert expectation("accuracy", wrong, (labels,)) is None
    assert expectation("accuracy", outputs, (np.array([["a"], ["b"], ["c"]]),)) is None
