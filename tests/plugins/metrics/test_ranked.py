"""Areas under curves against scikit-learn: exact, in bins, in a model."""

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tasks import ids_of, measured, quick, tasks
from scipy.special import expit, softmax

import tfkit

FUNCTIONS = {"roc-auc": sk.roc_auc_score, "average-precision": sk.average_precision_score}


def create(name, /, **params):
    return tfkit.create("metric", name, dtype="float64", **params)


def each_class(name, columns, scores, weights):
    """scikit-learn's score of each column of 0 and 1; NaN where it has none."""
    found = []
    for truth, score in zip(np.asarray(columns).T, scores.T):
        counted = np.ones(len(truth), bool) if weights is None else weights > 0
        defined = len(set(truth[counted])) == 2 if name == "roc-auc" else truth[counted].any()
        found.append(FUNCTIONS[name](truth, score, sample_weight=weights) if defined else np.nan)
    return np.array(found)


def averaged(name, columns, scores, weights, average):
    columns = np.asarray(columns)
    if average == "micro":
        tiled = None if weights is None else np.repeat(weights, columns.shape[1])
        return each_class(name, columns.reshape(-1, 1), scores.reshape(-1, 1), tiled)[0]
    found = each_class(name, columns, scores, weights)
    support = columns.T @ (np.ones(len(columns)) if weights is None else weights)
    if average is None:
        return np.nan_to_num(found) if name == "average-precision" else found
    if average == "weighted":
        return (np.where(support, found, 0) * support).sum() / support.sum()
    return np.nanmean(found) if np.isfinite(found).any() else np.nan


@pytest.mark.parametrize("name", FUNCTIONS)
@given(
    task=tasks(),
    form=st.sampled_from(["(n,)", "(n, 1)", "float", "one-hot"]),
    average=st.sampled_from(["micro", "macro", "weighted", None]),
    squeezed=st.booleans(),
    ties=st.booleans(),
)
@quick
def test_of_many_classes(name, task, form, average, squeezed, ties):
    classes, ids, scores, weights, cuts = task
    scores = np.round(scores) if ties else scores
    scores = scores * 1e-5 + 0.005 if squeezed else scores
    found = measured(create(name, average=average), ids_of(form, ids, classes), scores, weights, cuts)
    if classes == 2 and average is not None:
        wanted = each_class(name, ids[:, None] == [1], scores[:, 1:], weights)[0]
        wanted = 0.0 if name == "average-precision" and np.isnan(wanted) else wanted
    elif classes == 2:
        # Class 0 is ordered by how little the row is of class 1.
        scores = np.stack([-scores[:, 1], scores[:, 1]], 1)
        wanted = averaged(name, np.eye(2)[ids], scores, weights, None)
    else:
        wanted = averaged(name, np.eye(classes)[ids], scores, weights, average)
    if average == "weighted" and np.isnan(wanted):
        return  # all rows are of one class: scikit-learn has no score
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_scikit_learns_own_averages(name):
    """The whole of scikit-learn's functions, where they take the task: all classes occur."""
    rng = np.random.default_rng(0)
    ids, chances, weights = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4), 200), rng.random(200)
    for average in ("macro", "weighted", "micro", None):
        given_labels = {"multi_class": "ovr"} if name == "roc-auc" else {}
        wanted = FUNCTIONS[name](ids, chances, average=average, sample_weight=weights, **given_labels)
        np.testing.assert_allclose(create(name, average=average)(ids, chances, weights), wanted, atol=1e-9)
        labels = (rng.random((200, 4)) < 0.3).astype(int)
        wanted = FUNCTIONS[name](labels, chances, average=average, sample_weight=weights)
        found = create(name, average=average, multi_label=True)(labels, chances, weights)
        np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(task=tasks(), two=st.booleans())
@quick
def test_logits_order_as_their_probabilities(name, task, two):
    classes, ids, scores, weights, cuts = task
    if two:
        ids, scores, chances = np.minimum(ids, 1), scores[:, 0], expit(scores[:, :1].astype("float64"))
        truth = ids[:, None]
    else:
        chances, truth = softmax(scores.astype("float64"), axis=1), np.eye(classes)[ids]
    found = measured(create(name, from_logits=True, average="micro"), ids, scores, weights, cuts)
    if not two and classes == 2:
        chances, truth = chances[:, 1:], truth[:, 1:]
    wanted = averaged(name, truth, chances, weights, "micro")
    wanted = 0.0 if name == "average-precision" and np.isnan(wanted) else wanted
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_labels_that_no_row_has():
    labels, scores = np.array([[1, 0], [0, 0], [1, 0]]), np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.3]])
    assert float(create("roc-auc", multi_label=True)(labels, scores)) == 0.5  # of the first label alone
    wanted = FUNCTIONS["average-precision"](labels[:, 0], scores[:, 0]) / 2
    assert float(create("average-precision", multi_label=True)(labels, scores)) == pytest.approx(wanted)
    assert np.isnan(create("roc-auc", multi_label=True, average=None)(labels, scores)[1])
    assert np.isnan(create("roc-auc")([1, 1], [0.2, 0.3]))
    assert np.isnan(create("roc-auc").result())


