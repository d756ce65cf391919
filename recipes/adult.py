"""Adult: income over 50,000 dollars from a census row, a network of two inputs, compressed automatically and exported.

python recipes/adult.py            about five minutes on two cores
python recipes/adult.py --smoke    a minute or two, shows that everything works
"""

from __future__ import annotations

import csv
import functools
import gzip
from pathlib import Path

import tfkit

_FILE = Path(__file__).parent / "data" / "adult.csv.gz"
_NUMBERS = ("age", "education-num", "capital-gain", "capital-loss", "hours-per-week")
_CATEGORIES = (
    "workclass",
    "education",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "gender",
    "native-country",
)


@functools.cache
def table():
    """(numbers of shape (n, 5), category ids of shape (n, 8), labels of shape (n,), number of ids)."""
    import numpy as np

    with gzip.open(_FILE, "rt", encoding="utf-8", newline="") as file:
        rows = [{key: value.strip() for key, value in row.items()} for row in csv.DictReader(file)]
    numbers = np.array([[float(row[name]) for name in _NUMBERS] for row in rows], "float32")
    # Gains and losses span five powers of ten.
    numbers[:, 2:4] = np.log1p(numbers[:, 2:4])
    ids: dict[tuple[str, str], int] = {}
    codes = [[ids.setdefault((name, row[name]), len(ids)) for name in _CATEGORIES] for row in rows]
    labels = np.array([row["income"] == ">50K" for row in rows], "int32")
    return numbers, np.array(codes, "int32"), labels, len(ids)


def data() -> tfkit.Data:
    """32,561 people of the census of 1994: 60% to train on, 20% to choose on, 20% that only the report reads."""
    import numpy as np

    numbers, codes, labels, _ = table()
    order = np.random.default_rng(0).permutation(len(labels))
    first, second = int(0.6 * len(order)), int(0.8 * len(order))
    parts = [
        ({"numbers": numbers[rows], "categories": codes[rows]}, labels[rows])
        for rows in (order[:first], order[first:second], order[second:])
    ]
    return tfkit.Data(*parts, batch_size=128)


def model(hp):
    """Embedded categories beside scaled numbers; width and dropout are searched."""
    import keras

    layers = keras.layers
    numbers, ids = data().part("train")[0]["numbers"], table()[-1]
    scale = layers.Normalization(mean=numbers.mean(0), variance=numbers.var(0), name="scaled")
    inputs = {
        "numbers": keras.Input((len(_NUMBERS),), name="numbers"),
        "categories": keras.Input((len(_CATEGORIES),), dtype="int32", name="categories"),
    }
    embedded = layers.Flatten()(layers.Embedding(ids, 8, name="embedding")(inputs["categories"]))
    x = layers.Concatenate()([scale(inputs["numbers"]), embedded])
    for _ in range(2):
        x = layers.Dense(hp.Int("width", 128, 256, step=64), activation="relu")(x)
        x = layers.Dropout(hp.Float("dropout", 0.1, 0.5))(x)
    network = keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="rich")(x), name="adult")
    network.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    return network


recipe = tfkit.Recipe(
    "adult",
    data,
    model,
    metrics=["accuracy", ("f1", {"average": "macro"})],
    search={"searcher": "random", "objective": "val_accuracy", "trials": 3, "epochs": 3},
    train={"epochs": 20, "callbacks": [("early-stopping", {"monitor": "val_loss", "patience": 4})]},
    compress={"steps": "auto", "max_drop": 0.003, "time_budget": 150.0},
    export={"format": "saved-model"},
)


if __name__ == "__main__":
    tfkit.main(recipe)
