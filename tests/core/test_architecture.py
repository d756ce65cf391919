"""hypermodel: the models that its space makes."""

import keras
import keras_tuner
import numpy as np
import pytest

import tfkit


def make(shape, classes=3, values=None, **options):
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values or {})
    return tfkit.hypermodel(hp, shape, classes, **options), hp


def names(model):
    return [type(layer).__name__ for layer in model.layers]


def test_widths_that_there_are_not_do_not_exist():
    for depth in (1, 2, 3):
        values = {"kind": "dense", "depth": depth, **{f"width_{block}": 8 for block in range(depth)}}
        model, hp = make((5,), values=values, depth=(1, 3), width=(4, 16), dropout=0.0)
        assert hp.values == values
        assert names(model) == ["InputLayer", *["Dense"] * (depth + 1)]
        assert [layer.units for layer in model.layers[1:]] == [8] * depth + [3]
    conditions = {each.name: each.conditions for each in hp.space}
    assert [each.values for each in conditions["width_1"]] == [[2, 3]]
    assert [each.values for each in conditions["width_0"]] == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("shape", "kind", "inside"),
    [
        ((6,), "residual", {"Dense", "Add"}),
        ((16, 2), "convolution", {"Conv1D", "MaxPooling1D", "GlobalAveragePooling1D"}),
        ((None, 2), "separable", {"SeparableConv1D", "GlobalAveragePooling1D"}),
        ((16, 16, 1), "separable", {"SeparableConv2D", "MaxPooling2D", "GlobalAveragePooling2D"}),
        ((9, 8, 3), "residual", {"Conv2D", "Add", "BatchNormalization", "MaxPooling2D"}),
    ],
)
def test_kinds_of_block(shape, kind, inside):
    model, _ = make(shape, values={"kind": kind, "depth": 2, "width_0": 4, "width_1": 8}, width=(4, 8), depth=(1, 2))
    assert inside <= set(names(model))
    rows = np.zeros((2, *(each or 5 for each in shape)), "float32")
    outputs = np.asarray(model(rows))
    assert outputs.shape == (2, 3)
    assert outputs.sum(axis=1) == pytest.approx([1, 1])


def test_the_last_layer_and_the_names_are_as_asked():
    model, hp = make((4,), 1, kinds=["dense"], prefix="net/")
    assert model.layers[-1].activation is keras.activations.sigmoid
    assert list(hp.values) == ["net/depth", "net/width_0", "net/dropout"]
    model, _ = make((4,), 2, activation="linear")
    assert model.layers[-1].activation is keras.activations.linear


def test_it_is_searched():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype("float32")
    data = tfkit.Data((x[:32], x[:32, 0] > 0), (x[32:], x[32:, 0] > 0), batch_size=16)

    def build(hp):
        model = tfkit.hypermodel(hp, (4,), 1, depth=(1, 2), width=(2, 4))
        model.compile("adam", "binary_crossentropy", run_eagerly=True)
        return model

    result = tfkit.search(build, data, searcher="grid", objective="val_loss", trials=2)
    assert {trial.status for trial in result.trials} == {"COMPLETED"}
    assert [trial.values for trial in result.trials] == [
        {"kind": "dense", "depth": 1, "width_0": 2, "dropout": rate} for rate in (0.0, 0.1)
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (
            ((4,), 2),
            {"kinds": ["convolution"]},
            r"no kind 'convolution' for the input shape \(4,\); there are: dense, res",
        ),
        (((8, 8, 3), 2), {"kinds": ["seperable"]}, "did you mean 'separable'"),
        (((8, 8, 8, 3), 2), {}, "'input_shape' of hypermodel must be"),
        (((4,), 2), {"kinds": []}, "'kinds' of hypermodel must be different kinds"),
        (((4,), 2), {"depth": (3, 1)}, r"'depth' of hypermodel must be \(least, largest\); got \(3, 1\)"),
        (((4,), 2), {"width": (0, 1)}, "'width' of hypermodel must be an int >= 1; got 0"),
        ((8, 2), {}, r"'input_shape' of hypermodel must be whole numbers, such as \(features,\); got 8"),
        ((("4",), 2), {}, "'input_shape' of hypermodel must be whole numbers"),
        (((0,), 2), {}, "'input_shape' of hypermodel must be whole numbers"),
        (((4,), 2), {"depth": 3}, r"'depth' of hypermodel must be \(least, largest\); got 3"),
        (((4,), 2), {"width": (8, 16, 32)}, r"'width' of hypermodel must be \(least, largest\); got \(8, 16, 32\)"),
        (((4,), 0), {}, "'classes' of hypermodel must be"),
        (((4,), 2), {"dropout": 1.0}, "'dropout' of hypermodel must be a float >= 0 and < 1; got 1.0"),
    ],
)
def test_bad_arguments(arguments, options, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        make(*arguments, **options)
