"""Lookups: what TextVectorization, StringLookup and IntegerLookup hold, and the same layers over fewer tokens.

The one place that reads Keras's private record of a lookup.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfkit.graph import keras_type

_TYPES = ("layers.TextVectorization", "layers.StringLookup", "layers.IntegerLookup")


def is_lookup(operation: Any) -> bool:
    """Whether an operation turns tokens into ids, or into a column for each id; subclasses may do anything."""
    return keras_type(operation) in _TYPES and not _table(operation).invert


def mode(lookup: Any) -> str:
    """What it gives: "int" for ids, else "one_hot", "multi_hot", "count" or "tf_idf", a column for each id."""
    return str(_table(lookup).output_mode)


def why_not(lookup: Any) -> str | None:
    """Why no token can leave a lookup; None where one can."""
    table = _table(lookup)
    if table.num_oov_indices == 0:
        return "it has no id for tokens out of its vocabulary: num_oov_indices is 0"
    if table.sparse or getattr(lookup, "_ragged", False):
        return "its output is sparse or ragged"
    return None if len(tokens(lookup)) > 1 else "it has no two tokens"


def first_token(lookup: Any) -> int:
    """The id of its first token: before it come the mask and what is out of the vocabulary."""
    return int(_table(lookup)._token_start_index())


def width(lookup: Any) -> int:
    """The number of ids or columns that it gives, those that padding to max_tokens adds included."""
    table = _table(lookup)
    return int(table.max_tokens) if _is_padded(table) else first_token(lookup) + len(tokens(lookup))


def tokens(lookup: Any) -> list[Any]:
    """The tokens of its vocabulary in the order of their ids."""
    return list(lookup.get_vocabulary(include_special_tokens=False))


def weights(lookup: Any) -> np.ndarray:
    """What an occurrence counts in each column: its idf weight for tf_idf, else 1."""
    if mode(lookup) != "tf_idf":
        return np.ones(width(lookup))
    return np.asarray(_table(lookup).idf_weights_const, "float64")


def divisors(lookup: Any) -> np.ndarray:
    """The same, with 1 where an occurrence counts nothing: what columns are divided by to count occurrences."""
    found = weights(lookup)
    return np.where(found, found, 1.0)


def homes(lookup: Any, kept: np.ndarray) -> np.ndarray:
    """The id that each id has once only some tokens are kept, by the ids as they are: removed tokens have an OOV id.

    Args:
        lookup: The layer.
        kept: Whether each of its tokens stays.

    Returns:
        An array of the ids' number, of ids as they are.
    """
    found = np.arange(width(lookup))
    gone = [token for token, stays in zip(tokens(lookup), kept) if not stays]
    found[first_token(lookup) + np.flatnonzero(~kept)] = _oov_ids(lookup, gone)
    return found


def trimmed(lookup: Any, kept: np.ndarray) -> Any:
    """The same layer over some of its tokens.

    Args:
        lookup: The layer; it stays as it is.
        kept: Whether each of its tokens stays.
    """
    whole = lookup.get_vocabulary()
    chosen = np.concatenate([np.ones(first_token(lookup), bool), kept])
    vocabulary = [token for token, stays in zip(whole, chosen) if stays]
    idf = weights(lookup)[: len(whole)][chosen].astype("float32") if mode(lookup) == "tf_idf" else None
    return _made(lookup, vocabulary, idf)


def _table(lookup: Any) -> Any:
    """The lookup itself, or the one inside a TextVectorization."""
    return getattr(lookup, "_lookup_layer", lookup)


def _is_padded(table: Any) -> bool:
    return table.output_mode != "int" and table.pad_to_max_tokens


def _made(lookup: Any, vocabulary: list[Any], idf: np.ndarray | None) -> Any:
    config = {**lookup.get_config(), "vocabulary": None, "idf_weights": None, "vocabulary_size": None}
    if config["max_tokens"] is not None:
        config["max_tokens"] = len(vocabulary)
    for name in ("standardize", "split"):  # Keras hands out functions here, and takes them in written form alone
        if callable(config.get(name)):
            config[name] = keras.saving.serialize_keras_object(config[name])
    # Keras saves what was set later as lines of text, which some tokens break.
    if _are_lines(vocabulary):
        made = type(lookup).from_config(config)
        made.set_vocabulary(vocabulary, idf_weights=idf)
        return made
    told = None if idf is None else idf.tolist()
    return type(lookup).from_config({**config, "vocabulary": vocabulary, "idf_weights": told})


def _are_lines(vocabulary: list[Any]) -> bool:
    """Whether a vocabulary is the same after `save_assets` and `load_assets`."""
    lines = "\n".join(map(str, vocabulary)).splitlines()
    return lines == list(map(str, vocabulary)) and lines[-1] != ""


def _oov_ids(lookup: Any, gone: list[Any]) -> np.ndarray:
    """The ids that tokens have where they are not in the vocabulary: with several, Keras hashes them."""
    table = _table(lookup)
    start = first_token(lookup) - table.num_oov_indices
    if table.num_oov_indices == 1 or not gone:
        return np.full(len(gone), start)
    config = {**table.get_config(), "idf_weights": None, "vocabulary_size": None, "max_tokens": None}
    config.update(output_mode="int", pad_to_max_tokens=False, mask_token=None, vocabulary=[_unlike(gone)])
    alone = type(table).from_config(config)
    return start + np.asarray(alone(np.asarray(gone)))


def _unlike(gone: list[Any]) -> Any:
    """A token that is none of these."""
    return max(gone, key=len) + "x" if isinstance(gone[0], str) else int(max(gone)) + 1
