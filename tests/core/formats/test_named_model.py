import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.formats.named_model import NamedModel
from tfkit.formats.signature import Signature, random_inputs


def names(model, **options):
    signature = NamedModel(model, **options).signature
    return [each.name for each in signature.inputs], [each.name for each in signature.outputs]


def sequential(*, last=None, name=None):
    return keras.Sequential([keras.Input((4,), name=name), layers.Dense(3, name=last)])


def two_by_two(as_dict):
    """Inputs and outputs whose order is not that of their names."""
    b, a = keras.Input((3,), name="b"), keras.Input((2,), name="a", dtype="int32")
    z, y = layers.Dense(2, name="z")(b), layers.Embedding(4, 3, name="y")(a)
    return keras.Model({"b": b, "a": a}, {"z": z, "y": y}) if as_dict else keras.Model([b, a], [z, y])


def test_names_of_keras_own_are_replaced_and_the_users_are_kept():
    assert names(sequential()) == (["inputs"], ["outputs"])
    assert names(sequential(name="pixels", last="scores")) == (["pixels"], ["scores"])
    assert names(two_by_two(as_dict=False)) == (["b", "a"], ["z", "y"])
    assert names(two_by_two(as_dict=True)) == (["b", "a"], ["z", "y"])


def test_several_without_a_name_are_numbered():
    left, right = keras.Input((2,)), keras.Input((2,))
    model = keras.Model(
        [left, right], [layers.Dense(1)(left), layers.Dense(1, name="kept")(right), layers.Dense(1)(right)]
    )
    assert names(model) == (["inputs_1", "inputs_2"], ["outputs_1", "kept", "outputs_3"])


def test_a_name_that_a_signature_cannot_hold_is_made_one():
    assert names(sequential(name="pixel values", last="a-b")) == (["pixel_values"], ["a_b"])


@pytest.mark.parametrize("given", ["x", ["x"], {"pixels": "x"}])
def test_names_that_are_given(given):
    assert names(sequential(name="pixels"), inputs=given, outputs="y") == (["x"], ["y"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"inputs": ["x", "y"]}, r"inputs= must name 1 \(pixels\); got 2"),
        ({"outputs": {"scores": "x"}}, "renames 'scores', but the model's outputs are: outputs"),
        ({"outputs": "two words"}, "letters, digits and underscores; got 'two words'"),
        ({"inputs": ["self"]}, "got 'self'"),
        ({"inputs": [3]}, "got 3"),
    ],
)
def test_names_that_do_not_fit(options, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        NamedModel(sequential(name="pixels"), **options)


def test_equal_names_are_refused():
    with pytest.raises(tfkit.ParameterError, match="names that differ"):
        NamedModel(two_by_two(as_dict=False), outputs=["x", "x"])


def test_a_subclassed_model_is_described_by_what_it_was_called_on_or_by_rows():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return {"sum": self.dense(x["left"]), "ids": x["right"]}

    model = Pair()
    rows = {"left": np.ones((2, 3)), "right": np.ones((2, 4), "int64")}
    model({"left": np.ones((2, 3), "float32"), "right": np.ones((2, 4), "float32")})
    assert [each.dtype for each in NamedModel(model).signature.inputs] == ["float32", "float32"]
    signature = NamedModel(model, sample=rows).signature
    assert [(each.name, each.dtype, each.shape) for each in signature.inputs + signature.outputs] == [
        ("left", "float32", (None, 3)),
        ("right", "int64", (None, 4)),
        ("sum", "float32", (None, 2)),
        ("ids", "int64", (None, 4)),
    ]


@pytest.mark.parametrize("as_dict", [True, False])
def test_outputs_are_the_models_whatever_the_order_of_the_names(as_dict):
    model = two_by_two(as_dict)
    named = NamedModel(model, inputs=["x", "w"], outputs=["v", "u"])
    b, a = np.random.default_rng(0).random((5, 3), "float32"), np.arange(10, dtype="int32").reshape(5, 2) % 4
    wanted = model({"b": b, "a": a} if as_dict else [b, a])
    found = named({"x": b, "w": a})
    np.testing.assert_array_equal(found["v"], wanted["z"] if as_dict else wanted[0])
    np.testing.assert_array_equal(found["u"], wanted["y"] if as_dict else wanted[1])


def test_rows_in_any_form_become_arrays_by_name():
    b, a = np.ones((5, 3)), np.ones((5, 2), "int64")
    by_key = NamedModel(two_by_two(as_dict=True), inputs={"b": "x"}).arrange({"a": a, "b": b, "unused": a})
    assert list(by_key) == ["x", "a"]
    assert [array.dtype.name for array in by_key.values()] == ["float32", "int32"]
    listed = NamedModel(two_by_two(as_dict=False), inputs=["x", "w"])
    for rows in ([b, a], (b, a), {"x": b, "w": a}):
        assert {name: array.shape for name, array in listed.arrange(rows).items()} == {"x": (5, 3), "w": (5, 2)}


def test_one_input_in_a_list_takes_an_array_too():
    x = keras.Input((2,), name="x")
    model = NamedModel(keras.Model([x], [layers.Dense(1)(x)]))
    for rows in (np.ones((3, 2)), [np.ones((3, 2))], {"x": np.ones((3, 2))}):
        assert model.arrange(rows)["x"].shape == (3, 2)


def test_strings_and_flat_columns():
    model = keras.Sequential([keras.Input((1,), dtype="string", name="text"), layers.StringLookup(vocabulary=["a"])])
    rows = NamedModel(model).arrange(np.array(["a", "é", b"\xff"], object))["text"]
    assert rows.shape == (3, 1)
    assert rows[2, 0] == b"\xff"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (np.ones((2, 5)), r"'inputs' must have the shape \(None, 4\); got \(2, 5\)"),
        (np.array([["a"] * 4]), "must be of dtype float32; got <U1"),
        (np.ones((0, 4)), "needs one row or more"),
        ([np.ones((2, 4)), np.ones((2, 4))], "holds 2 inputs where the model takes one"),
    ],
)
def test_rows_that_do_not_fit(rows, told):
    with pytest.raises(tfkit.DataError, match=told):
        NamedModel(sequential()).arrange(rows)


