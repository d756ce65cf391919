"""The moves of an automatic search: which compressors, how strong, and where in the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tfkit.data import Data
from tfkit.errors import TfkitError
from tfkit.factory import create
from tfkit.pipeline.copies import compiled_copy
from tfkit.pipeline.steps import is_installed

Values = Mapping[str, Any]
Made = tuple[str, dict[str, Any]]


# Tokens from which on a vocabulary is worth trimming.
_WORDS = 500


@dataclass(frozen=True)
class Move:
    """One compressor as the search uses it.

    Attributes:
        compressor: Its plugin's name; a move whose plugin is not installed is left out.
        strength: The hyperparameter that its ladder is of.
        place: "before" the training, which then heals what it cut, or "after", as what training would undo.
        ladder: Strengths of the first look, in the order in which they are tried.
        declare: Declares its hyperparameters; gets KerasTuner's `hp` and the target.
        step: The step for some values, None where they leave it out.
        suits: Whether a source, trained on some data, has what it changes.
    """

    compressor: str
    strength: str
    place: Literal["before", "after"]
    ladder: tuple[float, ...]
    declare: Callable[[Any, str], None]
    step: Callable[[Values], Made | None]
    suits: Callable[[Any, Data], bool] = lambda source, data: True


def _declare_shrink(hp: Any, target: str) -> None:
    hp.Float("shrink", 0.0, 0.9, step=0.05, default=0.5)
    # The time of a convolution goes in steps of the width of the kernels that compute it.
    hp.Choice("multiple_of", [8, 16, 4] if target == "latency" else [1, 4, 8])


def _trim(values: Values) -> Made | None:
    keep = values.get("vocabulary", 1.0)
    return ("trim-vocabulary", {"keep": keep}) if keep < 1 else None


def _can_trim(source: Any, data: Data) -> bool:
    """Whether words take room, which a few categories do not, and may go."""
    import keras

    kinds = (keras.layers.TextVectorization, keras.layers.StringLookup, keras.layers.IntegerLookup)
    sizes = (each.vocabulary_size() for each in source._flatten_layers() if isinstance(each, kinds))
    if max(sizes, default=0) < _WORDS:
        return False
    try:
        trim = create("compressor", "trim-vocabulary", keep=1.0)
        trim.compress(compiled_copy(source), data, epochs=0, directory=Path())
    except TfkitError:
        return False
    return True


def _shrink(values: Values) -> Made | None:
    # What is left of a model that was cut before, by "after".
    ratio = round(1 - (1 - values.get("shrink", 0.0)) / (1 - values.get("after", 0.0)), 3)
    return ("shrink", {"ratio": ratio, "multiple_of": values.get("multiple_of", 1)}) if ratio else None


def _low_rank(values: Values) -> Made | None:
    energy = values.get("low_rank", 1.0)
    return ("low-rank", {"energy": energy}) if energy < 1 else None


def _prune(values: Values) -> Made | None:
    sparsity = values.get("prune", 0.0)
    return ("prune", {"sparsity": sparsity}) if sparsity else None


def _cluster(values: Values) -> Made | None:
    clusters = values.get("cluster", 0)
    return ("cluster", {"clusters": clusters}) if clusters else None


MOVES: tuple[Move, ...] = (
    Move(
        "trim-vocabulary",
        "vocabulary",
        "before",
        (0.33, 0.5, 0.2, 0.25, 0.4, 0.1),
        lambda hp, target: hp.Choice("vocabulary", [1.0, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15, 0.1], ordered=True),
        _trim,
        _can_trim,
    ),
    Move("shrink", "shrink", "before", (0.5, 0.3, 0.7), _declare_shrink, _shrink),
    Move(
        "low-rank",
        "low_rank",
        "before",
        (0.9, 0.95, 0.8),
        lambda hp, target: hp.Choice("low_rank", [1.0, 0.95, 0.9, 0.8], ordered=True),
        _low_rank,
    ),
    Move(
        "prune",
        "prune",
        "after",
        (0.5, 0.75, 0.9),
        lambda hp, target: hp.Choice("prune", [0.0, 0.5, 0.75], ordered=True),
        _prune,
    ),
    Move("cluster", "cluster", "after", (32, 16), lambda hp, target: hp.Choice("cluster", [0, 32, 16]), _cluster),
)

# How a model becomes a file, the likeliest winner first: what a file of fewer bits loses is seen at once.
_FINISHES: tuple[Made, ...] = (
    ("quantize", {"bits": 8, "activations": 8}),
    ("quantize", {"bits": 4, "activations": None}),
    ("quantize", {"bits": 4, "activations": 8}),
    ("quantize", {"bits": 8, "activations": None}),
    ("quantize", {"bits": 16, "activations": None}),
)


# And how a model that LiteRT does not take becomes a smaller Keras model, as one that reads strings.
_IN_KERAS: tuple[Made, ...] = tuple(
    ("quantize", {"engine": "keras", "bits": bits, "activations": None}) for bits in (8, 4)
)

_LOW_RANK_FIRST = ("trim-vocabulary", "low-rank", "shrink")
_DROPOUT = {0.0: "without dropout", 0.5: "half its dropout"}


def installed_moves(source: Any, data: Data) -> tuple[Move, ...]:
    """The moves whose compressors are installed and that can change something in a source, which stays as it is."""
    return tuple(move for move in MOVES if is_installed(move.compressor) and move.suits(source, data))


def space(moves: tuple[Move, ...], target: str, *, drops: bool = False) -> Any:
    """KerasTuner's HyperParameters of all moves together, and of the order of shrink and low-rank.

    Args:
        moves: Those that are installed.
        target: "size" or "latency".
        drops: Whether the source has dropout, of which a smaller model needs less.
    """
    import keras_tuner

    found = keras_tuner.HyperParameters()
    for move in moves:
        move.declare(found, target)
    if {"shrink", "low-rank"} <= {move.compressor for move in moves}:
        found.Choice("low_rank_first", [False, True])
    if drops:
        found.Choice("dropout", [0.0, 0.5, 1.0])
    return found


def ladder(moves: tuple[Move, ...], target: str, *, drops: bool = False) -> Any:
    """KerasTuner's HyperParameters of the first look: the strengths of the first move, without dropout.

    A cut model that learns from its source underfits first: without its dropout a convolutional network of half the
    width was three times nearer to the source after six epochs.
    """
    import keras_tuner

    found = keras_tuner.HyperParameters()
    if moves:
        found.Choice(moves[0].strength, list(moves[0].ladder), ordered=False)
        if moves[0].compressor == "shrink":
            found.Fixed("multiple_of", 8 if target == "latency" else 1)
    if drops:
        found.Fixed("dropout", 0.0)
    return found


def has_dropout(source: Any) -> bool:
    """Whether a model drops units while it trains."""
    from tfkit.attach.dropout import rates

    return any(rates(source))


def dropout(values: Values) -> float:
    """What the source's dropout rates are multiplied by in training."""
    return float(values.get("dropout", 1.0))


