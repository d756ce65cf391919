"""shrunk: the smaller model of a plan; masked: the original with the same channels at zero."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfkit import ModelError
from tfkit.graph import has_graph
from tfkit.reasons import reason
from tfkit.replay import inputs_like, rebuilt
from tfkit_compressors.shrinking.plan import Plan

# Attributes of wrappers that hold a layer, and the entries of their config that describe it.
_INNER = {"layer": "layer", "forward_layer": "layer", "backward_layer": "backward_layer"}


def shrunk(plan: Plan) -> keras.Model:
    """A smaller model without the units of a plan.

    Args:
        plan: What goes; its model stays as it is.

    Returns:
        A model of the same type, names and kept weights that is not compiled. It computes what
        `masked(plan)` computes.

    Raises:
        ModelError: A layer cannot be made from its config; the text says which.
    """

    cuts = _by_weight(plan)

    def kept(weight: keras.Variable) -> np.ndarray:
        value = keras.ops.convert_to_numpy(weight)
        for cut in cuts.get(id(weight), ()):
            value = np.compress(plan.kept(cut.channels), value, axis=cut.axis)
        return value

    return _built(plan, kept, plan.trace.sizes)


def masked(plan: Plan) -> keras.Model:
    """A copy of the model at its full size in which the units of a plan are zero.

    Zero are the weights that make them and those that read them, so that a unit reaches nothing
    even where an activation turns 0 into something else.

    Args:
        plan: What goes; its model stays as it is.

    Raises:
        ModelError: A layer cannot be made from its config; the text says which.
    """

    zeroed = zeroed_weights(plan)
    return _built(plan, lambda weight: zeroed.get(id(weight), weight), {})


def zeroed_weights(plan: Plan) -> dict[int, np.ndarray]:
    """The weights that lose channels, by their id, with zeros where the units of a plan are."""
    found = {}
    for weight, cuts in _by_weight(plan).items():
        value = np.array(keras.ops.convert_to_numpy(cuts[0].variable))
        for cut in cuts:
            np.moveaxis(value, cut.axis, 0)[~plan.kept(cut.channels)] = 0
        found[weight] = value
    return found


def _by_weight(plan: Plan) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for cut in plan.cuts():
        found.setdefault(id(cut.variable), []).append(cut)
    return found


def _built(
    plan: Plan, weight: Callable[[keras.Variable], Any], sizes: dict[tuple[int, Any], np.ndarray]
) -> keras.Model:
    clones = _Clones(plan, sizes)
    made = rebuilt(plan.model, clones)
    for old, new in clones.pairs():
        for source, target in zip(old.weights, new.weights, strict=True):
            target.assign(weight(source))
        _carry_state(old, new)
    if not plan.model.trainable:
        made.trainable = False
    return made


def _carry_state(old: Any, new: Any) -> None:
    """What a layer holds beside its weights: tables of words, and what adapted layers derive from weights."""
    if hasattr(old, "save_assets") and hasattr(old, "load_assets"):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)
    if hasattr(new, "finalize_state"):
        new.finalize_state()


class _Clones:
    """New operations for those of a model, each made once, with the sizes that are left."""

    def __init__(self, plan: Plan, sizes: dict[tuple[int, Any], np.ndarray]) -> None:
        self.plan = plan
        self.counts = {key: int(plan.kept(channels).sum()) for key, channels in sizes.items()}
        self.entries = {id(origin): plan.trace.labels[tensor] for origin, tensor in reversed(plan.trace.graph.entries)}
        self.smaller = bool(sizes)
        self.made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, operation: Any) -> Any:
        if id(operation) not in self.made:
            self.made[id(operation)] = (operation, self._clone(operation))
        return self.made[id(operation)][1]

    def pairs(self) -> list[tuple[Any, Any]]:
        """Layers with weights, old and new; nested models have theirs in their layers."""
        return [
            (old, new) for old, new in self.made.values() if isinstance(old, keras.layers.Layer) and not has_graph(old)
        ]

    def _clone(self, operation: Any) -> Any:
        if has_graph(operation):
            return rebuilt(operation, self, inputs_like(operation, self._entry_shape))
        try:
            return type(operation).from_config(self._config(operation))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(
                f"layer {operation.name!r} ({type(operation).__name__}) cannot be made anew from its config: "
                f"{reason(error)}; give it a get_config that holds all its arguments"
            ) from error

    def _entry_shape(self, tensor: Any) -> tuple[int | None, ...]:
        shape, labels = list(tensor.shape), self.entries.get(id(tensor))
        if labels is not None and self.smaller:
            shape[labels.axis] = int(self.plan.kept(labels.channels).sum())
        return tuple(shape)

    def _config(self, operation: Any) -> dict[str, Any]:
        config = dict(operation.get_config())
        for (owner, entry), count in self.counts.items():
            if owner == id(operation):
                _set(config, entry, count)
        for attribute, entry in _INNER.items():
            inner = getattr(operation, attribute, None)
            if isinstance(inner, keras.layers.Layer) and isinstance(config.get(entry), dict):
                config[entry] = {**config[entry], "config": self._config(inner), "build_config": None}
        return config


def _set(config: dict[str, Any], entry: Any, count: int) -> None:
    if not isinstance(entry, tuple):
        config[entry] = count
        return
    name, position = entry
    lengths = list(config[name])
    lengths[position] = count
    config[name] = tuple(lengths)
