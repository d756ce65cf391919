"""Vocabulary trimming: the tokens that matter least leave the vocabulary, and their rows the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from tfkit import Compressed, Data, ModelError
from tfkit.attach.training import train
from tfkit.models import require_compiled
from tfkit.pipeline.copies import recompiled
from tfkit_compressors.vocabulary.build import Trim, rebuilt_with
from tfkit_compressors.vocabulary.importance import Importance, Worth, worth
from tfkit_compressors.vocabulary.readers import Vocabulary, told, vocabularies
from tfkit_compressors.vocabulary.verified import require_equal


class TrimVocabulary:
    """Removes tokens from the vocabularies of a model, and their rows from the weights that read them.

    It trims TextVectorization, StringLookup and IntegerLookup: those that give ids where Embedding layers alone read
    them, and those that give a column for each token where Dense layers do. A removed token is out of the vocabulary
    from then on: the new model computes what the source would with the OOV row in the place of the token's. Rows that
    no token has go too. What cannot be trimmed stays, and is named in the notes.

    Args:
        keep: Share of the tokens that stay, of all vocabularies together; each keeps one at least. With 1.0 only rows
            that no token has go.
        importance: What stays: "norm", "taylor" or "frequency", see `tfkit_compressors.vocabulary.importance.worth`.
            Tokens that the train part does not hold go first.

    Example:
        >>> words = keras.layers.StringLookup(vocabulary=["good", "bad", "film", "the"])
        >>> table = keras.layers.Embedding(5, 2, name="table")
        >>> layers = [keras.Input((2,), dtype="string"), words, table, keras.layers.Flatten(), keras.layers.Dense(1)]
        >>> data = Data((np.array([["good", "film"], ["bad", "film"]]), np.ones(2)))
        >>> trim = TrimVocabulary(0.5, "frequency")
        >>> made = trim.compress(keras.Sequential(layers), data, epochs=0, directory=Path())
        >>> list(map(str, made.model.layers[0].get_vocabulary())), made.model.get_layer("table").input_dim
        (['[UNK]', 'good', 'film'], 3)
    """

    def __init__(self, keep: float, importance: Importance = "norm") -> None:
        self.keep = keep
        self.importance = importance

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Trims a model and trains it.

        Args:
            model: A built Functional or Sequential model, compiled where epochs is not 0 and for "taylor"; the new
                model shares the layers with it that do not change.
            data: The train part tells what tokens are worth, and is fitted.
            epochs: Epochs of training.
            directory: Not used.

        Raises:
            ModelError: The model is not built, not compiled, subclassed, or has no vocabulary that can be trimmed.
            VerificationError: What is made computes something else than the source without those tokens.
        """
        if epochs:
            require_compiled(model)
        found = vocabularies(model)
        free = [each for each in found if each.reason is None]
        if not free:
            raise ModelError(f"model {model.name!r} has no vocabulary that can be trimmed: {'; '.join(told(found))}")
        trims = self._trims(model, free, data)
        made = model
        if any(each.changes for each in trims):
            made = rebuilt_with(model, trims)
            require_equal(model, trims, made, data)
        notes = (*_summary(model, made, trims), *told(found))
        if model.compiled:
            recompiled(made, model).optimizer.build(made.trainable_variables)  # or it saves what does not load
        if epochs:
            train(made, data, epochs)
        return Compressed(made, notes=notes)

    def _trims(self, model: keras.Model, free: Sequence[Vocabulary], data: Data) -> list[Trim]:
        if self.keep == 1:
            return [Trim(each, np.ones(each.size, bool)) for each in free]
        kept = chosen(worth(model, free, self.importance, data), self.keep)
        return [Trim(*each) for each in zip(free, kept)]


def chosen(worths: Sequence[Worth], keep: float) -> list[np.ndarray]:
    """Which tokens stay: those that are worth most, over several vocabularies together.

    Of equals those stay that occur more often, then those that come first.

    Args:
        worths: What the tokens of each vocabulary are worth.
        keep: The share that stays, rounded up; one token of each vocabulary at least.

    Returns:
        Whether each token stays, for each vocabulary.

    Example:
        >>> [each.tolist() for each in chosen([Worth(np.array([0.0, 3, 1]), np.array([9, 1, 1]))], 0.5)]
        [[False, True, True]]
    """
    importance, occurrences = (
        np.concatenate([getattr(each, name) for each in worths]) for name in ("importance", "occurrences")
    )
    order = np.lexsort((-occurrences, -importance, occurrences == 0))
    stays = np.zeros(len(order), bool)
    ends = np.cumsum([len(each.importance) for each in worths])
    best = [order[(order >= end - len(each.importance)) & (order < end)][0] for end, each in zip(ends, worths)]
    count = max(len(best), math.ceil(keep * len(order) - 1e-9))
    stays[best] = True
    stays[[each for each in order if not stays[each]][: count - len(best)]] = True
    return np.split(stays, ends[:-1])


def _summary(model: keras.Model, made: keras.Model, trims: Sequence[Trim]) -> Iterator[str]:
    for each in trims:
        yield f"{each.vocabulary.lookup.name!r} keeps {int(each.kept.sum()):,} of {len(each.kept):,} tokens"
    yield f"{model.count_params():,} to {made.count_params():,} parameters"
