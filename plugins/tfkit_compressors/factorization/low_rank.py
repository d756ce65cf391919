"""Low-rank factorization of dense and convolutional layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfkit import Compressed, Data
from tfkit.attach.training import train
from tfkit.attach.variables import layers_named
from tfkit.graph import calls, flattened, has_graph, require_graph
from tfkit.models import require_compiled
from tfkit.pipeline.copies import recompiled
from tfkit.replay import rebuilt
from tfkit_compressors.factorization.layers import OF_KERNEL, pair, why_not
from tfkit_compressors.factorization.svd import Factors, factors, saves


class LowRank:
    """Puts two thin layers in the place of one whose kernel is near a low rank, and trains the model on.

    A Dense layer becomes two, the first linear and without bias; a convolution becomes one of the same size to
    fewer channels and one of size 1 to its own. Only layers that get smaller by it are replaced. The second
    layer has the name of the old one. Frozen layers, recurrent, depthwise and grouped kernels, embeddings and what
    is inside of wrappers stay. A kernel's regularizer and constraint are left out, since they mean the product and
    neither of its factors.

    Args:
        energy: Share of a kernel's squared singular values that is kept; with 1.0 only what has a lower rank
            than its shape allows is replaced, and nothing is lost.
        exclude: Layers to leave out, by name or type.

    Example:
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, name="out")])
        >>> _ = model.layers[0].kernel.assign(np.ones((8, 8)))
        >>> made = LowRank(0.99).compress(model, Data((np.ones((4, 8)), np.ones(4))), epochs=0, directory=Path())
        >>> [(layer.name, tuple(layer.kernel.shape)) for layer in made.model.layers]
        [('out_down', (8, 1)), ('out', (1, 8))]
    """

    def __init__(self, energy: float = 0.95, exclude: Sequence[str] = ()) -> None:
        self.energy = energy
        self.exclude = tuple(exclude)

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Factorizes a model and trains it.

        Args:
            model: A built Functional or Sequential model, compiled where epochs is not 0; the new model
                shares the layers with it that are not replaced.
            data: The train part is fitted.
            epochs: Epochs of training.
            directory: Not used.

        Raises:
            ModelError: If the model is not built, not compiled, subclassed, or has no layer that exclude names.
        """
        require_graph(model)
        if epochs:
            require_compiled(model)
        chosen, notes = self._chosen(model)
        made = _replaced(model, chosen) if chosen else model
        if model.compiled:
            recompiled(made, model)
        if epochs:
            train(made, data, epochs)
        return Compressed(made, notes=notes)

    def _chosen(self, model: keras.Model) -> tuple[dict[int, Factors], tuple[str, ...]]:
        """The factors by the layer's id, and a sentence for each layer with a kernel."""
        left = {id(layer) for layer in layers_named(model, self.exclude)}
        chosen, notes = {}, []
        for layer in _layers(model):
            reason = "excluded" if id(layer) in left else why_not(layer)
            found = None if reason else factors(layer.kernel.numpy(), self.energy)
            if found is None:
                notes.append(f"{layer.name!r} stays: {reason}")
            elif not saves(layer.kernel.numpy(), found.rank):
                notes.append(f"{layer.name!r} stays: rank {found.rank} of {min(_matrix(layer))} saves nothing")
            else:
                chosen[id(layer)] = found
                notes.append(_told(layer, found))
        return chosen, tuple(notes)


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers with kernels, each once, those of nested models too."""
    seen = set()
    for call in calls(model):
        operation = call.operation
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        if has_graph(operation):
            yield from (layer for layer in _layers(operation) if not (id(layer) in seen or seen.add(id(layer))))
        elif any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ())):
            yield operation


def _matrix(layer: keras.layers.Layer) -> tuple[int, int]:
    shape = layer.kernel.shape
    return int(np.prod(shape[:-1])), int(shape[-1])


def _told(layer: keras.layers.Layer, found: Factors) -> str:
    norm = float(np.linalg.norm(layer.kernel.numpy()))
    lost = found.lost / norm if norm else 0.0
    without = "".join(f", without its {name}" for name in OF_KERNEL if getattr(layer, name) is not None)
    return f"{layer.name!r} has rank {found.rank} of {min(_matrix(layer))}, relative error {lost:.3g}{without}"


def _replaced(model: keras.Model, chosen: dict[int, Factors]) -> keras.Model:
    names = {call.operation.name for call in flattened(model).calls}
    return _rebuilt(model, chosen, {}, lambda wish: _unique(wish, names))


def _rebuilt(
    model: keras.Model, chosen: dict[int, Factors], known: dict[int, Any], unique: Callable[[str], str]
) -> keras.Model:
    def clone(operation: Any) -> Any:
        if id(operation) not in known:
            known[id(operation)] = _clone(operation)
        return known[id(operation)]

    def _clone(operation: Any) -> Any:
        if has_graph(operation):
            return _rebuilt(operation, chosen, known, unique)
        found = chosen.get(id(operation))
        return operation if found is None else pair(operation, found, unique)

    return rebuilt(model, clone)


def _unique(wish: str, names: set[str]) -> str:
    name = next(name for name in (wish, *(f"{wish}_{count}" for count in range(1, 10**6))) if name not in names)
    names.add(name)
    return name
