"""How channels go through MultiHeadAttention: whole heads go."""

from __future__ import annotations

from typing import Any

from tfkit.graph import Call
from tfkit_compressors.shrinking.channels import Labels
from tfkit_compressors.shrinking.trace import Rule, Trace, frozen, told
from tfkit_compressors.shrinking.weighted import Found, takes


def multi_head(trace: Trace, call: Call, inputs: Found) -> Found:
    """Reads the last axes of query, key and value; makes heads, inside, and the channels of its output.

    The heads are a group of their own that no other layer sees. A layer with one head loses
    dimensions of its values instead.
    """
    layer, weights = call.operation, _weights(call.operation)
    given = call.arguments
    read = {"query": given["query"], "value": given["value"], "key": _key(given)}
    labels = {name: trace.labels[tensor] for name, tensor in read.items()}
    plain = len(weights["attention_output/kernel"].shape) == 3 and not any(name.startswith("gate") for name in weights)
    if not plain or any(each is None or each.axis != len(read[name].shape) - 1 for name, each in labels.items()):
        return frozen(trace, call, inputs, f"{told(layer)} is not known to shrink in this form")
    for name, found in labels.items():
        assert found is not None
        takes(trace, call, weights[f"{name}/kernel"], 0, found, call.inputs.index(read[name]))
    masks = [tensor for tensor in call.inputs if tensor not in read.values()]
    for mask in masks:
        trace.stays(trace.labels[mask], f"it is a mask of {told(layer)}")
    _heads(trace, call, weights)
    output = weights["attention_output/kernel"]
    made = trace.makes(layer, output.shape[-1], "output")
    trace.cut(output, -1, made, "makes")
    trace.cut(weights.get("attention_output/bias"), 0, made, "makes")
    trace.size(layer, "output_shape", made)
    attended, *scores = call.outputs
    fixed = [trace.fixed(each, layer.name, f"{told(layer)} gives its scores") for each in scores]
    return [Labels(len(attended.shape) - 1, made), *fixed]


def _heads(trace: Trace, call: Call, weights: dict[str, Any]) -> None:
    layer = call.operation
    alone = layer.num_heads == 1
    axis, names = (2, ("value",)) if alone else (1, ("query", "key", "value"))
    heads = trace.makes(layer, layer.value_dim if alone else layer.num_heads, "inside")
    for name in names:
        trace.cut(weights[f"{name}/kernel"], axis, heads, "makes")
        trace.cut(weights.get(f"{name}/bias"), axis - 1, heads, "makes")
    trace.cut(weights["attention_output/kernel"], axis - 1, heads, "takes")
    trace.size(layer, "value_dim" if alone else "num_heads", heads)
    if len(call.outputs) > 1 and not alone:
        trace.stays(heads, f"{told(layer)} gives its scores, a matrix for each head")


def _weights(layer: Any) -> dict[str, Any]:
    """The layer's weights by the ends of their paths, such as "query/kernel"."""
    return {"/".join(each.path.split("/")[-2:]): each for each in layer.weights}


def _key(given: dict[str, Any]) -> Any:
    key = given.get("key")
    return given["value"] if key is None else key


RULES: dict[str, Rule] = {"layers.MultiHeadAttention": multi_head}
