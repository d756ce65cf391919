"""A recipe with every stage, small enough to be killed often."""

import numpy as np

import tfkit


def data():
    x = np.random.default_rng(0).normal(size=(320, 6)).astype("float32")
    y = (x[:, :3].sum(axis=1) > 0).astype("int64") + (x[:, 3] > 1)
    return tfkit.Data((x[:200], y[:200]), (x[200:260], y[200:260]), (x[260:], y[260:]), batch_size=20)


def model(hp):
    import keras

    network = keras.Sequential(
        [
            keras.Input((6,), name="features"),
            keras.layers.Dense(hp.Int("units", 8, 32, step=8), "relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(3, "softmax", name="scores"),
        ],
        name="toy",
    )
    network.compile(
        keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return network


recipe = tfkit.Recipe(
    "toy",
    data,
    model,
    metrics=["accuracy", ("f1", {"average": "macro"})],
    search={"searcher": "random", "trials": 3, "epochs": 2},
    train={"epochs": 4, "callbacks": [("early-stopping", {"monitor": "val_loss", "patience": 3})]},
    compress={"steps": [("prune", {"sparsity": 0.5, "frequency": 5}), "quantize"], "epochs": 2},
    export={"format": "saved-model"},
)

if __name__ == "__main__":
    tfkit.run(recipe)
