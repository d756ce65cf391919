"""rebuilt_with: the model over smaller vocabularies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfkit import ModelError
from tfkit.graph import flattened, has_graph
from tfkit.reasons import reason
from tfkit.replay import inputs_like, rebuilt
from tfkit_compressors.vocabulary.lookups import first_token, mode, trimmed
from tfkit_compressors.vocabulary.readers import Vocabulary, table


@dataclass(frozen=True)
class Trim:
    """Which tokens of a vocabulary stay.

    Attributes:
        vocabulary: The vocabulary.
        kept: Whether each of its tokens stays.
    """

    vocabulary: Vocabulary
    kept: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The rows of the readers' tables that stay: those of the mask and of OOV tokens do, rows that no id has go."""
        first = first_token(self.vocabulary.lookup)
        return np.concatenate([np.arange(first), first + np.flatnonzero(self.kept)])

    @property
    def changes(self) -> bool:
        """Whether a token or a row goes."""
        return any(table(each).shape[0] > len(self.rows) for each in self.vocabulary.readers)


def rebuilt_with(model: keras.Model, trims: list[Trim]) -> keras.Model:
    """A model over smaller vocabularies, which is not compiled.

    Args:
        model: A built Functional or Sequential model; the new one shares with it the layers that do not change.
        trims: What goes of its vocabularies.

    Raises:
        ModelError: A layer cannot be made from its config, or another one holds a table that loses rows.
    """
    trims = [each for each in trims if each.changes]
    lookups = {id(each.vocabulary.lookup): trimmed(each.vocabulary.lookup, each.kept) for each in trims}
    readers = {id(layer): _smaller(layer, each) for each in trims for layer in each.vocabulary.readers}
    made = _made(model, {**lookups, **readers}, _shapes(model, trims))
    left = {id(weight) for weight in made.weights}
    for layer in (layer for each in trims for layer in each.vocabulary.readers):
        if id(table(layer)) in left:
            raise ModelError(f"model {model.name!r} cannot be trimmed: a layer beside {layer.name!r} holds its table")
    return made


def _made(model: keras.Model, new: dict[int, Any], shapes: Mapping[int, tuple[int | None, ...]]) -> keras.Model:
    def clone(operation: Any) -> Any:
        if has_graph(operation) and id(operation) not in new:
            new[id(operation)] = _made(operation, new, shapes)
        return new.get(id(operation), operation)

    inputs = inputs_like(model, lambda tensor: shapes.get(id(tensor), tensor.shape))
    return rebuilt(model, clone, inputs)


def _shapes(model: keras.Model, trims: list[Trim]) -> dict[int, tuple[int | None, ...]]:
    """The shapes of inputs of nested models that columns of a trimmed lookup go into."""
    columns = {id(each.vocabulary.lookup): each for each in trims if mode(each.vocabulary.lookup) != "int"}
    graph = flattened(model)
    found = {}
    for origin, given in graph.entries:
        call = graph.makers.get(given)
        if call is not None and id(call.operation) in columns:
            found[id(origin)] = (*origin.shape[:-1], len(columns[id(call.operation)].rows))
    return found


def _smaller(layer: Any, trim: Trim) -> Any:
    """An Embedding or Dense layer with the rows that stay."""
    config = dict(layer.get_config())
    # All weights are assigned below; an initializer may hold a matrix of the old size.
    config[f"{table(layer).name}_initializer"] = "zeros"
    if isinstance(layer, keras.layers.Embedding):
        config["input_dim"] = len(trim.rows)
    try:
        made = type(layer).from_config(config)
    except (TypeError, ValueError) as error:
        raise ModelError(f"layer {layer.name!r} cannot be made anew from its config: {reason(error)}") from error
    made.build((None, len(trim.rows)))
    for old, new in zip(layer.weights, made.weights, strict=True):
        value = np.asarray(old)
        new.assign(value[trim.rows] if old is table(layer) else value)
    return made
