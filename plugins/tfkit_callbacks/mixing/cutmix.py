"""CutMix."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

import tfkit
from tfkit_callbacks.batch_change import fold_in, uniform
from tfkit_callbacks.mixing.mixing import Mixing


class CutMix(Mixing):
    """Trains on images with a box of another image in them, and with labels mixed by the area of the box.

    Source: Yun et al. 2019; one box for a batch, of area 1 − λ, its centre anywhere, cut off at the edges, and the
    share of a label is what is left of its image. For class ids losses are mixed. Keras's `CutMix` layer gives wrong
    labels where they are ids, without a word. As for `Mixing`.

    Args:
        alpha: Of the Beta distribution that λ comes from; 1 makes all areas as likely.
        seed: Of what is random.

    Raises:
        ModelError: As for `Mixing`.
        DataError: As for `Mixing`: inputs that are not one tensor of images of rank 4.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> images = np.zeros((6, 4, 4, 1))
        >>> history = model.fit(images, np.array([0, 1, 2, 0, 1, 2]), callbacks=[CutMix()], verbose=0)
        >>> round(history.history["loss"][0], 4)  # of zeros: log 3
        1.0986
    """

    name = "cutmix"

    def __init__(self, *, alpha: float = 1.0, seed: int = 0) -> None:
        super().__init__(alpha=alpha, seed=seed)

    def mix(self, x: Any, partners: Any, share: Any, seed: Any) -> tuple[Any, Any]:
        images = require_images(x, self.name)
        is_last = keras.config.image_data_format() == "channels_last"
        height, width = tf.unstack(tf.shape(images)[1:3] if is_last else tf.shape(images)[2:4])
        side = tf.sqrt(1 - share)
        rows, row_share = _cut(height, side, fold_in(seed, 0))
        columns, column_share = _cut(width, side, fold_in(seed, 1))
        box = rows[:, None] & columns[None, :]
        box = box[None, :, :, None] if is_last else box[None, None]
        return tf.where(box, tf.gather(images, partners), images), 1 - row_share * column_share


def require_images(x: Any, name: str) -> Any:
    """Returns the inputs of a batch if they are one tensor of images.

    Args:
        x: The inputs.
        name: Whose they are to be, for the error.

    Raises:
        DataError: They are something else, which is told.
    """
    leaves = keras.tree.flatten(x)
    if len(leaves) != 1:
        raise tfkit.DataError(f"{name} takes one input of images; the batch has {len(leaves)} inputs")
    (images,) = leaves
    if not isinstance(images, tf.Tensor) or images.dtype == tf.string or images.shape.rank != 4:
        found = f"{images.dtype.name} of shape {tuple(images.shape)}"
        raise tfkit.DataError(
            f"{name} takes images of shape (rows, height, width, channels); the batch has {found}: "
            "reshape it, x[..., None] adds a channel"
        )
    return images


def _cut(length: Any, side: Any, seed: Any) -> tuple[Any, Any]:
    """Which places of an axis are inside a box whose side is a share of it, and the share of those."""
    half = tf.cast(tf.cast(length, tf.float32) * side, tf.int32) // 2
    centre = uniform((), seed, maxval=length, dtype=tf.int32)
    places = tf.range(length)
    inside = (places >= centre - half) & (places < centre + half)
    return inside, tf.reduce_mean(tf.cast(inside, tf.float32))
