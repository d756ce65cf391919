"""Sentiment of review sentences: text in, text served. The vectorizer is inside the model that is exported.

python recipes/sentiment.py            about a minute on two cores
python recipes/sentiment.py --smoke    under a minute, shows that everything works
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import tfkit

_FILE = Path(__file__).parent / "data" / "sentiment_sentences.tsv"
# Parts of each source, by the order of its sentences.
SHARES = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}


@functools.cache
def sentences() -> dict[str, tuple]:
    """Texts of shape (n, 1) and labels of shape (n,) for each part.

    Each source is cut into contiguous blocks, so that sentences of one review stay in one part; a
    sentence that an earlier part holds is left out of a later one.
    """
    import numpy as np

    with _FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    seen: set[str] = set()
    parts = {}
    for part, (start, stop) in SHARES.items():
        chosen = []
        for source in ("amazon", "imdb", "yelp"):
            block = [row for row in rows if row["source"] == source]
            chosen += block[int(start * len(block)) : int(stop * len(block))]
        chosen = [row for row in chosen if row["text"].lower() not in seen]
        seen.update(row["text"].lower() for row in chosen)
        texts = np.array([[row["text"]] for row in chosen], dtype=object)
        parts[part] = (texts, np.array([int(row["label"]) for row in chosen]))
    return parts


def data() -> tfkit.Data:
    """3000 sentences of Amazon, IMDB and Yelp reviews; see recipes/data/README.md."""
    parts = sentences()
    return tfkit.Data(parts["train"], parts["validation"], parts["test"], batch_size=32)


def model(hp):
    """A bag of embedded words and word pairs; the vocabulary comes from the train part alone."""
    import keras

    vectorizer = keras.layers.TextVectorization(max_tokens=6000, ngrams=2, output_sequence_length=60)
    vectorizer.adapt(sentences()["train"][0])
    text = keras.Input((1,), dtype="string", name="text")
    words = keras.layers.Embedding(6000, hp.Int("units", 16, 64, step=16), name="embedding")(vectorizer(text))
    hidden = keras.layers.GlobalAveragePooling1D()(words)
    hidden = keras.layers.Dropout(hp.Float("dropout", 0.2, 0.6))(hidden)
    score = keras.layers.Dense(1, activation="sigmoid", name="positive")(hidden)
    network = keras.Model(text, score, name="sentiment")
    network.compile(keras.optimizers.Adam(5e-3), "binary_crossentropy", metrics=["accuracy"])
    return network


recipe = tfkit.Recipe(
    "sentiment",
    data,
    model,
    metrics=["accuracy", ("f1", {"average": "macro"})],
    search={"searcher": "random", "objective": "val_accuracy", "trials": 4, "epochs": 8},
    train={"epochs": 30, "callbacks": [("early-stopping", {"monitor": "val_loss", "patience": 5})]},
    # Strings do not go into LiteRT: words go, and Keras itself keeps what is left in 8 bits. Neither needs training.
    compress={
        "steps": [
            ("trim-vocabulary", {"keep": 0.33}),
            ("quantize", {"engine": "keras", "bits": 8, "activations": None}),
        ],
        "max_drop": 0.02,
        "epochs": 0,
    },
    export={"format": "saved-model", "labels": ["negative", "positive"]},
    # The exported model answers raw sentences through the server and the gateway before the run is done.
    serve={"rows": 3},
)


if __name__ == "__main__":
    tfkit.main(recipe)
