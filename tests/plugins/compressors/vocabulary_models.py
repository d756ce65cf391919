"""Small models that read words or categories, and data for them."""

import csv
from pathlib import Path

import keras
import numpy as np
from keras import layers

import tfkit

_FILE = Path(__file__).parents[3] / "recipes" / "data" / "sentiment_sentences.tsv"

with _FILE.open(encoding="utf-8", newline="") as _file:
    _ROWS = [row for row, _ in zip(csv.DictReader(_file, delimiter="\t"), range(120))]
SENTENCES = np.array([[row["text"]] for row in _ROWS], dtype=object)
LABELS = np.array([int(row["label"]) for row in _ROWS])
WORDS = np.array([(row["text"].lower().split() * 4)[:4] for row in _ROWS], dtype=object)
NUMBERS = np.random.default_rng(0).zipf(1.5, size=(120, 4)) % 50


def data(x):
    return tfkit.Data((x[:96], LABELS[:96]), (x[96:], LABELS[96:]), batch_size=32)


def finished(inputs, value):
    model = keras.Model(inputs, layers.Dense(1, "sigmoid", name="score")(value), name="net")
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Embedding):
            rows = np.random.default_rng(1).normal(size=layer.embeddings.shape)
            layer.embeddings.assign(rows)
    return model


def vectorizer(**options):
    made = layers.TextVectorization(name="words", **options)
    made.adapt(SENTENCES[:96])
    return made


def text(rows=400, width=3):
    """Words and pairs of words, embedded with a mask for padding."""
    keras.utils.set_random_seed(0)
    words = vectorizer(max_tokens=400, ngrams=2, output_sequence_length=12)
    inputs = keras.Input((1,), dtype="string")
    value = layers.Embedding(rows, width, mask_zero=True, name="table")(words(inputs))
    return finished(inputs, layers.GlobalAveragePooling1D()(value))


def hashed():
    """Words of which those out of the vocabulary share two ids."""
    keras.utils.set_random_seed(0)
    words = layers.StringLookup(num_oov_indices=2, name="words")
    words.adapt(WORDS)
    inputs = keras.Input((4,), dtype="string")
    value = layers.Embedding(words.vocabulary_size(), 3, name="table")(words(inputs))
    return finished(inputs, layers.Flatten()(value))


def numbered():
    """Numbers with a mask and three ids for others, in another shape, read by two tables and compared with padding."""
    keras.utils.set_random_seed(0)
    known = layers.IntegerLookup(vocabulary=np.arange(1, 50), num_oov_indices=3, mask_token=0, name="words")
    inputs = keras.Input((4,), dtype="int64")
    ids = known(inputs)
    first = layers.Embedding(60, 3, name="table")(keras.ops.reshape(ids, (-1, 2, 2)))
    second = layers.Embedding(53, 2, name="other")(ids)
    present = keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")
    return finished(inputs, layers.Concatenate()([layers.Flatten()(first), layers.Flatten()(second), present]))


def nested():
    """The lookup inside of a Sequential model, its reader in another."""
    keras.utils.set_random_seed(0)
    front = keras.Sequential([keras.Input((1,), dtype="string"), vectorizer(output_sequence_length=8)], name="front")
    table = layers.Embedding(front.layers[0].vocabulary_size(), 3, name="table")
    back = keras.Sequential([keras.Input((8,), dtype="int64"), table, layers.GlobalAveragePooling1D()], name="back")
    inputs = keras.Input((1,), dtype="string")
    return finished(inputs, back(front(inputs)))


def columns(mode, *, inside=False, **options):
    """A bag of words: a column for each token, read by a dense layer, inside of a nested model or not."""
    keras.utils.set_random_seed(0)
    words = vectorizer(output_mode=mode, **options)
    # Keras takes the columns of texts of shape (n, 1) for (n, 1, columns), which a nested model refuses.
    inputs = keras.Input(() if inside else (1,), dtype="string")
    value = words(inputs)
    table = layers.Dense(3, "relu", name="table", bias_initializer="normal")
    reader = keras.Sequential([keras.Input((value.shape[-1],)), table], name="inner") if inside else table
    return finished(inputs, reader(value))
