"""Keras 2's configurations of models, as an .h5 file holds them, in the words of Keras 3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfkit.formats.keras2_layers import Config, modern_input, modern_layer

_MODELS = ("Sequential", "Functional", "Model")
# As Keras 3 writes it.
_IN_KERAS_3 = {"module": "keras.src.models.functional", "registered_name": "Functional"}


def modern_model(config: Config) -> Config:
    """A model's configuration as Keras 3 reads it.

    Keras 3 takes the input shape that an old Sequential's first layer holds, batch dimension and all,
    for that of one row; calls Model what it makes of an old Functional; and counts the calls of nested
    models from 0, where Keras 2 began at 1.

    Args:
        config: What `model_config` of the file holds.

    Raises:
        ModelError: There is a layer in it that Keras 3 has not; the text names it.

    Example:
        >>> first = {"class_name": "Dense", "config": {"name": "out", "units": 2, "batch_input_shape": [None, 4]}}
        >>> made = modern_model({"class_name": "Sequential", "config": {"name": "net", "layers": [first]}})
        >>> [(each["class_name"], each["config"]["name"]) for each in made["config"]["layers"]]
        [('InputLayer', 'out_input'), ('Dense', 'out')]
    """
    if config["class_name"] == "Sequential":
        return _sequential(config)
    if config["class_name"] in ("Functional", "Model"):
        return _functional(config)
    return config


def input_shapes(config: Config) -> list[list[int | None]]:
    """The shapes of the inputs that a configuration from `modern_model` asks for, batch first."""
    if "layers" not in config["config"]:
        return []
    shapes = {
        each["config"].get("name"): each["config"].get("batch_shape")
        for each in config["config"]["layers"]
        if each["class_name"] == "InputLayer"
    }
    if config["class_name"] == "Sequential":
        return [shape for shape in shapes.values() if shape]
    return [shapes[each[0]] for each in _references(config["config"].get("input_layers")) if shapes.get(each[0])]


def _sequential(config: Config) -> Config:
    # Until Keras 2.2.3 the configuration was the list itself.
    own = {"layers": config["config"]} if isinstance(config["config"], list) else dict(config["config"])
    given = own["layers"]
    layers = [_layer(each) for each in given]
    shape = given[0]["config"].get("batch_input_shape") if given else None
    if shape and given[0]["class_name"] != "InputLayer" and given[0]["class_name"] not in _MODELS:
        layers.insert(0, _input_before(given[0]["config"]))
    own.pop("build_input_shape", None)
    return {**config, "config": {**own, "layers": layers}}


def _input_before(first: Config) -> Config:
    ids = "input_dim" in first and "output_dim" in first
    dtype = "float32" if ids or not isinstance(first.get("dtype"), str) else first["dtype"]
    name = f"{first['name']}_input"
    return {
        "class_name": "InputLayer",
        "config": {"name": name, "dtype": dtype, "batch_shape": first["batch_input_shape"]},
    }


def _functional(config: Config) -> Config:
    own = dict(config["config"])
    first_calls = _first_calls(own)
    layers = []
    for each in own["layers"]:
        made = _layer(each)
        made["inbound_nodes"] = [_node(node, first_calls) for node in each.get("inbound_nodes", [])]
        layers.append(made)
    sequential = {each["name"] for each in layers if each["class_name"] == "Sequential"}
    # Keras 3 counts a nested Functional model's calls from 1 where they are outputs, and a Sequential's from 0.
    outputs = {name: first for name, first in first_calls.items() if name in sequential}
    own["layers"] = layers
    own["input_layers"] = _single(own["input_layers"])
    own["output_layers"] = _single(_shifted(own["output_layers"], outputs))
    return {**config, "class_name": "Functional", "config": own}


def _single(tensors: Any) -> Any:
    """A list of one tensor as the tensor: Keras 2 took and gave it without the list."""
    return tensors[0] if isinstance(tensors, list) and len(tensors) == 1 else tensors


def _layer(layer: Config) -> Config:
    if layer["class_name"] in _MODELS and "config" in layer:
        return modern_model(layer)
    if layer["class_name"] == "InputLayer":
        return {**layer, "config": modern_input(layer["config"])}
    return modern_layer(layer, _inside)


def _inside(layer: Config) -> Config:
    """The entry of what a wrapper or a recurrent layer holds, which Keras 3 finds by its module."""
    made = _layer(layer)
    return {**made, **_IN_KERAS_3} if made["class_name"] == "Functional" else made


def _first_calls(own: Config) -> dict[str, int]:
    """The number of the first call of each nested model, by its name."""
    nested = {each["name"] for each in own["layers"] if each["class_name"] in _MODELS}
    nodes = [each.get("inbound_nodes", []) for each in own["layers"]]
    found: dict[str, int] = {}
    for name, call, _ in _references([nodes, own["output_layers"]]):
        if name in nested:
            found[name] = min(call, found.get(name, call))
    return found


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """The tensors that a configuration names: (layer, number of its call, number of its output)."""
    if isinstance(value, dict):
        value = list(value.values())
    if _is_reference(value):
        yield value[0], value[1], value[2]
        value = value[3:]
    for each in value if isinstance(value, list) else ():
        yield from _references(each)


def _is_reference(value: Any) -> bool:
    is_list = isinstance(value, list) and len(value) in (3, 4)
    return is_list and isinstance(value[0], str) and isinstance(value[1], int) and isinstance(value[2], int)


def _shifted(value: Any, first_calls: dict[str, int]) -> Any:
    if isinstance(value, dict):
        return {key: _shifted(each, first_calls) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if not _is_reference(value):
        return [_shifted(each, first_calls) for each in value]
    return [value[0], value[1] - first_calls.get(value[0], 0), value[2], *_shifted(value[3:], first_calls)]


def _node(node: Any, first_calls: dict[str, int]) -> Any:
    """One call: Keras 3 does not look for tensors among old keyword arguments, such as attention's value."""
    node = _shifted(node, first_calls)
    if not isinstance(node, list) or not any(_is_reference(each) for each in node):
        return node
    kwargs = {key: value for each in node if len(each) == 4 for key, value in each[3].items()}
    if not any(_is_reference(value) for value in kwargs.values()):
        return node
    args = [_tensor(each) for each in node]
    named = {
        key: _tensor(_shifted(value, first_calls)) if _is_reference(value) else value for key, value in kwargs.items()
    }
    return {"args": args if len(args) == 1 else [args], "kwargs": named}


def _tensor(reference: list[Any]) -> Config:
    # Keras finds the tensor by its history; shape and dtype are not read.
    history = {"shape": [None], "dtype": "float32", "keras_history": reference[:3]}
    return {"class_name": "__keras_tensor__", "config": history}
