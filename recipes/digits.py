"""Handwritten digits: a small CNN is searched, trained, pruned, quantized to int8, exported and verified.

python recipes/digits.py            about two minutes on two cores
python recipes/digits.py --smoke    under a minute, shows that everything works
"""

from __future__ import annotations

import tfkit


def data() -> tfkit.Data:
    """scikit-learn's 1797 digits: 60% to train on, 20% to choose on, 20% that only the report reads."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = (x.reshape(-1, 8, 8, 1) / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    return tfkit.Data((x_train, y_train), (x_val, y_val), (x_test, y_test), batch_size=32)


def model(hp):
    """Two convolutions and a hidden layer; width and dropout are searched."""
    import keras

    width = hp.Int("width", 16, 48, step=16)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(width, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(2 * width, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(hp.Float("dropout", 0.1, 0.5)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


recipe = tfkit.Recipe(
    "digits",
    data,
    model,
    metrics=["accuracy", ("f1", {"average": "macro"})],
    search={"searcher": "random", "objective": "val_accuracy", "trials": 5, "epochs": 5},
    train={
        "epochs": 40,
        "schedule": ("cosine", {"initial": 2e-3, "steps": 40 * 34, "warmup": 34}),
        "regularizer": ("l2", {"l2": 1e-5}),
        "callbacks": [("early-stopping", {"monitor": "val_accuracy", "patience": 25})],
    },
    compress={"steps": [("prune", {"sparsity": 0.5, "frequency": 20}), "quantize"], "max_drop": 0.01, "epochs": 12},
    export={"format": "saved-model"},
)


if __name__ == "__main__":
    tfkit.main(recipe)
