"""Fashion-MNIST: a CNN is trained, the smallest model within half a point of it is searched, exported and verified.

python recipes/fashion_mnist.py                                    under ten minutes on two cores
python recipes/fashion_mnist.py --set compress.time_budget=1500    half an hour, for a smaller model
python recipes/fashion_mnist.py --smoke                            a minute or two, shows that everything works

The images come from `keras.datasets`, or without a network from Debian's package dataset-fashion-mnist.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import tfkit

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_EPOCHS, _BATCH = 12, 128


def data() -> tfkit.Data:
    """60,000 images: 50,000 to train on, 10,000 to choose on; the 10,000 of the test only the report reads."""
    import numpy as np

    (x, y), (x_test, y_test) = images()
    order = np.random.default_rng(0).permutation(len(x))
    train, validation = order[:50_000], order[50_000:]
    return tfkit.Data(
        (_scaled(x[train]), y[train]),
        (_scaled(x[validation]), y[validation]),
        (_scaled(x_test), y_test),
        batch_size=_BATCH,
    )


def model(hp):
    """Two convolutions and a hidden layer: 421,642 parameters."""
    import keras

    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax", name="article"),
        ],
        name="fashion_mnist",
    )
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def images():
    """((train images, labels), (test images, labels)), uint8 of shapes (n, 28, 28) and (n,)."""
    if _DEBIAN.is_dir():
        return [(_idx(f"{part}-images-idx3"), _idx(f"{part}-labels-idx1")) for part in ("train", "t10k")]
    import keras

    try:
        return keras.datasets.fashion_mnist.load_data()
    except Exception as error:
        raise SystemExit(
            f"Fashion-MNIST cannot be downloaded ({error}); on Debian and Ubuntu: apt-get install dataset-fashion-mnist"
        ) from error


def _idx(name):
    """An array from a file in the format of MNIST: four bytes of type and rank, then the shape, then the values."""
    import numpy as np

    content = gzip.decompress((_DEBIAN / f"{name}-ubyte.gz").read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, 4)
    return np.frombuffer(content, "uint8", offset=4 + 4 * rank).reshape(shape)


def _scaled(images):
    return (images[..., None] / 255).astype("float32")


recipe = tfkit.Recipe(
    "fashion_mnist",
    data,
    model,
    metrics=["accuracy"],
    train={
        "epochs": _EPOCHS,
        "schedule": ("cosine", {"initial": 1e-3, "steps": _EPOCHS * 391}),
        "callbacks": [("early-stopping", {"monitor": "val_accuracy", "patience": _EPOCHS})],
    },
    compress={"steps": "auto", "max_drop": 0.004, "time_budget": 180.0},
    export={"format": "saved-model"},
)


if __name__ == "__main__":
    tfkit.main(recipe)
