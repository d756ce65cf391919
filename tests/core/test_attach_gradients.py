"""Functions of gradients on an optimizer: in order, and off again without a trace."""

import keras
import numpy as np
import pytest

from tfkit.attach.gradients import add_gradient, remove_gradient


def built(optimizer, variable):
    optimizer.build([variable])
    return optimizer


@pytest.mark.parametrize("wrap", [lambda each: each, keras.optimizers.LossScaleOptimizer])
def test_functions_come_in_their_order_and_each_goes_by_itself(wrap):
    inner = keras.optimizers.SGD(1.0)
    variable, other = keras.Variable([0.0]), keras.Variable([0.0])
    optimizer = wrap(inner)
    inner.build([variable, other])
    double, add = (lambda gradient: 2 * gradient), (lambda gradient: gradient + 1)
    add_gradient(optimizer, variable, double)
    add_gradient(optimizer, variable, add)
    gradients = [keras.ops.array([3.0]), keras.ops.array([3.0])]
    inner.apply(gradients, [variable, other])
    assert (float(variable[0]), float(other[0])) == (-7.0, -3.0)
    remove_gradient(optimizer, variable, double)
    inner.apply(gradients)
    assert (float(variable[0]), float(other[0])) == (-11.0, -6.0)
    remove_gradient(optimizer, variable, add)
    assert "apply" not in vars(inner)


def test_an_apply_of_the_users_own_comes_back():
    optimizer, variable, seen = keras.optimizers.SGD(1.0), keras.Variable([0.0]), []
    optimizer.build([variable])
    usual = optimizer.apply

    def mine(grads, trainable_variables=None):
        seen.append(float(np.array(grads[0])[0]))
        return usual(grads, trainable_variables)

    optimizer.apply = mine
    double = lambda gradient: 2 * gradient  # noqa: E731
    add_gradient(optimizer, variable, double)
    optimizer.apply([keras.ops.array([3.0])])
    remove_gradient(optimizer, variable, double)
    assert optimizer.apply is mine
    optimizer.apply([keras.ops.array([3.0])])
    assert seen == [6.0, 3.0]
