import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_fits import made

import tfkit

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 4, 6, 2)).astype("float32")
TEXTS = np.array([["a b c d e f g h"], ["one"], [""], ["  two   words "]], dtype=object)


class Seen(keras.layers.Layer):
    """Keeps what it is given, in training and not."""

    def build(self, shape):
        self.weight = self.add_weight(shape=())
        self.trained, self.other = [], []

    def compute_output_shape(self, shape):
        return (shape[0], 1)

    def call(self, x, training=False):
        (self.trained if training else self.other).append(x.numpy())
        return self.weight * tf.ones((tf.shape(x)[0], 1))


def seen(x, callback, epochs=2, dtype="float32"):
    layer = Seen()
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=dtype), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    y, rows = np.zeros(len(x)), tf.convert_to_tensor(x)
    layer.trained, layer.other = [], []
    model.fit(rows, y, len(x), epochs, shuffle=False, verbose=0, callbacks=[callback], validation_data=(rows, y))
    return layer


def test_each_epoch_flips_anew_and_validation_sees_images_as_they_are():
    layer = seen(IMAGES, made("image-augmentation", flip="horizontal"), epochs=2)
    assert all(np.array_equal(each, IMAGES) for each in layer.other)
    flipped = [[not np.array_equal(row, own) for row, own in zip(each, IMAGES)] for each in layer.trained]
    for rows, turned in zip(layer.trained, flipped):
        wanted = [own[:, ::-1] if is_turned else own for own, is_turned in zip(IMAGES, turned)]
        np.testing.assert_array_equal(rows, wanted)
    assert len({tuple(each) for each in flipped}) > 1
    again = seen(IMAGES, made("image-augmentation", flip="horizontal"), epochs=2)
    np.testing.assert_array_equal(again.trained, layer.trained)
    other = seen(IMAGES, made("image-augmentation", flip="horizontal", seed=1), epochs=2)
    assert not np.array_equal(other.trained, layer.trained)


