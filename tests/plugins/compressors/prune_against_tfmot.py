"""What test_prune_tfmot.py runs in a process of its own: one training with TFMOT's wrapper, one with tfkit's callback.

Takes the names of cases; prints for each whether the zeros are at the same places, the largest difference of two
weights, and the sparsities.
"""

import json
import os
import sys
import warnings

# Sums in one order: oneDNN takes another one for each memory layout.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tf_keras

import tfkit
from tfkit_compressors import tfmot

ConstantSparsity, PolynomialDecay = tfmot.pruning()[1].ConstantSparsity, tfmot.pruning()[1].PolynomialDecay

RNG = np.random.default_rng(0)
STEPS, EPOCHS, BATCH = 5, 3, 16
# High, so that the order of magnitudes changes from step to step.
RATE = 0.1
SHAPES = {"mlp": (24,), "cnn": (6, 6, 4), "lstm": (5, 8)}


def layers(kind, library):
    made = library.layers
    if kind == "mlp":
        return [made.Dense(32, activation="relu"), made.Dense(8)]
    if kind == "cnn":
        return [made.Conv2D(8, 3, activation="relu"), made.Flatten(), made.Dense(8)]
    return [made.LSTM(8), made.Dense(8)]


def compiled(model, library, optimizer, **options):
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(getattr(library.optimizers, optimizer)(RATE), loss, jit_compile=False, **options)
    return model


def wrapped(kind, weights, skip, **options):
    import tensorflow_model_optimization as optimization

    made = layers(kind, tf_keras)
    prune = optimization.sparsity.keras.prune_low_magnitude
    inside = [each if type(each).__name__ in skip else prune(each, **options) for each in made]
    model = tf_keras.Sequential([tf_keras.layers.InputLayer(SHAPES[kind]), *inside])
    for layer, values in zip(inside, weights):
        layer.set_weights(values)
    return model, made, optimization.sparsity.keras.UpdatePruningStep()


def compare(kind, params, optimizer="Adam", fits=1, skip=(), compiled_with=None, **options):
    """The same weights, batches and schedule through both."""
    x = RNG.normal(size=(STEPS * BATCH, *SHAPES[kind])).astype("float32")
    y = RNG.integers(0, 8, len(x))
    keras.utils.set_random_seed(1)
    ours = keras.Sequential([keras.Input(SHAPES[kind]), *layers(kind, keras)])
    theirs, made, update = wrapped(kind, [each.get_weights() for each in ours.layers], skip, **options)
    compiled(ours, keras, optimizer, **(compiled_with or {}))
    compiled(theirs, tf_keras, optimizer, run_eagerly=True)  # its graph gives the same, and takes longer to trace
    fit = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0}
    for _ in range(fits):
        theirs.fit(x, y, callbacks=[update], **fit)
        ours.fit(x, y, callbacks=[tfkit.callback("compressor", "prune", exclude=skip, **params)], **fit)
    pairs = list(zip(ours.get_weights(), [weight for layer in made for weight in layer.get_weights()], strict=True))
    same = all(np.array_equal(left == 0, right == 0) for left, right in pairs)
    kernels = [left for left, _ in pairs if left.ndim > 1]
    return same, max(float(abs(left - right).max()) for left, right in pairs), [float((k == 0).mean()) for k in kernels]


def main(chosen):
    last = STEPS * EPOCHS
    polynomial = {"sparsity": 0.75, "frequency": 5}
    theirs = {"pruning_schedule": PolynomialDecay(0.0, 0.75, 0, last, frequency=5)}
    slow = {"sparsity": 0.75, "initial_sparsity": 0.25, "begin": 2, "end": 12, "frequency": 2, "power": 1}
    slow_theirs = {"pruning_schedule": PolynomialDecay(0.25, 0.75, 2, 12, power=1, frequency=2)}
    constant = {"sparsity": 0.5, "schedule": "constant", "begin": 1, "frequency": 1}
    constant_theirs = {"pruning_schedule": ConstantSparsity(0.5, 1, frequency=1)}
    blocks = {"block_size": (2, 4), "block_pooling": "MAX"}
    blocks_theirs = {"block_size": (2, 4), "block_pooling_type": "MAX"}
    pattern, pattern_theirs = {"sparsity": 0.5, "pattern": "2:4"}, {**theirs, "sparsity_m_by_n": (2, 4)}
    cases = {
        # Steps 5, 10 and 15 of 5 an epoch: TFMOT ranks masked weights there for 6 and 11, raw ones elsewhere.
        "mlp polynomial": lambda: compare("mlp", polynomial, **theirs),
        "mlp linear": lambda: compare("mlp", slow, "SGD", **slow_theirs),
        "mlp constant": lambda: compare("mlp", constant, **constant_theirs),
        "mlp blocks": lambda: compare("mlp", {**constant, **blocks}, **constant_theirs, **blocks_theirs),
        "mlp 2:4": lambda: compare("mlp", pattern, **pattern_theirs),
        "mlp, two fits": lambda: compare("mlp", {**constant, "end": 7, "frequency": 3}, fits=2, **_until(7)),
        "mlp, 4 steps per execution": lambda: compare(
            "mlp", slow, compiled_with={"steps_per_execution": 4}, **slow_theirs
        ),
        "cnn polynomial": lambda: compare("cnn", slow, **slow_theirs),
        "cnn constant": lambda: compare("cnn", constant, "SGD", **constant_theirs),
        "cnn blocks": lambda: compare(
            "cnn", {**constant, **blocks}, skip=("Conv2D",), **constant_theirs, **blocks_theirs
        ),
        "cnn 2:4": lambda: compare("cnn", pattern, **pattern_theirs),
        "lstm polynomial": lambda: compare("lstm", slow, **slow_theirs),
    }
    print(json.dumps({case: cases[case]() for case in chosen}))


def _until(end):
    return {"pruning_schedule": ConstantSparsity(0.5, 1, end, frequency=3)}


if __name__ == "__main__":
    # Of the second fit: its end is past.
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