def test_rows_that_do_not_fit_several_inputs():
    model = NamedModel(two_by_two(as_dict=True))
    with pytest.raises(tfkit.DataError, match="a dict with the keys b, a; got keys b"):
        model.arrange({"b": np.ones((2, 3))})
    with pytest.raises(tfkit.DataError, match="'b' has 2, 'a' has 3"):
        model.arrange({"b": np.ones((2, 3)), "a": np.ones((3, 2), int)})
    with pytest.raises(tfkit.DataError, match="'a' must be of dtype int32; got float64"):
        model.arrange({"b": np.ones((2, 3)), "a": np.ones((2, 2))})
    with pytest.raises(tfkit.DataError, match="a list of 2 inputs; got a ndarray"):
        NamedModel(two_by_two(as_dict=False)).arrange(np.ones((2, 3)))


def test_a_model_that_cannot_be_described():
    with pytest.raises(tfkit.ModelError, match="not built"):
        NamedModel(keras.Sequential([layers.Dense(1)]))
    fixed = keras.Sequential([keras.Input(batch_shape=(2, 3)), layers.Lambda(lambda x: x + np.ones((2, 3)))])
    assert NamedModel(fixed).signature.inputs[0].shape == (None, 3)
    sparse = keras.Input((4,), sparse=True, name="wide")
    with pytest.raises(tfkit.ModelError, match="'wide' is a sparse"):
        NamedModel(keras.Model(sparse, layers.Dense(2)(sparse)))


def test_random_input_has_the_signatures_shapes_and_dtypes():
    signature = NamedModel(two_by_two(as_dict=True)).signature
    made = random_inputs(signature, rows=3)
    assert made["b"].shape == (3, 3)
    assert made["b"].dtype == "float32"
    assert made["a"].dtype == "int32"
    assert set(np.unique(made["a"])) <= {0, 1}
    text = Signature.from_dict({"inputs": [{"name": "t", "dtype": "string", "shape": [None, None]}], "outputs": []})
    assert random_inputs(text, text="word")["t"].shape == (4, 32)
    with pytest.raises(tfkit.DataError, match="'t' takes strings"):
        random_inputs(text)
