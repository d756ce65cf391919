"""Names for the inputs and outputs of a model: those given, else the model's own, else numbered ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tfkit.errors import ParameterError
from tfkit.nests import leaves

Names: TypeAlias = "str | Sequence[str] | Mapping[str, str] | None"

# A word that is a Python argument's name and survives TensorFlow's own renaming of arguments.
_NAME = re.compile(r"(?!self$)[A-Za-z][A-Za-z0-9_]*")
# What Keras calls the tensors and input layers that the user gave no name.
_UNNAMED = re.compile(r"(keras_tensor|input_layer)(_\d+)?")


def input_names(structure: Any) -> list[str | None]:
    """The keys of a dict, else what the user called the input layers; None for each that has no name."""
    if isinstance(structure, dict):
        return _paths(structure)
    names = [getattr(leaf, "name", None) for leaf in leaves(structure)]
    return [None if name is None or _UNNAMED.fullmatch(name) else name for name in names]


def output_names(model: Any, given: Any) -> list[str | None]:
    """The keys of a dict, else what the user called the layers that give the outputs; None where there is no name."""
    import keras

    if isinstance(given, dict):
        return _paths(given)
    count = len(leaves(given))
    if isinstance(model, keras.Sequential):
        return [_layer_name(model.layers[-1])]
    names = getattr(model, "output_names", ())
    if len(names) != count:
        return [None] * count
    operations = {operation.name: operation for operation in model.operations}
    return [_layer_name(operations[name]) for name in names]


def _layer_name(layer: Any) -> str | None:
    """The layer's name, or None where Keras made it from the class's, such as "dense_3"."""
    plain = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    return None if plain == type(layer).__name__.lower() else layer.name


def _paths(structure: Any, path: tuple[str, ...] = ()) -> list[str | None]:
    """A name for each leaf below a dict: its key, joined with keys and positions further down."""
    if isinstance(structure, dict):
        return [name for key, value in structure.items() for name in _paths(value, (*path, str(key)))]
    if isinstance(structure, (tuple, list)):
        return [name for at, value in enumerate(structure, 1) for name in _paths(value, (*path, str(at)))]
    return ["_".join(path)]


def chosen_names(what: str, own: list[str | None], given: Names) -> list[str]:
    """The names to use.

    Args:
        what: "inputs" or "outputs", for numbered names and for an error's text.
        own: The model's own names, None where there is none.
        given: Names to use instead: one, several in the model's order, or {the model's name: new name}.

    Raises:
        ParameterError: Names of the wrong number or form, unknown, or equal.

    Example:
        >>> chosen_names("outputs", ["scores", None], None)
        ['scores', 'outputs_2']
        >>> chosen_names("inputs", ["image"], "pixels")
        ['pixels']
    """
    names = _numbered(what, own)
    if isinstance(given, Mapping):
        unknown = sorted(given.keys() - set(names))
        if unknown:
            raise ParameterError(f"{what}= renames {unknown[0]!r}, but the model's {what} are: {', '.join(names)}")
        names = [given.get(name, name) for name in names]
    elif given is not None:
        wanted = [given] if isinstance(given, str) else list(given)
        if len(wanted) != len(names):
            raise ParameterError(f"{what}= must name {len(names)} ({', '.join(names)}); got {len(wanted)}: {wanted}")
        names = wanted
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ParameterError(f"{what}= must be names of letters, digits and underscores; got {name!r}")
    if len(set(names)) < len(names):
        raise ParameterError(f"{what}= must be names that differ; got {names}")
    return names


def _numbered(what: str, own: list[str | None]) -> list[str]:
    """The model's own names in a form that a signature can hold; numbered where there is none or it comes twice."""
    names: list[str] = []
    for position, name in enumerate(own, 1):
        plain = re.sub(r"\W", "_", name or "", flags=re.ASCII)
        if not _NAME.fullmatch(plain) or plain in names:
            plain = what if len(own) == 1 else f"{what}_{position}"
        names.append(plain)
    return names