def steps(values: Values, place: str) -> list[Made]:
    """The steps that some values ask for, in their order.

    Example:
        >>> steps({"shrink": 0.5, "low_rank": 0.9, "low_rank_first": True, "prune": 0.5}, "before")
        [('low-rank', {'energy': 0.9}), ('shrink', {'ratio': 0.5, 'multiple_of': 1})]
    """
    found = [made for move in MOVES if move.place == place and (made := move.step(values)) is not None]
    if place == "before" and values.get("low_rank_first"):
        found.sort(key=lambda each: _LOW_RANK_FIRST.index(each[0]))
    return found


def may_need_no_training(values: Values) -> bool:
    """Whether what was done is nothing but leaving words out: what is left is what was trained already."""
    return [name for name, _ in [*steps(values, "before"), *steps(values, "after")]] == ["trim-vocabulary"]


def told(values: Values) -> str:
    """The values in words, for the table.

    Example:
        >>> told({"shrink": 0.5, "multiple_of": 8, "prune": 0.75})
        'shrink 0.5 (by 8), prune 0.75'
    """
    made = [*steps({**values, "after": 0.0}, "before"), *steps(values, "after")]
    words = [_words(*each) for each in made]
    if words and "after" in values:
        words[0] = f"{words[0]} after {values['after']:g}"
    return ", ".join([*words, *([_DROPOUT[dropout(values)]] if words and dropout(values) in _DROPOUT else [])])


def finishes(source: Any) -> list[tuple[str, Made]]:
    """The ways to a file that are installed, each with its label: `[("int8", ("quantize", {…})), …]`.

    Args:
        source: A built model. Biases make up for the rounding to 4 bits where its graph can be seen.
    """
    from tfkit.graph import has_graph

    corrected = {"bias_correction": True} if has_graph(source) else {}
    return _labelled((name, {**params, **(corrected if params["bits"] == 4 else {})}) for name, params in _FINISHES)


def finishes_in_keras() -> list[tuple[str, Made]]:
    """The ways to a quantized Keras model that are installed, each with its label."""
    return _labelled(_IN_KERAS)


def changes_the_model(made: Made) -> bool:
    """Whether a way changes the model that it is given, instead of writing a file."""
    return made in _IN_KERAS


def _labelled(ways: Iterable[Made]) -> list[tuple[str, Made]]:
    found = []
    for name, params in ways:
        try:
            compressor = create("compressor", name, **params)
        except TfkitError:  # not installed, or it knows no such pair
            continue
        found.append((getattr(compressor, "label", name), (name, params)))
    return found


def _words(name: str, params: dict[str, Any]) -> str:
    strength, *rest = params.values()
    by = f" (by {rest[0]})" if rest and rest[0] != 1 else ""
    return f"{name} {strength:g}{by}"
