"""Trace: follows channels through a model's graph and notes along which axes of which weights they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tfkit.graph import Call, Graph, Tensor, flattened, keras_type
from tfkit_compressors.shrinking.channels import Channels, Labels

Role = Literal["makes", "takes", "carries"]
# The labels of a call's outputs from those of its inputs; None where a tensor has no axis to follow.
Rule = Callable[["Trace", Call, list[Labels | None]], Sequence[Labels | None]]


@dataclass(frozen=True, eq=False)
class Cut:
    """An axis of a weight whose positions belong to channels.

    Attributes:
        variable: The Keras variable.
        axis: The axis, from 0 on.
        channels: The channel of each position.
        role: "makes" where the weight computes the channels, "takes" where it reads them, "carries" where
            it holds a value for each on their way, as in BatchNormalization and depthwise kernels.
    """

    variable: Any
    axis: int
    channels: np.ndarray
    role: Role


@dataclass(eq=False)
class Trace:
    """What is known of a model's channels.

    Attributes:
        graph: The model's graph.
        channels: The channels and their ties.
        labels: By tensor, which channels it holds.
        cuts: By variable and axis, which channels lie there.
        sizes: By operation and the entry of its config that says how many channels there are.
        alike: Pairs of channels' arrays of which as many must stay.
        read: The tensors that weights read; one that several read is there several times.
    """

    graph: Graph
    channels: Channels = field(default_factory=Channels)
    labels: dict[Tensor, Labels | None] = field(default_factory=dict)
    cuts: dict[tuple[int, int], Cut] = field(default_factory=dict)
    sizes: dict[tuple[int, Any], np.ndarray] = field(default_factory=dict)
    alike: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    read: list[Tensor] = field(default_factory=list)
    _made: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def makes(self, layer: Any, count: int, slot: str = "") -> np.ndarray:
        """The channels that a layer makes: the same ones in each call of a shared layer."""
        key = (id(layer), slot)
        if key not in self._made:
            self._made[key] = self.channels.new(layer.name, int(count))
        return self._made[key]

    def cut(self, variable: Any, axis: int, channels: np.ndarray, role: Role) -> None:
        """Notes which channels lie along an axis of a weight; those of a second call are tied to the first's."""
        if variable is None:
            return
        axis %= len(variable.shape)
        known = self.cuts.setdefault((id(variable), axis), Cut(variable, axis, channels, role))
        assert len(channels) == variable.shape[axis], (variable.path, axis, len(channels))
        if known.channels is not channels:
            self.channels.tie(known.channels, channels)

    def size(self, operation: Any, entry: Any, channels: np.ndarray) -> None:
        """Notes that an entry of an operation's config says how many of these channels there are.

        Args:
            operation: The layer or operation.
            entry: The entry's name, or (name, position) for one of a sequence.
            channels: The channel of each that it counts.
        """
        known = self.sizes.setdefault((id(operation), entry), channels)
        if len(known) != len(channels):
            self.channels.freeze([*known, *channels], f"{told(operation)} is called on different lengths")
        elif known is not channels:
            self.channels.tie(known, channels)

    def stays(self, labels: Labels | np.ndarray | None, reason: str) -> None:
        """Freezes what is there."""
        if labels is not None:
            self.channels.freeze(labels.channels if isinstance(labels, Labels) else labels, reason)

    def fixed(self, tensor: Any, maker: str, reason: str) -> Labels | None:
        """New labels of a tensor's last axis, all of which stay."""
        if len(tensor.shape) < 2 or tensor.shape[-1] is None:
            return None
        channels = self.channels.new(maker, tensor.shape[-1])
        self.channels.freeze(channels, reason)
        return Labels(len(tensor.shape) - 1, channels)


def told(operation: Any) -> str:
    """An operation in words, such as "norm (LayerNormalization)"."""
    kind = type(operation).__name__
    return kind if operation.name.startswith(kind.lower()) else f"{operation.name} ({kind})"


def named(prefix: str, names: str, rule: Rule) -> dict[str, Rule]:
    """One rule for several Keras types.

    Example:
        >>> list(named("ops", "Add Subtract", frozen))
        ['ops.Add', 'ops.Subtract']
    """
    return {f"{prefix}.{name}": rule for name in names.split()}


def frozen(trace: Trace, call: Call, inputs: list[Labels | None], reason: str) -> list[Labels | None]:
    """The rule of last resort: everything that goes in stays, and so does everything that comes out."""
    for labels in inputs:
        trace.stays(labels, reason)
    return [trace.fixed(each, call.operation.name, reason) for each in call.outputs]


def traced(model: Any, rules: dict[str, Rule]) -> Trace:
    """Follows the channels of a model.

    Args:
        model: A built Functional or Sequential model.
        rules: By Keras type, such as "layers.Dense", how channels go through an operation; what has no rule
            freezes what it touches.

    Returns:
        Its channels, tied and frozen as far as the graph says; what must be equal in number, `Trace.alike`, is
        not looked at yet.

    Raises:
        ModelError: The model is not built, or is a subclassed model.
    """
    trace = Trace(flattened(model))
    for tensor in trace.graph.inputs:
        trace.labels[tensor] = trace.fixed(tensor, "input", "it is an input of the model")
    for call in map(_without_mask, trace.graph.calls):
        inputs = [trace.labels[each] for each in call.inputs]
        rule = rules.get(keras_type(call.operation))
        if rule is None or _altered(call.operation):
            outputs: Any = frozen(trace, call, inputs, f"{told(call.operation)} is not known to shrink")
        else:
            outputs = rule(trace, call, inputs)
        trace.labels.update(zip(call.outputs, outputs, strict=True))
    _tie_entries(trace)
    for labels in filter(None, (trace.labels[tensor] for tensor in trace.graph.outputs)):
        trace.channels.refreeze(labels.channels, "it is an output of the model")
    return trace


def _without_mask(call: Call) -> Call:
    """The call without Keras's mask of time steps, which has no channels."""
    kwargs = {name: value for name, value in call.kwargs.items() if name != "mask"}
    return Call(call.operation, call.args, kwargs, call.outputs)


def _tie_entries(trace: Trace) -> None:
    """A nested model that is called several times takes as many channels each time."""
    first: dict[int, Labels | None] = {}
    for origin, tensor in trace.graph.entries:
        labels, known = trace.labels[tensor], first.setdefault(id(origin), trace.labels[tensor])
        if labels is known:
            continue
        if labels is None or known is None or labels.axis != known.axis:
            trace.stays(labels, "a nested model is called with it in different ways")
            trace.stays(known, "a nested model is called with it in different ways")
        else:
            trace.channels.tie(known.channels, labels.channels)


def _altered(operation: Any) -> bool:
    """Whether a layer holds other weights than its type says."""
    return bool(getattr(operation, "lora_enabled", False) or getattr(operation, "quantization_mode", None))
