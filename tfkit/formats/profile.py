"""The profile: how the training data's inputs and a model's outputs are distributed, to tell drift later.

It lies in `tfkit.json` under `profile`. Numpy alone computes it, and reads it back: `feature_values` and `bin_counts`
measure rows that a server sees in the very bins of the profile.

Schema, version 1 (JSON)::

    {"schema": 1,
     "rows": 2048,                     rows that were looked at
     "features": [FEATURE, …]}         at most 64 of each tensor, inputs first

Each FEATURE has these keys::

    name     "pixels[3]", "pixels.mean", "text.length", "scores.class": tensor, and what of it; unique
    side     "inputs" or "outputs"
    tensor   the tensor's name in the signature
    of       what is taken of a row:
               "value"               one number, or one whole string, of the row (`index`)
               "mean" "std" "min" "max"   of all numbers of a row; instead of values where a row holds more than 64
                                     numbers or has more than one axis, such as an image
               "length" "tokens"     of a text: its characters; its words, which are runs of letters, digits and "_",
                                     in small letters
               "class" "score"       of a classifier's output: the class of the largest score and that score; for an
                                     output of one number, a probability: class 1 above 0.5
    index    for "value", "length" and "tokens": position in the row, flattened in C order; else null
    kind     "numeric", "categories" or "tokens"
    count    rows that have a value (for "tokens": words)
    missing  rows that have none: not a finite number, an empty string
    shares   the share of `count` in each bin, in order; they add up to 1, or all are 0 where count is 0

and by its kind::

    numeric     mean, std, min, max   float64 over the rows with a value; null where count is 0 or beyond float64
                edges   ascending and distinct; bin i holds edges[i-1] <= x < edges[i], the first and last are open:
                        len(shares) == len(edges) + 1. 20 bins of equal share as far as ties allow; where there are
                        at most 20 distinct values, one bin for each, and an empty bin outside on either side
    categories  values  strings, or class numbers (int); len(shares) == len(values) + 1, the last bin is for all others
    tokens      values  the 20 commonest words; shares as for categories
                vocabulary  the words that came more than once, the commonest 5000 of them, in order of their frequency
                outside     the share of words outside the vocabulary
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

SCHEMA = 1
MOST_FEATURES = 64
BINS = 20
VOCABULARY = 5000

Feature: TypeAlias = "Mapping[str, Any]"
_SUMMARIES = ("mean", "std", "min", "max")
_WORD = re.compile(r"\w+")


def take_profile(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, task: Literal["classification", "regression"] | None
) -> dict[str, Any]:
    """The profile of rows and of what a model answers to them.

    Args:
        inputs: Arrays by the signature's names, rows first; strings as object arrays of str or bytes.
        outputs: Arrays likewise, of as many rows.
        task: "classification" describes float outputs of one axis by class and score; else values are described.

    Returns:
        What `tfkit.json` holds, see the module.

    Example:
        >>> import numpy as np
        >>> profile = take_profile({"x": np.arange(100.0)[:, None]}, {}, task=None)
        >>> [(each["name"], len(each["shares"]), each["mean"]) for each in profile["features"]]
        [('x[0]', 20, 49.5)]
    """
    import numpy as np

    sides = {"inputs": inputs, "outputs": outputs}
    features = [
        _described(feature, arrays)
        for side, arrays in sides.items()
        for name, array in arrays.items()
        for feature in _features(side, name, np.asarray(array), task)
    ]
    rows = max((len(array) for arrays in sides.values() for array in arrays.values()), default=0)
    return {"schema": SCHEMA, "rows": rows, "features": features}


def feature_values(feature: Feature, tensors: Mapping[str, Any]) -> Any:
    """What a feature takes of rows.

    Args:
        feature: An entry of `features`.
        tensors: Arrays of the feature's side by the signature's names, rows first.

    Returns:
        float64 of shape (rows,) for "numeric", NaN or infinite where missing; int64 of shape (rows,) for classes;
        for strings a list of str, one a row; for "tokens" a list of all words of all rows.

    Example:
        >>> import numpy as np
        >>> feature_values({"tensor": "x", "of": "mean", "kind": "numeric"}, {"x": np.eye(2)})
        array([0.5, 0.5])
    """
    import numpy as np

    array, of = np.asarray(tensors[feature["tensor"]]), feature["of"]
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    if of in _SUMMARIES:
        return _summary(of, flat)
    if of in ("class", "score"):
        return _classes(flat) if of == "class" else _scores(flat)
    column = flat[:, feature["index"]]
    if flat.dtype.kind not in "OSU":
        return column.astype("float64")
    texts = [_text(each) for each in column]
    if of == "length":
        return np.array([len(each) or np.nan for each in texts], "float64")
    return [word for each in texts for word in words(each)] if of == "tokens" else texts


def bin_counts(feature: Feature, values: Any) -> Any:
    """How many of some values fall into each bin of a feature.

    Args:
        feature: An entry of `features`.
        values: What `feature_values` gives; missing ones fall into no bin.

    Returns:
        int64 of shape (len(shares),).

    Example:
        >>> import numpy as np
        >>> bin_counts({"kind": "numeric", "edges": [1.0, 2.0]}, np.array([0.0, 1.0, 1.5, 9.0, np.nan])).tolist()
        [1, 2, 1]
    """
    import numpy as np

    if feature["kind"] == "numeric":
        bins = np.searchsorted(feature["edges"], values[np.isfinite(values)], side="right")
        return np.bincount(bins, minlength=len(feature["edges"]) + 1).astype("int64")
    places = {value: place for place, value in enumerate(feature["values"])}
    found: Any = np.zeros(len(places) + 1, "int64")
    for value, count in Counter(_plain(values)).items():
        if value != "":
            found[places.get(value, len(places))] += count
    return found


def words(text: str) -> list[str]:
    """The words of a text, in small letters.

    Example:
        >>> words("Très bon, très_bon!")
        ['très', 'bon', 'très_bon']
    """
    return _WORD.findall(text.lower())


def _features(side: str, name: str, array: Any, task: str | None) -> Iterator[dict[str, Any]]:
    """What there is to describe of a tensor."""
    size = math.prod(array.shape[1:])
    classifies = side == "outputs" and task == "classification" and array.ndim == 2 and array.dtype.kind not in "OSU"
    if classifies and size:
        yield _feature(side, name, "class", kind="categories")
        yield _feature(side, name, "score", kind="numeric")
    elif array.dtype.kind in "OSU":
        yield from _of_strings(side, name, array.reshape(len(array), size))
    elif array.ndim > 2 or size > MOST_FEATURES:
        yield from (_feature(side, name, of, kind="numeric") for of in _SUMMARIES)
    else:
        yield from (_feature(side, name, "value", index, kind="numeric") for index in range(size))


def _of_strings(side: str, name: str, flat: Any) -> Iterator[dict[str, Any]]:
    """A column of few distinct strings is a category, another is a text."""
    for index in range(min(flat.shape[1], MOST_FEATURES // 2)):
        distinct = {_text(each) for each in flat[:, index]} - {""}
        if len(distinct) <= min(BINS, len(flat) // 2):
            yield _feature(side, name, "value", index, kind="categories")
        else:
            yield _feature(side, name, "length", index, kind="numeric")
            yield _feature(side, name, "tokens", index, kind="tokens")


def _feature(side: str, tensor: str, of: str, index: int | None = None, *, kind: str) -> dict[str, Any]:
    place = "" if index is None else f"[{index}]"
    name = f"{tensor}{place}" if of == "value" else f"{tensor}{place}.{of}"
    return {"name": name, "side": side, "tensor": tensor, "of": of, "index": index, "kind": kind}


def _described(feature: dict[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The feature with its distribution."""
    import numpy as np

    values = feature_values(feature, tensors)
    with np.errstate(over="ignore", invalid="ignore"):  # figures of numbers near float64's largest are null
        more = _numeric(values) if feature["kind"] == "numeric" else _counted(feature["kind"], _plain(values))
    missing = more.pop("missing", 0)
    counts = bin_counts({**feature, **more}, values)
    count = int(counts.sum())
    shares = [_rounded(share) for share in counts / max(count, 1)]
    return {**feature, "count": count, "missing": missing, "shares": shares, **more}


