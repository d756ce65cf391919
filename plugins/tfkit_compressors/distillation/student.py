"""student: a smaller model of the same make as a teacher."""

from __future__ import annotations

import math
from typing import Any

import keras

from tfkit.errors import ModelError, ParameterError
from tfkit.graph import flattened, has_graph, require_graph
from tfkit.reasons import reason
from tfkit.replay import inputs_like, run
from tfkit_compressors.distillation.blocks import left_out

# The entries of layers' configs that are widths; those of a wrapped layer or a cell are inside it.
WIDTHS = ("units", "filters", "output_dim", "key_dim", "value_dim", "head_dim", "projection_dim")
# Rates in the configs of recurrent and attention layers.
_DROPOUTS = ("dropout", "recurrent_dropout")


def student(
    teacher: Any, width: float = 0.5, depth: float = 1.0, *, multiple_of: int = 1, dropout: float = 1.0
) -> keras.Model:
    """A model like the teacher, with narrower layers and fewer blocks, freshly initialized.

    Widths are the units of Dense and recurrent layers, filters of convolutions, dimensions of embeddings and of
    attention heads. What a model ends in keeps its width. Blocks that give the shape they take, such as the later
    Dense layers, convolutions or residual blocks of one width, are left out from the end of each stage.

    Args:
        teacher: A built Functional or Sequential model; it stays as it is.
        width: Share of each width that stays, in (0, 1].
        depth: Share of the blocks of each stage that stays, in (0, 1]; a stage keeps its first one.
        multiple_of: Widths are rounded to multiples of it, and are at least that.
        dropout: Share of each dropout rate that stays, in [0, 1]: a small student has little to be kept from.

    Returns:
        A Functional model that is not compiled, its layers under the teacher's names.

    Raises:
        ParameterError: A parameter is out of its bounds.
        ModelError: The teacher is not built, is subclassed, or a layer does not go with other widths; the text
            names it.

    Example:
        >>> layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
        >>> small = student(keras.Sequential([keras.Input((20,)), *layers]), width=0.25, depth=0.5)
        >>> [layer.units for layer in small.layers[1:]]
        [16, 10]
    """
    _check(width, depth, multiple_of, dropout)
    maker = _Maker(require_graph(teacher), width, depth, multiple_of, dropout)
    made = maker.model(teacher, f"{teacher.name}_student", teacher.inputs)
    for theirs, ours in zip(teacher.outputs, made.outputs):
        if tuple(theirs.shape) != tuple(ours.shape):
            raise ModelError(
                f"a student of {teacher.name!r} at width={width} would give {tuple(ours.shape)} where the teacher "
                f"gives {tuple(theirs.shape)}: build it by hand"
            )
    return made


def start_from(learner: keras.Model, teacher: keras.Model) -> list[str]:
    """Gives a student the teacher's weights, in layers of one name whose weights have the same shapes.

    Args:
        learner: A model that `student` made, or another with layers of the same names; it is changed.
        teacher: The teacher.

    Returns:
        The names of those layers.

    Example:
        >>> layers = [keras.layers.Dense(8, name="a"), keras.layers.Dense(8, name="b"), keras.layers.Dense(2, name="c")]
        >>> teacher = keras.Sequential([keras.Input((4,)), *layers])
        >>> start_from(student(teacher, width=1.0, depth=0.5), teacher)
        ['a', 'c']
    """
    theirs = {layer.name: layer for layer in teacher.layers}
    found = []
    for layer in learner.layers:
        other = theirs.get(layer.name)
        if other is None or not layer.weights:
            continue
        if has_graph(layer) and has_graph(other):
            found += [f"{layer.name}/{name}" for name in start_from(layer, other)]
        elif [each.shape for each in layer.weights] == [each.shape for each in other.weights]:
            layer.set_weights(other.get_weights())
            found.append(layer.name)
    return found