@pytest.mark.parametrize("name", FUNCTIONS)
@given(
    seed=st.integers(0, 2**32 - 1),
    bins=st.sampled_from([2, 20, 300]),
    average=st.sampled_from(["micro", "macro", "weighted", None]),
    scale=st.sampled_from([1.0, 0.01, 1e-6]),
)
@settings(max_examples=20, deadline=None)
def test_bins_keep_their_error_bound(name, seed, bins, average, scale):
    rng = np.random.default_rng(seed)
    ids, weights = np.arange(60) % 3, rng.random(60)
    chances = rng.random((60, 3)) * scale + 1e-9
    metric = create(name, bins=bins, average=average)
    found = measured(metric, ids, chances, weights, [20, 41])
    exact = create(name, average=average)(ids, chances, weights).numpy()
    assert (np.abs(found - exact) <= metric.error_bound() + 1e-9).all()
    assert np.shape(metric.error_bound()) == exact.shape
    assert create(name).error_bound() == 0.0


def test_bins_are_fine_where_scores_are_squeezed():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 3000)
    scores = np.clip(0.004 + 0.002 * labels + 0.0025 * rng.normal(size=3000), 1e-5, 0.01)
    for squeezed in (scores, scores / 100, 1 - scores):
        exact = sk.roc_auc_score(labels, squeezed)
        metric = create("roc-auc", bins=10000)
        assert float(metric(labels, squeezed)) == pytest.approx(exact, abs=2e-3)
        assert metric.error_bound() < 4e-3


def test_a_result_in_a_graph_is_renewed_as_rows_grow():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 400), rng.random(400)
    metric = create("roc-auc")

    @tf.function
    def step(labels, scores):
        metric.update_state(labels, scores)
        return metric.result()

    first = float(step(labels[:300], scores[:300]))
    assert first == pytest.approx(sk.roc_auc_score(labels[:300], scores[:300]), abs=1e-9)
    assert float(step(labels[300:310], scores[300:310])) == first
    assert float(metric.result()) == pytest.approx(sk.roc_auc_score(labels[:310], scores[:310]), abs=1e-9)
    assert float(step(labels[310:], scores[310:])) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-9)
    metric.reset_state()
    assert float(step(labels[:20], scores[:20])) == pytest.approx(sk.roc_auc_score(labels[:20], scores[:20]), abs=1e-9)


def in_a_model(metrics, **compiled):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("linear")])
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=metrics, **compiled)
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_in_fit_and_on_batches():
    rng = np.random.default_rng(0)
    ids, chances, weights = np.arange(50) % 3, rng.dirichlet(np.ones(3), 50).astype("float32"), rng.random(50)
    model = in_a_model([create(name) for name in FUNCTIONS] + [create("roc-auc", bins=50, name="binned")])
    given_rows = {"sample_weight": weights, "batch_size": 8, "verbose": 0}
    history = model.fit(chances, ids, **given_rows, epochs=2, validation_data=(chances, ids, weights)).history
    one_hot = np.eye(3)[ids]
    for name in FUNCTIONS:
        key, wanted = name.replace("-", "_"), averaged(name, one_hot, chances, weights, "macro")
        np.testing.assert_allclose(history[key] + history[f"val_{key}"], wanted, atol=1e-6)
    first = model.test_on_batch(chances[:20], ids[:20], return_dict=True)
    second = model.test_on_batch(chances[20:], ids[20:], return_dict=True)
    for logs, part in ((first, slice(0, 20)), (second, slice(20, 50))):
        wanted = averaged("roc-auc", one_hot[part], chances[part], None, "macro")
        assert logs["roc_auc"] == pytest.approx(wanted, abs=1e-6)
        assert abs(logs["binned"] - wanted) < 0.1


@pytest.mark.slow
def test_under_jit_compile_rows_cannot_be_kept_and_bins_can():
    chances, ids = np.random.default_rng(0).dirichlet(np.ones(3), 20).astype("float32"), np.arange(20) % 3
    with pytest.raises(tfkit.ParameterError, match=r"metric 'roc_auc' keeps its rows.*pass bins=10000"):
        in_a_model([create("roc-auc")], jit_compile=True).evaluate(chances, ids, verbose=0)
    found = in_a_model([create("roc-auc", bins=100)], jit_compile=True).evaluate(chances, ids, verbose=0)[1]
    assert found == pytest.approx(float(create("roc-auc", bins=100)(ids, chances)), abs=1e-6)


def test_bins_have_a_stateless_way_and_kept_rows_do_not():
    ids, chances = np.arange(20) % 3, np.random.default_rng(0).dirichlet(np.ones(3), 20)
    metric = create("roc-auc", bins=100, num_classes=3)
    state = metric.stateless_update_state([tf.convert_to_tensor(each) for each in metric.variables], ids, chances)
    np.testing.assert_allclose(metric.stateless_result(state), create("roc-auc", bins=100)(ids, chances))
    with pytest.raises(tfkit.DataError, match="outside of variables"):
        create("roc-auc").stateless_update_state([], ids, chances)


@pytest.mark.parametrize(
    ("params", "scores", "text"),
    [
        ({"average": "samples"}, None, "the parameter 'average'"),
        ({"bins": 1}, None, "the parameter 'bins'"),
        ({"average": "binary"}, np.eye(3)[:2], "needs two classes; metric 'roc_auc' has 3"),
        ({"average": "binary", "multi_label": True}, np.eye(2), "needs two classes"),
    ],
)
def test_bad_parameters_are_refused(params, scores, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        create("roc-auc", **params).update_state(np.eye(2, dtype=int) if "multi_label" in params else [0, 1], scores)
