"""hypermodel: depth, width and kind of block as hyperparameters of a search, and the Keras model they make."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfkit.errors import ParameterError
from tfkit.parameters import Ge, Lt, Parameter, suggest

if TYPE_CHECKING:
    import keras

Block = Callable[[Any, int], Any]


def hypermodel(
    hp: Any,
    input_shape: Sequence[int],
    classes: int,
    *,
    kinds: Sequence[str] | None = None,
    depth: tuple[int, int] = (1, 4),
    width: tuple[int, int] = (16, 128),
    dropout: float = 0.5,
    activation: str | None = None,
    prefix: str = "",
) -> keras.Model:
    """Builds a model whose kind of block, number of blocks and width of each are drawn; you compile it.

    "dense" is a dense layer; "convolution", "separable" (Chollet, CVPR 2017) and "residual" (He et al., CVPR 2016)
    are followed by batch normalization, and halve the resolution while it is at least 8. On rows of features
    "residual" is of two dense layers. Images and sequences are averaged over their places before the last layer.

    The hyperparameters are "kind" (where there are several), "depth", "width_0", "width_1", … and "dropout". A width is
    `width[0]` times a power of two, and exists only where the model is deep enough.

    Args:
        hp: KerasTuner's hyperparameters.
        input_shape: Of one row: (features,), (steps, channels) or (height, width, channels).
        classes: Outputs; 1 is a sigmoid, more are a softmax.
        kinds: Kinds of block to choose from; None for all that suit the shape.
        depth: Least and largest number of blocks.
        width: Least and largest number of units or channels of a block.
        dropout: Largest rate of dropout before the last layer, in steps of a tenth; 0 for none.
        activation: Of the last layer instead, such as "linear".
        prefix: What the hyperparameters' names begin with.

    Returns:
        A functional model, not compiled.

    Raises:
        ParameterError: A kind is unknown or does not suit the shape, or a number is out of its bounds.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> hypermodel(hp, (8,), 3, depth=(1, 2), width=(4, 16)).output_shape
        (None, 3)
        >>> hp.values
        {'kind': 'dense', 'depth': 1, 'width_0': 4, 'dropout': 0.0}
    """
    import keras

    input_shape = _shape(input_shape)
    suited = _blocks(len(input_shape))
    Parameter("dropout", float, (Ge(0), Lt(1))).checked(dropout, owner="hypermodel")
    kinds = list(suited) if kinds is None else list(kinds)
    _check(input_shape, kinds, suited, depth=depth, width=width, classes=(1, classes))
    kind = hp.Choice(f"{prefix}kind", kinds) if len(kinds) > 1 else kinds[0]
    inputs = outputs = keras.Input(tuple(input_shape))
    for units in _widths(hp, depth, width, prefix):
        outputs = suited[kind](outputs, units)
    if len(input_shape) > 1:
        outputs = _layer("GlobalAveragePooling", len(input_shape) - 1)()(outputs)
    if dropout:
        rate = hp.Float(f"{prefix}dropout", 0.0, dropout, step=0.1)
        outputs = keras.layers.Dropout(rate)(outputs)
    last = activation or ("sigmoid" if classes == 1 else "softmax")
    return keras.Model(inputs, keras.layers.Dense(classes, last)(outputs))


def _widths(hp: Any, depth: tuple[int, int], width: tuple[int, int], prefix: str) -> list[int]:
    """The width of each block; those of blocks that there are not exist as hyperparameters of a closed scope."""
    count = hp.Int(f"{prefix}depth", *depth)
    found = []
    for block in range(depth[1]):
        with hp.conditional_scope(f"{prefix}depth", _deeper(block, depth)):
            found.append(hp.Int(f"{prefix}width_{block}", *width, step=2, sampling="log"))
    return found[:count]


def _deeper(block: int, depth: tuple[int, int]) -> list[int]:
    """The depths at which there is a block of this number."""
    return [each for each in range(depth[0], depth[1] + 1) if each > block]


def _blocks(rank: int) -> Mapping[str, Block]:
    """The kinds of block for inputs of so many axes."""
    if rank == 1:
        return {"dense": _dense, "residual": _residual_dense}
    if rank in (2, 3):
        return {
            "convolution": lambda x, units: _shrunk(_normalized(_convolution(x, units))),
            "separable": lambda x, units: _shrunk(_normalized(_convolution(x, units, "SeparableConv"))),
            "residual": lambda x, units: _shrunk(_residual(x, units)),
        }
    return {}


def _dense(x: Any, units: int) -> Any:
    import keras

    return keras.layers.Dense(units, "relu")(x)


def _residual_dense(x: Any, units: int) -> Any:
    import keras

    inner = keras.layers.Dense(units)(_dense(x, units))
    short = x if x.shape[-1] == units else keras.layers.Dense(units, use_bias=False)(x)
    return keras.layers.ReLU()(keras.layers.Add()([inner, short]))


def _residual(x: Any, units: int) -> Any:
    import keras

    inner = _convolution(_normalized(_convolution(x, units)), units)
    inner = keras.layers.BatchNormalization()(inner)
    short = x if x.shape[-1] == units else _convolution(x, units, size=1)
    return keras.layers.ReLU()(keras.layers.Add()([inner, short]))


def _convolution(x: Any, units: int, name: str = "Conv", size: int = 3) -> Any:
    return _layer(name, len(x.shape) - 2)(units, size, padding="same", use_bias=False)(x)


def _normalized(x: Any) -> Any:
    import keras

    return keras.layers.ReLU()(keras.layers.BatchNormalization()(x))


def _shrunk(x: Any) -> Any:
    """Half the resolution, where there is enough of it and it is known."""
    places = x.shape[1:-1]
    if any(each is None or each < 8 for each in places):
        return x
    return _layer("MaxPooling", len(places))()(x)


def _layer(name: str, axes: int) -> Any:
    import keras

    return getattr(keras.layers, f"{name}{axes}D")


def _shape(given: Any) -> tuple[Any, ...]:
    try:
        found = tuple(given)
        if all(each is None or operator.index(each) > 0 for each in found):
            return found
    except TypeError:
        pass
    raise ParameterError(
        f"the parameter 'input_shape' of hypermodel must be whole numbers, such as (features,); got {given!r}"
    )


def _check(
    input_shape: Sequence[int], kinds: Sequence[str], suited: Mapping[str, Block], **pairs: tuple[int, int]
) -> None:
    if not suited:
        raise ParameterError(
            "the parameter 'input_shape' of hypermodel must be (features,), (steps, channels) or "
            f"(height, width, channels); got {tuple(input_shape)}"
        )
    for kind in kinds:
        if kind not in suited:
            raise ParameterError(
                f"hypermodel has no kind {kind!r} for the input shape {tuple(input_shape)}{suggest(str(kind), suited)}"
            )
    if not kinds or len(set(kinds)) < len(kinds):
        raise ParameterError(f"the parameter 'kinds' of hypermodel must be different kinds; got {kinds}")
    for name, pair in pairs.items():
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise ParameterError(f"the parameter {name!r} of hypermodel must be (least, largest); got {pair!r}")
        low, high = pair
        parameter = Parameter(name, int, (Ge(1),))
        if parameter.checked(low, owner="hypermodel") > parameter.checked(high, owner="hypermodel"):
            raise ParameterError(f"the parameter {name!r} of hypermodel must be (least, largest); got {(low, high)}")
