"""The graph of a model: its calls in order, nested models taken apart."""

import keras
import numpy as np
import pytest
from graph_models import nested
from keras import layers

import tfkit
from tfkit.graph import calls, flattened, has_graph, keras_type


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


def test_makers_and_readers_are_those_of_each_call():
    graph = flattened(nested())
    assert set(graph.makers) == {tensor for call in graph.calls for tensor in call.outputs}
    for call in graph.calls:
        assert all(graph.makers[tensor] is call for tensor in call.outputs)
        assert all(call in graph.readers[tensor] for tensor in call.inputs)
    assert [len(graph.readers[tensor]) for tensor in graph.inputs] == [2, 2]
    assert [graph.readers[tensor] for tensor in graph.outputs] == [[], []]


def test_a_call_that_reads_a_tensor_twice_is_one_reader():
    x = keras.Input((2,))
    graph = flattened(keras.Model(x, layers.Multiply(name="square")([x, x])))
    assert [call.operation.name for call in graph.readers[graph.inputs[0]]] == ["square"]


def test_the_last_calls_are_those_before_each_output():
    graph = flattened(nested())
    found = graph.last(lambda call: isinstance(call.operation, layers.Dense))
    assert sorted(call.operation.name for call in found) == ["head", "shared", "shared"]


def test_arguments_have_the_names_of_the_operations_call():
    query, value = keras.Input((5, 8)), keras.Input((7, 8))
    attended = layers.MultiHeadAttention(2, 4)(query, key=value, value=value)
    (call,) = calls(keras.Model([query, value], attended))
    assert {name: call.arguments[name].shape[1] for name in ("query", "value", "key")} == {
        "query": 5,
        "value": 7,
        "key": 7,
    }


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
