"""Augmentation of images, by Keras's layers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

import tfkit
from tfkit_callbacks.augmentation.augmentation import Augmentation
from tfkit_callbacks.batch_change import fold_in, uniform
from tfkit_callbacks.mixing.cutmix import require_images


class ImageAugmentation(Augmentation):
    """Flips, turns, shifts, zooms, crops or RandAugments each training image at random, each epoch anew.

    The layers are Keras's: RandomFlip, RandomRotation, RandomTranslation, RandomZoom and RandAugment, in that order; a
    crop shifts images padded with zeros by whole pixels. As `Augmentation`: a callback of one fit, or
    `train.map(augmentation.augment)`.

    Args:
        flip: "horizontal", "vertical", "both" or None.
        rotation: The most that an image is turned either way, as a share of a whole turn, in [0, 0.5].
        translation: The most that it is shifted either way, as a share of its height and width, in [0, 1).
        zoom: The most that it grows or shrinks by, as a share, in [0, 1).
        crop: Pixels of zeros around an image, out of which one of its size is cut.
        randaugment: Whether two of ten changes are drawn for each batch (Cubuk et al. 2020).
        value_range: The least and the largest value of a pixel, which randaugment needs.
        fill: What is beyond an edge: "constant" for zeros, or "reflect", "wrap" or "nearest".
        seed: Of what is random.

    Raises:
        ParameterError: Nothing is to be done, or randaugment without value_range.
        DataError: In the first step, inputs that are not one tensor of images of rank 4.

    Example:
        >>> augmentation = ImageAugmentation(flip="horizontal")
        >>> image = tf.constant([[[[1.0], [2.0]]]])
        >>> seen = {tuple(augmentation.augment(image).numpy().ravel().tolist()) for _ in range(20)}
        >>> sorted(seen)
        [(1.0, 2.0), (2.0, 1.0)]
    """

    name = "image-augmentation"

    def __init__(
        self,
        *,
        flip: Literal["horizontal", "vertical", "both"] | None = None,
        rotation: float = 0.0,
        translation: float = 0.0,
        zoom: float = 0.0,
        crop: int = 0,
        randaugment: bool = False,
        value_range: Sequence[float] | None = None,
        fill: Literal["constant", "reflect", "wrap", "nearest"] = "constant",
        seed: int = 0,
    ) -> None:
        super().__init__(seed=seed)
        if randaugment and (value_range is None or len(value_range) != 2):
            raise tfkit.ParameterError(
                "image-augmentation with randaugment needs value_range, the least and the largest value of a pixel, "
                f"such as (0, 255); got {value_range!r}"
            )
        self.crop = crop
        # All that Keras's layers draw comes from here.
        self._seeds = _Seeds()
        self._layers = list(_layers(flip, rotation, translation, zoom, fill))
        if randaugment:
            self._layers.append(keras.layers.RandAugment(value_range=tuple(value_range or ())))
        for layer in self._layers:
            vars(layer)["_get_seed_generator"] = self._seeds.of_backend
        if not self._layers and not crop:
            raise tfkit.ParameterError("image-augmentation has nothing to do: pass flip, rotation, zoom or another")

    def augmented(self, x: Any, seed: Any) -> Any:
        images = require_images(x, self.name)
        dtype = images.dtype if images.dtype.is_floating else tf.float32
        images = tf.cast(images, dtype)
        if self.crop:
            images = _cropped(images, self.crop, fold_in(seed, 0))
        self._seeds.begin(fold_in(seed, 1))
        for layer in self._layers:
            images = tf.cast(layer(images, training=True), dtype)
        return keras.tree.pack_sequence_as(x, [images])


class _Seeds(keras.random.SeedGenerator):
    """Gives Keras's random functions seeds made of one, in the place of a variable's."""

    def __init__(self) -> None:
        # Replicas are traced in threads of their own. No variable: SeedGenerator's own __init__ would make one.
        self._now = threading.local()

    def of_backend(self, backend: str | None = None) -> _Seeds:
        return self

    def begin(self, seed: Any) -> None:
        self._now.seed, self._now.count = seed, 0

    def next(self, ordered: bool = True) -> Any:
        self._now.count += 1
        return fold_in(self._now.seed, self._now.count)


def _layers(flip: str | None, rotation: float, translation: float, zoom: float, fill: str) -> Iterator[Any]:
    layers = keras.layers
    if flip is not None:
        yield layers.RandomFlip("horizontal_and_vertical" if flip == "both" else flip)
    if rotation:
        yield layers.RandomRotation(rotation, fill_mode=fill)
    if translation:
        yield layers.RandomTranslation(translation, translation, fill_mode=fill)
    if zoom:
        yield layers.RandomZoom(zoom, fill_mode=fill)


def _cropped(images: Any, pixels: int, seed: Any) -> Any:
    """Each image out of another place of its own, of the size that it had."""
    is_last = keras.config.image_data_format() == "channels_last"
    images = images if is_last else tf.transpose(images, (0, 2, 3, 1))
    rows, height, width = tf.unstack(tf.shape(images)[:3])
    padded = tf.pad(images, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]])
    begins = uniform((rows, 2), seed, maxval=2 * pixels + 1, dtype=tf.int32)
    cut = tf.gather(padded, begins[:, :1] + tf.range(height), batch_dims=1, axis=1)
    columns = begins[:, 1:] + tf.range(width)
    cut = tf.gather(tf.transpose(cut, (0, 2, 1, 3)), columns, batch_dims=1, axis=1)
    cut = tf.ensure_shape(tf.transpose(cut, (0, 2, 1, 3)), images.shape)
    return cut if is_last else tf.transpose(cut, (0, 3, 1, 2))
