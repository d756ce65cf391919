"""What the tests of graphs share: a model with nests, shared layers and operators, and rows for it."""

import keras
import numpy as np
from keras import layers

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
