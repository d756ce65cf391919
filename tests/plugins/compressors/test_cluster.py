import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

import tfkit
from tfkit_compressors.clustering.codebook import Codebook
from tfkit_compressors.clustering.kmeans import kmeans, nearest
from tfkit_compressors.qat.kept import Kept

RNG = np.random.default_rng(0)
X = (load_digits().data / 16).astype("float32")
Y = load_digits().target
DATA = tfkit.Data((X[:320], Y[:320]), batch_size=20)


def model(optimizer="adam", **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((64,)), layers.Dense(24, "relu", name="hidden"), layers.Dense(10, name="out")]
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compiled)
    return model


def distinct(model):
    return [len(np.unique(layer.kernel.numpy())) for layer in model.layers]


def inertia(values, centres):
    return ((values - centres[nearest(values, centres)]) ** 2).sum()


@pytest.mark.parametrize(
    "values",
    [RNG.normal(size=3000), RNG.standard_t(1.5, size=3000), 1000 + 0.01 * RNG.normal(size=2000), RNG.normal(size=40)],
    ids=["normal", "heavy tails", "far from zero", "few"],
)
@pytest.mark.parametrize("clusters", [2, 16])
def test_kmeans_is_at_least_as_good_as_scikit_learns(values, clusters):
    found = kmeans(values, clusters)
    assert len(found) == clusters
    peer = KMeans(clusters, n_init=5, random_state=0).fit(values.reshape(-1, 1)).cluster_centers_
    assert inertia(values, found) <= 1.001 * inertia(values, np.sort(peer.ravel()))


def test_kmeans_of_no_more_values_than_clusters_gives_the_values():
    np.testing.assert_array_equal(kmeans(np.array([3.0, 1.0, 3.0]), 4), [1.0, 3.0])


def test_without_training_every_weight_moves_to_its_centre():
    made = model()
    before = made.layers[0].kernel.numpy()
    tfkit.create("compressor", "cluster", clusters=8).compress(made, DATA, epochs=0, directory=None)
    after, centres = made.layers[0].kernel.numpy(), kmeans(before, 8)
    np.testing.assert_allclose(np.unique(after), centres, rtol=1e-5)
    np.testing.assert_allclose(after, centres[nearest(before, centres)], rtol=1e-5)


def test_sgd_trains_the_shared_values_by_their_mean_gradient():
    made = model(keras.optimizers.SGD(0.5))
    tfkit.create("compressor", "cluster", clusters=4).compress(made, DATA, epochs=0, directory=None)
    kernel = made.layers[0].kernel
    before = kernel.numpy()
    with tf.GradientTape() as tape:
        loss = made.loss(Y[:20], made(X[:20], training=True))
    gradient = tape.gradient(loss, kernel.value).numpy()
    made.fit(X[:20], Y[:20], batch_size=20, verbose=0, callbacks=[tfkit.callback("compressor", "cluster", clusters=4)])
    for value in np.unique(before):
        members = before == value
        np.testing.assert_allclose(kernel.numpy()[members], value - 0.5 * gradient[members].mean(), rtol=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "compiled"),
    [
        pytest.param("adam", {}, marks=pytest.mark.nightly),
        pytest.param("adam", {"steps_per_execution": 8}, marks=pytest.mark.nightly),
        ("adam", {"jit_compile": True, "steps_per_execution": 8}),
        ("adam", {"run_eagerly": True}),
        (keras.optimizers.AdamW(use_ema=True, ema_overwrite_frequency=3), {}),
        (keras.optimizers.Adam(gradient_accumulation_steps=2), {}),
    ],
    ids=["graph", "steps_per_execution", "jit", "eager", "ema", "accumulation"],
)
def test_the_values_stay_few_and_the_zeros_zero_in_every_mode(optimizer, compiled):
    made = model(optimizer, **compiled)
    kernel = made.layers[0].kernel
    kernel.assign(np.where(np.abs(kernel.numpy()) < 0.1, 0.0, kernel.numpy()))
    zeros = kernel.numpy() == 0
    assert 0.1 < zeros.mean() < 0.9
    losses = made.fit(
        X[:320],
        Y[:320],
        batch_size=20,
        epochs=3,
        verbose=0,
        callbacks=[tfkit.callback("compressor", "cluster", clusters=5)],
    ).history["loss"]
    assert losses[-1] < losses[0]
    assert distinct(made) == [5, 5]
    np.testing.assert_array_equal(kernel.numpy() == 0, zeros)
    assert kernel.constraint is None