class _Maker:
    """Makes the student of one teacher, nested models too."""

    def __init__(self, teacher: keras.Model, width: float, depth: float, multiple_of: int, dropout: float) -> None:
        self._width, self._depth, self._multiple, self._dropout = width, depth, multiple_of, dropout
        graph = flattened(teacher)
        self._sized = {id(call.operation) for call in graph.calls if _has_width(call.operation.get_config())}
        # What the outputs' widths come from.
        self._fixed = {id(call.operation) for call in graph.last(lambda call: id(call.operation) in self._sized)}
        self._clones: dict[int, Any] = {}

    def model(self, old: keras.Model, name: str, given: list[Any]) -> keras.Model:
        """The student of a model, nested or not, for inputs of the shapes of those given."""
        inside = {id(layer) for layer in old.layers if has_graph(layer)}
        dropped = left_out(old, self._depth, self._sized | inside, self._fixed)

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if id(operation) in dropped:
                return next(x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor))
            return self._called(operation, args, kwargs)

        shapes = {id(tensor): each.shape for tensor, each in zip(old.inputs, given, strict=True)}
        inputs = inputs_like(old, lambda tensor: shapes[id(tensor)])
        outputs = run(old, keras.tree.flatten(inputs), call)
        structure = (
            outputs[0] if isinstance(old, keras.Sequential) else keras.tree.pack_sequence_as(old.output, outputs)
        )
        return keras.Model(inputs, structure, name=name)

    def _called(self, operation: Any, args: Any, kwargs: Any) -> Any:
        try:
            if id(operation) not in self._clones:
                self._clones[id(operation)] = self._clone(operation, keras.tree.flatten((args, kwargs)))
            return self._clones[id(operation)](*args, **kwargs)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"{type(operation).__name__} {operation.name!r} does not go with width={self._width} and "
                f"depth={self._depth}: {reason(error)}"
            ) from error

    def _clone(self, operation: Any, given: list[Any]) -> Any:
        if has_graph(operation):
            tensors = [each for each in given if isinstance(each, keras.KerasTensor)]
            return self.model(operation, operation.name, tensors)
        config = operation.get_config()
        if id(operation) in self._sized - self._fixed:
            config = self._narrowed(config)
        config = self._with_less_dropout(config, "Dropout" in type(operation).__name__)
        if isinstance(operation, keras.layers.Reshape) and -1 not in config["target_shape"]:
            config["target_shape"] = (*config["target_shape"][:-1], -1)
        return type(operation).from_config(config)

    def _with_less_dropout(self, config: Any, is_dropout: bool = False) -> Any:
        if isinstance(config, (list, tuple)):
            return type(config)(self._with_less_dropout(each) for each in config)
        if not isinstance(config, dict):
            return config
        names = _DROPOUTS + ("rate",) * is_dropout
        return {
            key: value * self._dropout if key in names and isinstance(value, float) else self._with_less_dropout(value)
            for key, value in config.items()
        }

    def _narrowed(self, config: Any) -> Any:
        if isinstance(config, (list, tuple)):
            return type(config)(self._narrowed(each) for each in config)
        if not isinstance(config, dict):
            return config
        step = math.lcm(self._multiple, _groups(config))
        narrowed = {
            key: max(round(value * self._width / step) * step, step) if _is_width(key, value) else self._narrowed(value)
            for key, value in config.items()
        }
        if _groups(config) == 1 and config.get("groups", 1) != 1:
            narrowed["groups"] = narrowed["filters"]
        return narrowed


def _is_width(key: str, value: Any) -> bool:
    return key in WIDTHS and isinstance(value, int)


def _groups(config: dict[str, Any]) -> int:
    """What a width must be a multiple of; a convolution with a group for each filter gets as many groups as filters."""
    groups = config.get("groups") or 1
    return 1 if groups == config.get("filters") else groups


def _has_width(config: Any) -> bool:
    if isinstance(config, dict):
        return any(_is_width(key, value) or _has_width(value) for key, value in config.items())
    return isinstance(config, (list, tuple)) and any(_has_width(each) for each in config)


def _check(width: float, depth: float, multiple_of: int, dropout: float) -> None:
    for name, value in (("width", width), ("depth", depth)):
        if not 0 < value <= 1:
            raise ParameterError(f"the parameter {name!r} of student must be a float > 0 and <= 1; got {value!r}")
    if multiple_of < 1:
        raise ParameterError(f"the parameter 'multiple_of' of student must be an int >= 1; got {multiple_of!r}")
    if not 0 <= dropout <= 1:
        raise ParameterError(f"the parameter 'dropout' of student must be a float >= 0 and <= 1; got {dropout!r}")
