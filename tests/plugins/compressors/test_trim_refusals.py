"""What trim-vocabulary refuses, by name."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from vocabulary_models import SENTENCES, data, finished, text

import tfkit
from tfkit_compressors.vocabulary.trim import TrimVocabulary


def refused(case):
    inputs = keras.Input((2,), dtype="string")
    words, table = (
        layers.StringLookup(vocabulary=list("abcd"), name="words"),
        layers.Embedding(5, 2, name="table"),
    )
    ids = words(inputs)
    if case == "leaves":
        return keras.Model(inputs, [ids, layers.Flatten()(table(ids))], name="net")
    if case == "shared":
        other = layers.StringLookup(vocabulary=list("efgh"), name="other")
        value = layers.Concatenate()([table(ids), table(other(inputs))])
    elif case == "raw":
        numbers = keras.Input((2,), dtype="int32")
        return keras.Model([inputs, numbers], layers.Concatenate()([table(ids), table(numbers)]), name="net")
    elif case == "added":
        value = table(ids + 1)
    elif case == "small":
        value = layers.Embedding(3, 2, name="table")(ids)
    elif case == "unread":
        value = layers.Embedding(5, 2)(keras.ops.cast(keras.ops.not_equal(ids, 0), "int32"))
    elif case == "quantized":
        value = table(ids)
        table.quantize("int8")
    elif case == "columns":
        bag = layers.StringLookup(vocabulary=list("abcd"), output_mode="count", name="words")
        value = layers.BatchNormalization(name="scale")(bag(inputs))
    return finished(inputs, layers.Flatten()(value))


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("leaves", "'words' stays: its ids leave the model"),
        ("shared", "'other' stays: 'table' reads something else too; 'words' stays: 'table' reads something else too"),
        ("raw", "'words' stays: 'table' reads something else too"),
        ("added", r"'words' stays: 'add\w*' \(Add\) reads its ids"),
        ("small", "'words' stays: 'table' has 3 rows for 5 ids"),
        ("unread", "'words' stays: no Embedding or Dense layer reads it"),
        ("quantized", "'words' stays: 'table' is quantized or has LoRA: trim first"),
        ("columns", r"'words' stays: 'scale' \(BatchNormalization\) reads its columns"),
    ],
)
def test_vocabularies_that_something_else_reads_are_refused_by_name(case, text):
    with pytest.raises(tfkit.ModelError, match=f"model 'net' has no vocabulary that can be trimmed: {text}"):
        TrimVocabulary(0.5).compress(refused(case), None, epochs=0, directory=None)


def test_models_without_a_vocabulary_or_a_graph_are_refused():
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="plain")
    with pytest.raises(tfkit.ModelError, match="model 'plain' has no vocabulary to trim: no TextVectorization"):
        TrimVocabulary(0.5).compress(plain, None, epochs=0, directory=None)
    model = text()
    uncompiled = keras.Model(model.inputs, model.outputs, name="bare")
    with pytest.raises(tfkit.ModelError, match="model 'bare' is not compiled"):
        TrimVocabulary(0.5, "taylor").compress(uncompiled, data(SENTENCES), epochs=0, directory=None)
    made = TrimVocabulary(0.5).compress(uncompiled, data(SENTENCES), epochs=0, directory=None).model
    assert not made.compiled


def test_a_table_that_another_layer_holds_is_refused():
    class Scores(layers.Layer):
        """Reads the rows of an embedding as the weights of its outputs."""

        def __init__(self, table):
            super().__init__(name="scores")
            self.table = table

        def call(self, x):
            return keras.ops.matmul(x, keras.ops.transpose(self.table.embeddings))

    words = layers.StringLookup(vocabulary=list("abcd"), name="words")
    table = layers.Embedding(5, 2, name="table")
    inputs = keras.Input((1,), dtype="string")
    model = finished(inputs, Scores(table)(layers.Flatten()(table(words(inputs)))))
    rows = np.array([["a"], ["b"]] * 4, dtype=object)
    with pytest.raises(tfkit.ModelError, match="a layer beside 'table' holds its table"):
        TrimVocabulary(0.5).compress(model, tfkit.Data((rows, np.arange(8) % 2)), epochs=0, directory=None)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "compressor 'trim-vocabulary' needs 'keep'"),
        ({"keep": 0}, re.escape("'keep' of compressor 'trim-vocabulary' must be a float > 0 and <= 1; got 0")),
        ({"keep": 1.5}, "must be a float > 0 and <= 1; got 1.5"),
        ({"keep": 0.5, "importance": "l2"}, "must be 'taylor' or 'norm' or 'frequency'; got 'l2'"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "trim-vocabulary", **params)
