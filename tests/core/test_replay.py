"""A model's graph run on other values, and built anew over other operations."""

import keras
import numpy as np
import pytest
from graph_models import nested, rows
from keras import layers

import tfkit
from tfkit.graph import flattened
from tfkit.replay import rebuilt, run, values


def test_run_computes_what_the_model_computes():
    model, x = nested(), rows()
    found = run(model, [x["left"], x["right"]], lambda operation, *args, **kwargs: operation(*args, **kwargs))
    expected = model(x)
    np.testing.assert_allclose(found[0], expected["all"], atol=1e-6)
    np.testing.assert_allclose(found[1], expected["sum"], atol=1e-6)


def test_rebuilt_keeps_type_names_and_nests():
    for model in (nested(), keras.Sequential([keras.Input((4,), name="x"), layers.Dense(2, name="d")], name="net")):
        made = {}

        def once(operation, made=made):
            if operation not in made:
                made[operation] = clone(operation)
            return made[operation]

        again = rebuilt(model, once)
        again.set_weights(model.get_weights())
        assert (type(again), again.name) == (type(model), model.name)
        assert [each.name for each in again.layers] == [each.name for each in model.layers]
        assert all(one is not other for one, other in zip(again.layers, model.layers))
        x = rows()["left"] if isinstance(model, keras.Sequential) else rows()
        keras.tree.map_structure(np.testing.assert_array_equal, again(x), model(x))


class Trained(keras.Model):
    """A Functional model with something of its own."""


class Sized(keras.Model):
    def __init__(self, size, **kwargs):
        x = keras.Input((size,))
        super().__init__(x, layers.Dense(2)(x), **kwargs)


def clone(operation):
    return type(operation).from_config(operation.get_config())


def test_a_class_of_ones_own_is_kept_or_refused_by_name():
    x = keras.Input((4,), name="x")
    again = rebuilt(Trained(x, layers.Dense(2)(x), name="net"), clone)
    assert (type(again), again.name, again.input.name) == (Trained, "net", "x")
    with pytest.raises(tfkit.ModelError, match="'net' cannot be made anew, since Sized takes other arguments"):
        rebuilt(Sized(4, name="net"), clone)


def test_values_are_those_of_every_tensor():
    model, x = nested(), rows()
    graph = flattened(model)
    found = dict(values(graph, [x["left"], x["right"]]))
    assert set(found) == {*graph.inputs, *(tensor for call in graph.calls for tensor in call.outputs)}
    np.testing.assert_allclose(found[graph.outputs[1]], model(x)["sum"], atol=1e-6)