class OwnOptimizer(keras.Sequential):
    """Its step leaves the count of the model's optimizer as it is, as those of GANs do."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        weights = self.trainable_variables
        self.own.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return {"loss": loss}


@pytest.mark.parametrize("kind", [OwnOptimizer, pytest.param(keras.Sequential, marks=pytest.mark.nightly)])
def test_a_fit_that_goes_on_draws_what_it_would_have_drawn(kind, tmp_path):
    """And each batch another: of a model with an optimizer of its own too."""

    def draws(epochs, folder, fails_in=None):
        def begins(epoch, logs):
            if epoch == fails_in:
                raise KeyboardInterrupt

        layer = Seen()
        model = kind([keras.Input((4, 6, 2)), layer])
        model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
        model.own = keras.optimizers.SGD(0.0)
        layer.trained = []
        # The backup restores the optimizer's count when training begins, after the augmentation has begun.
        parts = [made("image-augmentation", flip="both", crop=1), made("backup", directory=folder)]
        parts.append(keras.callbacks.LambdaCallback(on_epoch_begin=begins))
        with contextlib.suppress(KeyboardInterrupt):
            model.fit(IMAGES, np.zeros(6), 3, epochs, shuffle=False, verbose=0, callbacks=parts)
        return [each.tobytes() for each in layer.trained]

    whole = draws(3, tmp_path / "whole")
    assert len(set(whole)) == len(whole) == 6
    assert draws(3, tmp_path / "parts", fails_in=2) == whole[:4]
    assert draws(3, tmp_path / "parts") == whole[4:]


def test_a_crop_is_a_window_of_the_padded_image():
    rows = seen(IMAGES, made("image-augmentation", crop=2)).trained[0]
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found = [
        [(i, j) for i in range(5) for j in range(5) if np.array_equal(whole[i : i + 4, j : j + 6], row)]
        for whole, row in zip(padded, rows)
    ]
    assert all(len(each) == 1 for each in found)
    assert len({each[0] for each in found}) > 2


@pytest.mark.parametrize(
    "params",
    [
        {"rotation": 0.1, "fill": "nearest"},
        pytest.param({"zoom": 0.3, "translation": 0.2}, marks=pytest.mark.nightly),
        pytest.param({"randaugment": True, "value_range": (0, 1)}, marks=pytest.mark.nightly),
    ],
    ids=["rotation", "zoom", "randaugment"],
)
def test_keras_layers_change_images_in_a_graph(params):
    """In a dataset's graph and in a training step's; an image of one colour keeps it when it is turned."""
    augmentation = made("image-augmentation", **params)
    batches = tf.data.Dataset.from_tensor_slices((IMAGES[..., :1].repeat(3, -1), np.arange(6))).batch(6).repeat(2)
    (one, ids), (other, _) = batches.map(augmentation.augment).as_numpy_iterator()
    assert one.shape == (6, 4, 6, 3)
    assert ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert not np.allclose(one, other)
    if "rotation" in params:
        flat = augmentation.augment(tf.ones((2, 4, 6, 1)))
        np.testing.assert_allclose(flat, 1.0, atol=1e-6)


@pytest.mark.nightly
def test_a_data_step_is_new_in_each_epoch():
    augmentation = made("word-augmentation", drop=0.5, swap=0.5)
    texts = tf.data.Dataset.from_tensors(tf.constant([" ".join("abcdefghijklmnop")] * 4)).map(augmentation.augment)
    first, second = ([each.numpy().tolist() for each in texts] for _ in range(2))
    assert first != second
    assert len(set(first[0])) == 4


def test_words_are_left_out_and_change_places():
    words = " ".join(str(number) for number in range(2000))
    texts = np.array([[words]] * 2, dtype=object)
    found = [
        text[0].decode().split()
        for text in seen(texts, made("word-augmentation", drop=0.3, swap=0.0), 1, "string").trained[0]
    ]
    for each in found:
        assert each == sorted(each, key=int)
        assert len(each) == pytest.approx(1400, abs=90)  # 4 standard deviations
    (swapped, *_) = seen(texts, made("word-augmentation", drop=0.0, swap=0.2), 1, "string").trained[0]
    moved = [int(each) for each in swapped[0].decode().split()]
    assert sorted(moved) == list(range(2000))
    assert sum(each != place for place, each in enumerate(moved)) == pytest.approx(400, abs=75)


@pytest.mark.nightly
def test_short_texts_keep_a_word():
    layer = seen(TEXTS, made("word-augmentation", drop=0.9, swap=1.0), 3, "string")
    for rows in layer.trained:
        kept = [text[0].decode().split() for text in rows]
        assert kept[1:3] == [["one"], []]
        assert [min(1, len(each)) for each in (kept[0], kept[3])] == [1, 1]
    assert all(each.tolist() == [[text[0].encode()] for text in TEXTS] for each in layer.other)


def test_ids_keep_their_padding():
    ids = np.concatenate([np.arange(1, 41).reshape(2, 20), np.zeros((2, 5), int)], axis=1)
    (rows,) = seen(ids, made("word-augmentation", drop=0.3, swap=0.5), 1, "int64").trained
    assert not rows[:, 20:].any()
    assert 0 < (rows == 0).sum() - 10 < 40
    for row, own in zip(rows, ids):
        assert set(row) <= set(own)
    assert not np.array_equal(rows[rows > 0], ids[rows > 0])


def test_what_cannot_be_augmented_is_told():
    with pytest.raises(tfkit.DataError, match=r"float32 of shape \(6, 4\)"):
        seen(IMAGES[:, :, 0, 0], made("image-augmentation", flip="both"))
    with pytest.raises(tfkit.DataError, match=r"the batch has float32 of shape \(6, 4\)"):
        seen(IMAGES[:, :, 0, 0], made("word-augmentation"))
    with pytest.raises(tfkit.ParameterError, match="nothing to do"):
        made("image-augmentation")
    with pytest.raises(tfkit.ParameterError, match="nothing to do"):
        made("word-augmentation", drop=0.0, swap=0.0)
    with pytest.raises(tfkit.ParameterError, match="needs value_range"):
        made("image-augmentation", randaugment=True)
