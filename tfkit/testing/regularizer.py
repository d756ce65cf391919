"""Checks of regularizers and constraints: their values, their gradients, and one fit."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfkit.registry import Plugin
from tfkit.testing.examples import make, require, workable
from tfkit.testing.tiny import carried, classifier, data, require_finite, require_nothing_left

if TYPE_CHECKING:
    import numpy as np


def penalty_is_a_scalar(plugin: Plugin) -> None:
    """A regularizer gives a finite scalar, at least 0, for matrices of zeros, of large and of random values."""
    import numpy as np

    for example, part in _parts(plugin, "Regularizer"):
        for weights in _matrices():
            penalty = np.asarray(part(weights))
            told = f"{dict(example)} gives the penalty {penalty!r}"
            require(penalty.shape == () and np.isfinite(penalty) and penalty >= 0, told)


def gradient_is_finite(plugin: Plugin) -> None:
    """The penalty's gradient is finite, at zero too."""
    import numpy as np
    import tensorflow as tf

    for example, part in _parts(plugin, "Regularizer"):
        for weights in _matrices():
            variable = tf.Variable(weights)
            with tf.GradientTape() as tape:
                penalty = part(variable)
            gradient = tape.gradient(penalty, variable)
            found = None if gradient is None else np.asarray(tf.convert_to_tensor(gradient))
            told = f"{dict(example)} has the gradient {found} at weights whose largest is {np.abs(weights).max():.3g}"
            require(found is not None and np.isfinite(found).all(), told)


def constraint_keeps_the_shape(plugin: Plugin) -> None:
    """A constraint gives finite values of the shape and type that it was given, in float16 too."""
    import numpy as np
    import tensorflow as tf

    for example, part in _parts(plugin, "Constraint"):
        for weights in _matrices():
            for dtype in ("float32", "float16"):
                given = tf.constant(weights, dtype)
                kept = tf.convert_to_tensor(part(given))
                told = f"{dict(example)} makes {kept.dtype.name} {tuple(kept.shape)} of {dtype} {weights.shape}"
                require((kept.shape, kept.dtype) == (given.shape, given.dtype), told)
                require(np.isfinite(kept.numpy()).all(), f"{dict(example)} makes NaN or infinity of {dtype} weights")


def acts_in_one_fit(plugin: Plugin) -> None:
    """Installed by `tfkit.callback` it adds its penalty to the loss of that fit, and leaves nothing behind."""
    import numpy as np

    from tfkit.factory import callback

    for example in workable(plugin)[:1]:
        model = classifier()
        before = carried(model)
        installed = callback("regularizer", f"{plugin.distribution}/{plugin.name}", **example)
        added = _penalty(make(plugin, example), model)
        history = _one_step(model, installed)
        require_finite(model, f"after a fit with {dict(example)}")
        require_nothing_left(before, carried(model))
        expected = _loss_without() + added
        told = f"the loss of a fit with it is {history:.6f}; without it and with its penalty it is {expected:.6f}"
        require(np.isclose(history, expected, rtol=1e-4), told)


def _parts(plugin: Plugin, family: str) -> Iterator[tuple[Any, Any]]:
    """The examples that make a "Regularizer" or a "Constraint", with what they make."""
    import keras

    wanted = {"Regularizer": keras.regularizers.Regularizer, "Constraint": keras.constraints.Constraint}[family]
    for example in workable(plugin):
        part = make(plugin, example)
        if isinstance(part, wanted):
            yield example, part


def _matrices() -> list[np.ndarray]:
    import numpy as np

    normal = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    return [normal, 100 * normal, np.zeros_like(normal)]


def _penalty(part: Any, model: Any) -> float:
    """The sum of a regularizer's penalties on the kernels; 0 for a constraint."""
    import keras

    if isinstance(part, keras.constraints.Constraint):
        return 0.0
    return sum(float(part(layer.kernel)) for layer in model.layers)


@functools.cache
def _loss_without() -> float:
    return _one_step(classifier())


def _one_step(model: Any, *callbacks: Any) -> float:
    """The loss of one batch, as it was before the batch changed the weights."""
    x, y = data().train
    history = model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0, callbacks=list(callbacks))
    return float(history.history["loss"][0])


CHECKS = (penalty_is_a_scalar, gradient_is_finite, constraint_keeps_the_shape, acts_in_one_fit)
