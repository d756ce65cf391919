"""Augmentation of texts: words that are left out or change places."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

import tfkit
from tfkit_callbacks.augmentation.augmentation import Augmentation
from tfkit_callbacks.batch_change import fold_in, uniform


class WordAugmentation(Augmentation):
    """Leaves out words of each training text at random, and has others change places, each epoch anew.

    Of strings, of shape (rows,) or (rows, 1), words are what white space separates; they come back with one space
    between them. Of ids, of shape (rows, length), a word is one that is not `mask`; one that is left out becomes
    `mask`, which `mask_zero` leaves out of the layers after an embedding. A text keeps a word at least. As
    `Augmentation`: a callback of one fit, or `train.map(augmentation.augment)`.

    Source: Wei and Zou 2019, "EDA"; there two words at a time change places, here all that are drawn.

    Args:
        drop: How often a word is left out, in [0, 1).
        swap: How often a word is among those of its text that change places, in [0, 1].
        mask: The id of padding, where texts are ids.
        seed: Of what is random.

    Raises:
        ParameterError: Both are 0.
        DataError: In the first step, inputs that are not one tensor of texts or ids.

    Example:
        >>> augmentation = WordAugmentation(drop=0.5, swap=0.0)
        >>> texts = tf.constant(["a b c d e f", "one", ""])
        >>> [len(text.split()) for text in augmentation.augment(texts).numpy()][1:]
        [1, 0]
    """

    name = "word-augmentation"

    def __init__(self, *, drop: float = 0.1, swap: float = 0.1, mask: int = 0, seed: int = 0) -> None:
        super().__init__(seed=seed)
        if not drop and not swap:
            raise tfkit.ParameterError("word-augmentation with drop=0 and swap=0 has nothing to do: pass one above 0")
        self.drop = drop
        self.swap = swap
        self.mask = mask

    def augmented(self, x: Any, seed: Any) -> Any:
        texts = _require_texts(x)
        changed = self._of_strings(texts, seed) if texts.dtype == tf.string else self._of_ids(texts, seed)
        return keras.tree.pack_sequence_as(x, [changed])

    def _of_strings(self, texts: Any, seed: Any) -> Any:
        words = tf.strings.split(tf.reshape(texts, (-1,)))
        there = tf.sequence_mask(words.row_lengths(), maxlen=words.bounding_shape()[1])
        changed, kept = self._changed(words.to_tensor(), there, seed)
        joined = tf.strings.reduce_join(tf.ragged.boolean_mask(changed, kept), axis=-1, separator=" ")
        return tf.ensure_shape(tf.reshape(joined, tf.shape(texts)), texts.shape)

    def _of_ids(self, ids: Any, seed: Any) -> Any:
        mask = tf.cast(self.mask, ids.dtype)
        changed, kept = self._changed(ids, ids != mask, seed)
        return tf.where(kept, changed, mask)

    def _changed(self, words: Any, there: Any, seed: Any) -> tuple[Any, Any]:
        """Words in new places, and which of them are kept, of shape (rows, length) both.

        Args:
            words: Strings or ids, of that shape.
            there: Where words are, and not padding.
            seed: Two int32.
        """
        shape = tf.shape(words)
        moves = there & (uniform(shape, fold_in(seed, 0)) < self.swap)
        words = _exchanged(words, moves, uniform(shape, fold_in(seed, 1)))
        luck = tf.where(there, uniform(shape, fold_in(seed, 2)), -1.0)
        best = tf.reduce_max(tf.concat([luck, tf.zeros((shape[0], 1))], axis=1), axis=1, keepdims=True)
        return words, there & ((luck >= self.drop) | (luck == best))


def _exchanged(words: Any, moves: Any, order: Any) -> Any:
    """Words of a row that move, in the order of random numbers; the others stay."""
    length = tf.shape(words)[1]
    places = tf.cast(tf.range(length), tf.float32)
    others = places + 1.0  # behind all that move, whose numbers are less than 1
    sources = tf.argsort(tf.where(moves, order, others), stable=True)
    # The movers' places in their order, then the others: where those words go.
    targets = tf.argsort(tf.where(moves, places - tf.cast(length, tf.float32), others), stable=True)
    return tf.gather(tf.gather(words, sources, batch_dims=1), tf.argsort(targets, stable=True), batch_dims=1)


def _require_texts(x: Any) -> Any:
    leaves = keras.tree.flatten(x)
    if len(leaves) != 1:
        raise tfkit.DataError(f"word-augmentation takes one input of texts; the batch has {len(leaves)} inputs")
    (texts,) = leaves
    found = f"{getattr(texts.dtype, 'name', texts.dtype)} of shape {tuple(texts.shape)}"
    is_text = texts.dtype == tf.string and (texts.shape.rank == 1 or (texts.shape.rank == 2 and texts.shape[1] == 1))
    is_ids = texts.dtype.is_integer and texts.shape.rank == 2
    if not isinstance(texts, tf.Tensor) or not (is_text or is_ids):
        raise tfkit.DataError(
            "word-augmentation takes strings of shape (rows,) or (rows, 1), or ids of words of shape (rows, length); "
            f"the batch has {found}"
        )
    return texts
