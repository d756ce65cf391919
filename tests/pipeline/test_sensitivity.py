import keras
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.rows import Yardstick
from tfkit.pipeline.sensitivity import pruned, rounded, sensitivity


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(400, 6)).astype("float32")
    y = (x @ np.arange(6) > 0).astype("int64")
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu", name="one")])
    model.add(keras.layers.Dense(2, "softmax", name="two"))
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(x[:300], y[:300], epochs=8, verbose=0)
    return model, tfkit.Data((x[:300], y[:300]), (x[300:], y[300:]))


def test_a_row_is_what_the_metric_is_with_that_kernel_alone_changed(task):
    model, data = task
    before = model.get_weights()
    rows = sensitivity(model, data, sparsities=[0.75], bits=[2])
    for mine, kept in zip(model.get_weights(), before):
        np.testing.assert_array_equal(mine, kept)
    assert [(row["layer"], row["move"], row["strength"]) for row in rows] == [
        ("one", "prune", 0.75),
        ("one", "quantize", 2),
        ("two", "prune", 0.75),
        ("two", "quantize", 2),
    ]
    x, y = data.validation
    source = model.predict(x, verbose=0).argmax(-1)
    for row, index, change in zip(rows, [0, 0, 2, 2], [lambda w: pruned(w, 0.75), lambda w: rounded(w, 2)] * 2):
        weights = [change(w) if place == index else w for place, w in enumerate(before)]
        hidden = np.maximum(x @ weights[0] + weights[1], 0)
        decided = (hidden @ weights[2] + weights[3]).argmax(-1)
        assert row["metric"] == pytest.approx(np.mean(decided == y))
        assert row["agreement"] == pytest.approx(np.mean(decided == source))
        assert row["drop"] == pytest.approx(np.mean(source == y) - np.mean(decided == y), abs=1e-6)


def test_pruning_zeroes_the_smallest_magnitudes():
    values = np.random.default_rng(1).normal(size=(7, 9))
    made = pruned(values, 0.4)
    assert (made == 0).sum() == round(0.4 * 63)
    assert np.abs(values[made == 0]).max() < np.abs(made[made != 0]).min()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounding_is_within_half_a_step_of_each_channel(bits):
    values = np.random.default_rng(2).normal(size=(3, 3, 5, 4)) * [0.01, 1, 10, 0]
    made = rounded(values, bits)
    step = np.abs(values).max(axis=(0, 1, 2)) / (2 ** (bits - 1) - 1)
    assert (np.abs(made - values) <= step / 2 + 1e-12).all()
    assert all(len(np.unique(made[..., channel])) <= 2**bits - 1 for channel in range(4))


@pytest.mark.parametrize(
    ("params", "words"),
    [({"sparsities": [1.0]}, "'sparsities'"), ({"bits": [1]}, "'bits'"), ({"bits": [4.0]}, "'bits'")],
)
def test_strengths_out_of_bounds_are_refused(task, params, words):
    with pytest.raises(tfkit.ParameterError, match=words):
        sensitivity(*task, **params)


def test_a_model_without_kernels_is_refused(task):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Rescaling(2.0)])
    with pytest.raises(tfkit.ModelError, match="has no kernel"):
        sensitivity(model, task[1])


def test_each_channel_of_a_depthwise_kernel_has_a_scale(monkeypatch):
    model = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.DepthwiseConv2D(3, name="depthwise")])
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Softmax())
    values = np.random.default_rng(0).normal(size=(3, 3, 2, 1)) * np.array([0.01, 1.0])[:, None]
    model.layers[0].kernel.assign(values)
    seen, outputs = [], Yardstick.outputs

    def recorded(self, subject):
        seen.append(model.layers[0].kernel.numpy())
        return outputs(self, subject)

    monkeypatch.setattr(Yardstick, "outputs", recorded)
    data = tfkit.Data((np.ones((4, 6, 6, 2)), np.zeros(4, "int64")))
    sensitivity(model, data, sparsities=[], bits=[4])
    step = np.abs(values).max(axis=(0, 1, 3), keepdims=True) / 7
    np.testing.assert_allclose(seen[-1], np.round(values / step) * step, rtol=1e-5)