def test_a_cluster_of_equal_weights_does_not_drift():
    kernel = keras.Variable(np.full((300, 300), 0.1, "float32"))
    book = Codebook(kernel, 4)
    value = kernel.value
    for _ in range(20):
        value = book(value)
    np.testing.assert_array_equal(value, kernel.numpy())


def test_pruning_and_qat_find_the_same_zeros_somebodys_work():
    """2% of zeros are more than chance, none and all are not; clustering and fake quantization agree on that."""
    values = RNG.normal(size=(20, 20)).astype("float32")
    sparse = np.where(abs(values) <= np.sort(abs(values).ravel())[7], 0, values)
    for value, kept in ((sparse, 8), (values, 0)):
        moved = tf.constant(value + 1)
        for held in (Codebook(keras.Variable(value), 4), Kept(value, sparsity=True, clusters=False)):
            assert (held(moved).numpy() == 0).sum() == kept
    zeros = np.zeros((20, 20), "float32")
    for held in (Codebook(keras.Variable(zeros), 4), Kept(zeros, sparsity=True, clusters=True)):
        np.testing.assert_array_equal(held(tf.constant(zeros + 1)), zeros + 1)


def test_qat_keeps_equal_weights_as_exactly_as_clustering_does():
    """A sum of many equal float32 numbers divided by their count is another number."""
    value = np.repeat(np.float32([0.1, -0.3]), 45000).reshape(300, 300)
    np.testing.assert_array_equal(Kept(value, sparsity=False, clusters=True)(tf.constant(value)), value)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_dtypes_keep_theirs(dtype):
    kernel = keras.Variable(RNG.normal(size=(20, 20)), dtype=dtype)
    made = Codebook(kernel, 4)(kernel.value)
    assert made.dtype == dtype
    assert len(np.unique(tf.cast(made, "float64"))) == 4


@pytest.mark.nightly
def test_training_wins_back_what_clustering_costs():
    made = model()
    made.fit(X[:1200], Y[:1200], epochs=12, verbose=0)
    weights, accuracies = made.get_weights(), []
    data = tfkit.Data((X[:1200], Y[:1200]))
    for epochs in (0, 4):
        made.set_weights(weights)
        result = tfkit.create("compressor", "cluster", clusters=4).compress(made, data, epochs=epochs, directory=None)
        assert result.notes == ("2 kernels of at most 4 values each",)
        assert distinct(made) == [4, 4]
        accuracies.append(np.mean(made.predict(X[1200:], verbose=0).argmax(-1) == Y[1200:]))
    assert accuracies[1] > accuracies[0] + 0.03


def test_it_refuses_what_has_no_kernel_and_what_is_out_of_bounds():
    bare = keras.Sequential([keras.Input((4,)), layers.LayerNormalization()], name="bare")
    with pytest.raises(tfkit.ModelError, match="'bare' has nothing to cluster: no trainable kernel"):
        tfkit.create("compressor", "cluster").compress(bare, DATA, epochs=0, directory=None)
    with pytest.raises(tfkit.ParameterError, match="'clusters' of compressor 'cluster' must be an int >= 2 and <= 256"):
        tfkit.create("compressor", "cluster", clusters=1)


def test_weights_that_another_callback_writes_at_the_end_are_shared_too():
    trained = model()

    def noise(logs):
        for layer in trained.layers:
            layer.kernel.assign_add(RNG.normal(size=layer.kernel.shape) * 0.01)

    callbacks = [
        tfkit.callback("compressor", "cluster", clusters=8),
        keras.callbacks.LambdaCallback(on_train_end=noise),
    ]
    trained.fit(*DATA.train, verbose=0, callbacks=callbacks)
    assert max(distinct(trained)) <= 8
