"""The graph of a model: its calls in order, nested models taken apart, run and built anew."""

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.graph import calls, flattened, has_graph, keras_type, rebuilt, run, values

RNG = np.random.default_rng(0)


def nested():
    """Two inputs in a dict, a shared nested model, an operator and a constant."""
    keras.utils.set_random_seed(0)
    inner_input = keras.Input((4,))
    inner = keras.Model(inner_input, layers.Dense(3, name="shared")(inner_input) * 2.0, name="inner")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    joined = layers.Concatenate(name="join")([inner(left), inner(right)])
    outputs = {"sum": inner(left) + inner(right), "all": layers.Dense(2, name="head")(joined)}
    return keras.Model({"left": left, "right": right}, outputs, name="outer")


def rows():
    return {name: RNG.normal(size=(5, 4)).astype("float32") for name in ("left", "right")}


def test_nested_models_are_taken_apart_and_each_call_has_its_own_tensors():
    graph = flattened(nested())
    shared = [call for call in graph.calls if call.operation.name == "shared"]
    assert len(shared) == 4
    assert len({id(call.operation) for call in shared}) == 1
    assert len({id(call.outputs[0]) for call in shared}) == 4
    assert {call.inputs[0] for call in shared} == set(graph.inputs)
    made = set(graph.inputs)
    for call in graph.calls:  # each after what it reads from
        assert made.issuperset(call.inputs)
        made.update(call.outputs)
    assert made.issuperset(graph.outputs)
    assert [each.shape for each in graph.outputs] == [(None, 2), (None, 3)]


def test_arguments_have_the_names_of_the_operations_call():
    query, value = keras.Input((5, 8)), keras.Input((7, 8))
    attended = layers.MultiHeadAttention(2, 4)(query, key=value, value=value)
    (call,) = calls(keras.Model([query, value], attended))
    assert {name: call.arguments[name].shape[1] for name in ("query", "value", "key")} == {
        "query": 5,
        "value": 7,
        "key": 7,
    }


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


def test_a_subclassed_model_has_no_graph():
    class Hidden(keras.Model):
        def call(self, x):
            return x

    model = Hidden(name="hidden")
    model(np.zeros((1, 2)))
    assert not has_graph(model)
    with pytest.raises(tfkit.ModelError, match=r"'hidden' is a subclassed model \(Hidden\), whose graph"):
        calls(model)
    with pytest.raises(tfkit.ModelError, match="is not built"):
        flattened(keras.Sequential([layers.Dense(1)]))


def test_only_kerass_own_types_have_a_name():
    class Dense(layers.Dense):
        pass

    x = keras.Input((2,))
    model = keras.Model(x, layers.Dense(2)(x) + x)
    assert [keras_type(call.operation) for call in calls(model)] == ["layers.Dense", "ops.Add"]
    assert keras_type(Dense(1)) == ""
