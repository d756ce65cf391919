"""A small compiled model, data for it, and what a model carries besides its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfkit.data import Data
from tfkit.nests import leaves
from tfkit.testing.examples import require

if TYPE_CHECKING:
    import keras
    import numpy as np

FEATURES, CLASSES, CATEGORIES = 4, 3, 8


def classifier(run_eagerly: bool = False) -> keras.Model:
    """A compiled classifier of 4 numbers into 3 classes, its weights always the same.

    Args:
        run_eagerly: Whether it runs without a graph, which saves the time of tracing one.
    """
    import keras

    def dense(units: int, activation: str, seed: int) -> Any:
        start = keras.initializers.GlorotUniform(seed=seed)
        return keras.layers.Dense(units, activation=activation, kernel_initializer=start)

    model = keras.Sequential([keras.Input((FEATURES,), name="features"), dense(8, "relu", 1)])
    model.add(dense(CLASSES, "softmax", 2))
    loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=metrics, run_eagerly=run_eagerly)
    model.optimizer.build(model.trainable_variables)
    return model


def category_classifier(run_eagerly: bool = False) -> keras.Model:
    """A compiled classifier of 4 categories, the numbers from 0 to 7, into 3 classes: it looks them up and embeds them.

    For parts that have nothing to do in `classifier`, which has no vocabulary.

    Args:
        run_eagerly: As for `classifier`.
    """
    import keras

    start = keras.initializers.RandomUniform(seed=1)
    model = keras.Sequential([keras.Input((FEATURES,), dtype="int64", name="features")])
    model.add(keras.layers.IntegerLookup(vocabulary=list(range(CATEGORIES))))
    model.add(keras.layers.Embedding(CATEGORIES + 1, 4, embeddings_initializer=start))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(CLASSES, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=2)))
    loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=metrics, run_eagerly=run_eagerly)
    model.optimizer.build(model.trainable_variables)
    return model


def category_data() -> Data:
    """32 rows to train on and 16 to validate on, for `category_classifier`."""
    import numpy as np

    x = np.random.default_rng(0).integers(CATEGORIES, size=(48, FEATURES))
    y = x.sum(axis=1) % CLASSES
    return Data((x[:32], y[:32]), validation=(x[32:], y[32:]), batch_size=8)


def image_classifier(run_eagerly: bool = False) -> keras.Model:
    """A compiled classifier of 4×4 images into 3 classes, with a residual branch and dropout.

    For parts that have nothing to do in `classifier`, which has neither.

    Args:
        run_eagerly: As for `classifier`.
    """
    import keras

    def start(seed: int) -> Any:
        return keras.initializers.GlorotUniform(seed=seed)

    inputs = keras.Input((4, 4, 1), name="image")
    first = keras.layers.Conv2D(2, 3, padding="same", activation="relu", kernel_initializer=start(1))(inputs)
    branch = keras.layers.Conv2D(2, 3, padding="same", kernel_initializer=start(2))(first)
    flat = keras.layers.Dropout(0.2, seed=3)(keras.layers.Flatten()(keras.layers.Add()([first, branch])))
    outputs = keras.layers.Dense(CLASSES, "softmax", kernel_initializer=start(4))(flat)
    model = keras.Model(inputs, outputs)
    loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=metrics, run_eagerly=run_eagerly)
    model.optimizer.build(model.trainable_variables)
    return model


def image_data() -> Data:
    """32 rows to train on and 16 to validate on, for `image_classifier`."""
    import numpy as np

    x = np.random.default_rng(0).random((48, 4, 4, 1)).astype("float32")
    y = x.reshape(48, -1)[:, :CLASSES].argmax(axis=1)
    return Data((x[:32], y[:32]), validation=(x[32:], y[32:]), batch_size=8)


def data() -> Data:
    """32 rows to train on and 16 to validate on, for `classifier`."""
    import numpy as np

    random = np.random.default_rng(0)
    x = random.normal(size=(48, FEATURES)).astype("float32")
    y = x[:, :CLASSES].argmax(axis=1)
    return Data((x[:32], y[:32]), validation=(x[32:], y[32:]), batch_size=8)


def fit(model: keras.Model, *callbacks: Any, epochs: int = 1, rows: Data | None = None) -> dict[str, list[float]]:
    """Trains on `data`, or other rows, unshuffled, and returns the history."""
    import keras

    rows = rows or data()
    history = model.fit(
        *rows.train,
        validation_data=rows.validation,
        batch_size=rows.batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    assert isinstance(history, keras.callbacks.History)
    return dict(history.history)


def require_finite(model: keras.Model, told: str) -> None:
    """Raises ConformanceError if a weight is NaN or infinite."""
    import numpy as np

    bad = [each.path for each in model.weights if not np.isfinite(np.asarray(each, "float64")).all()]
    require(not bad, f"{told}: NaN or infinity in {', '.join(bad)}")


def outputs(predicted: Any) -> list[np.ndarray]:
    """Predictions, one array or a nest of them, as a list of float64 arrays."""
    import numpy as np

    return [np.asarray(leaf, "float64") for leaf in leaves(predicted)]


def carried(model: keras.Model) -> dict[str, Any]:
    """What a part installed for one fit could leave behind, by name: to be compared before and after.

    Variables with their shapes, types, constraints and regularizers; the layers; the optimizer's
    settings and variables; the loss; and the methods that were put on the model itself.
    """
    found: dict[str, Any] = {}
    for each in model.weights:
        found[f"variable {each.path}"] = (tuple(each.shape), each.dtype, each.trainable)
        found[f"constraint of {each.path}"] = each.constraint
        found[f"regularizer of {each.path}"] = each.regularizer
    found["layers"] = [(layer.name, type(layer).__name__) for layer in model.layers]
    found["type of the model"] = type(model)
    found["type of the optimizer"] = type(model.optimizer)
    found["settings of the optimizer"] = model.optimizer.get_config()
    found["variables of the optimizer"] = [each.path for each in model.optimizer.variables]
    found["loss"] = model.loss
    for name in ("train_step", "test_step", "predict_step", "compute_loss", "call"):
        found[f"the method {name}"] = vars(model).get(name)
    found["steps_per_execution"] = model.steps_per_execution
    found["jit_compile"] = model.jit_compile
    return found


def require_nothing_left(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raises ConformanceError, naming what changed, unless a model carries what it carried before."""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    told = "; ".join(f"{name} was {before.get(name)!r} and is {after.get(name)!r}" for name in changed[:3])
    require(not changed, f"something is left on the model: {told}")
