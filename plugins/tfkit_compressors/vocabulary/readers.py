"""Vocabularies: which lookups a model has, and which weights have a row for each of their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from tfkit import ModelError
from tfkit.graph import Call, Graph, Tensor, flattened, keras_type
from tfkit_compressors.vocabulary.lookups import first_token, is_lookup, mode, tokens, why_not, width

# Operations that give the ids they are given, in another place or shape; padding adds id 0, which is no token.
_MOVES = frozenset(
    (
        *("layers.Cropping1D", "layers.Flatten", "layers.Identity", "layers.Permute", "layers.RepeatVector"),
        *("layers.Reshape", "layers.ZeroPadding1D", "ops.Cast", "ops.Copy", "ops.ExpandDims", "ops.Flip"),
        *("ops.GetItem", "ops.Identity", "ops.Moveaxis", "ops.Ravel", "ops.Repeat", "ops.Reshape", "ops.Squeeze"),
        *("ops.StopGradient", "ops.Swapaxes", "ops.Tile", "ops.Transpose"),
    )
)
# What asks whether ids are some id, such as that of padding.
_COMPARES = ("ops.Equal", "ops.NotEqual")


@dataclass(eq=False)
class Vocabulary:
    """A lookup and what reads it.

    Attributes:
        lookup: The layer that turns tokens into ids or columns.
        readers: The Embedding or Dense layers whose tables have a row for each id, each once.
        reason: Why it stays as it is; None where tokens can leave it.
    """

    lookup: Any
    readers: list[Any] = field(default_factory=list)
    reason: str | None = None

    @property
    def size(self) -> int:
        """The number of its tokens."""
        return len(tokens(self.lookup))

    def stays(self, reason: str | None) -> None:
        """Notes why it stays as it is; the first reason is told."""
        self.reason = self.reason or reason


def vocabularies(model: keras.Model) -> tuple[Vocabulary, ...]:
    """The vocabularies of a model, nested models included, those that cannot be trimmed with their reason.

    Args:
        model: A built Functional or Sequential model.

    Raises:
        ModelError: It is not built, subclassed, or has no vocabulary.

    Example:
        >>> words = keras.layers.StringLookup(vocabulary=["good", "bad"], name="words")
        >>> text = keras.Input((3,), dtype="string")
        >>> model = keras.Model(text, keras.layers.Embedding(3, 4, name="table")(words(text)))
        >>> [(each.lookup.name, [layer.name for layer in each.readers]) for each in vocabularies(model)]
        [('words', ['table'])]
    """
    graph = flattened(model)
    found = {id(call.operation): Vocabulary(call.operation) for call in graph.calls if is_lookup(call.operation)}
    if not found:
        raise ModelError(
            f"model {model.name!r} has no vocabulary to trim: no TextVectorization, StringLookup or IntegerLookup in it"
        )
    _follow(graph, found)
    for each in found.values():
        each.stays(why_not(each.lookup))
        for reader in each.readers:
            each.stays(_why_not_read(reader, each.lookup))
        if not each.readers:
            each.stays("no Embedding or Dense layer reads it")
    return tuple(found.values())


def table(reader: Any) -> Any:
    """The variable of a reader that has a row for each id."""
    return reader.embeddings if isinstance(reader, keras.layers.Embedding) else reader.kernel


def _follow(graph: Graph, found: dict[int, Vocabulary]) -> None:
    """Follows what lookups give through the graph, and notes who reads it."""
    carried: dict[Tensor, Vocabulary] = {}
    owners: dict[int, Vocabulary | None] = {}
    for call in graph.calls:
        if id(call.operation) in found:
            carried[call.outputs[0]] = found[id(call.operation)]
            continue
        sources = list(dict.fromkeys(carried[each] for each in call.inputs if each in carried))
        for source in sources:
            _read(call, source, sources, carried)
        _own(call, sources[0] if len(sources) == 1 else None, owners)
    for tensor in graph.outputs:
        if tensor in carried:
            carried[tensor].stays("its ids leave the model")


def _read(call: Call, source: Vocabulary, sources: list[Vocabulary], carried: dict[Tensor, Vocabulary]) -> None:
    kind, name = keras_type(call.operation), getattr(call.operation, "name", "?")
    ids = mode(source.lookup) == "int"
    if len(sources) > 1:
        source.stays(f"{name!r} reads several vocabularies")
    elif kind == ("layers.Embedding" if ids else "layers.Dense"):
        source.readers += [call.operation] if call.operation not in source.readers else []
    elif ids and kind in _MOVES:
        carried.update(dict.fromkeys(call.outputs, source))
    elif not (ids and kind in _COMPARES and _is_special(call, source)):
        source.stays(f"{name!r} ({type(call.operation).__name__}) reads its {'ids' if ids else 'columns'}")


def _is_special(call: Call, source: Vocabulary) -> bool:
    """Whether ids are compared with one that is no token's, and keeps its meaning."""
    numbers = [each for each in call.arguments.values() if isinstance(each, (int, float))]
    return len(numbers) == 1 and numbers[0] < first_token(source.lookup)


def _own(call: Call, source: Vocabulary | None, owners: dict[int, Vocabulary | None]) -> None:
    """Notes what a layer reads in each of its calls: one that reads anything else too cannot lose rows."""
    known = owners.setdefault(id(call.operation), source)
    if known is source:
        return
    for each in (known, source):
        if each is not None and call.operation in each.readers:
            each.stays(f"{call.operation.name!r} reads something else too")


def _why_not_read(reader: Any, lookup: Any) -> str | None:
    if getattr(reader, "quantization_mode", None) or reader.lora_enabled:
        return f"{reader.name!r} is quantized or has LoRA: trim first"
    rows = table(reader).shape[0]
    if rows < width(lookup):
        return f"{reader.name!r} has {rows} rows for {width(lookup)} ids"
    return None


def told(found: tuple[Vocabulary, ...]) -> Iterator[str]:
    """A sentence for each vocabulary that stays."""
    yield from (f"{each.lookup.name!r} stays: {each.reason}" for each in found if each.reason)