def _numeric(values: Any) -> dict[str, Any]:
    import numpy as np

    present = values[np.isfinite(values)]
    more: dict[str, Any] = {"missing": len(values) - len(present), "edges": _edges(present)}
    for name in _SUMMARIES:
        figure = getattr(np, name)(present) if len(present) else math.nan
        more[name] = _rounded(figure) if math.isfinite(figure) else None
    return more


def _edges(present: Any) -> list[float]:
    import numpy as np

    distinct = np.unique(present)
    if not len(distinct):
        return []
    if len(distinct) > BINS:
        found = np.quantile(present, np.arange(1, BINS) / BINS)
    else:
        gap = np.diff(distinct).min() if len(distinct) > 1 else 1e-6 * max(1.0, abs(distinct[0]))
        middles = distinct[1:] / 2 + distinct[:-1] / 2
        found = np.concatenate([distinct[:1] - gap / 2, middles, distinct[-1:] + gap / 2])
    return sorted({_rounded(edge) for edge in found if math.isfinite(edge)})


def _counted(kind: str, values: Sequence[Any]) -> dict[str, Any]:
    """The commonest values; of equal ones the first in order, so that equal data give equal profiles."""
    counts = Counter(value for value in values if value != "")
    common = sorted(counts, key=lambda value: (-counts[value], value))
    if kind == "categories":
        return {"values": sorted(common[:MOST_FEATURES]), "missing": len(values) - counts.total()}
    vocabulary = [word for word in common if counts[word] > 1][:VOCABULARY]
    inside = sum(counts[word] for word in vocabulary)
    outside = _rounded(1 - inside / counts.total()) if counts else 0.0
    return {"values": common[:BINS], "vocabulary": vocabulary, "outside": outside}


def _summary(of: str, flat: Any) -> Any:
    """A figure of each row; missing where any of its numbers is."""
    import numpy as np

    if not flat.shape[1]:
        return np.full(len(flat), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return getattr(np, of)(flat.astype("float64"), axis=1)


def _classes(flat: Any) -> Any:
    import numpy as np

    chosen = flat[:, 0] > 0.5 if flat.shape[1] == 1 else np.argmax(flat, axis=1)
    return chosen.astype("int64")


def _scores(flat: Any) -> Any:
    import numpy as np

    return np.max(flat.astype("float64"), axis=1)


def _plain(values: Any) -> Sequence[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _rounded(value: Any) -> float:
    """Nine digits: a float32's value, without the tail that float64 gives it."""
    return float(f"{value:.9g}")
