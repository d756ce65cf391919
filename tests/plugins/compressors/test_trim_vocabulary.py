import collections
import itertools
import math
import string

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from vocabulary_models import LABELS, NUMBERS, SENTENCES, WORDS, columns, data, finished, hashed, nested, numbered, text

import tfkit
from tfkit.models import load_model
from tfkit_compressors.vocabulary.importance import worth
from tfkit_compressors.vocabulary.readers import vocabularies
from tfkit_compressors.vocabulary.trim import TrimVocabulary

pytestmark = pytest.mark.filterwarnings("ignore:.*triggered tf.function retracing.*")


def trim(model, x, keep=0.4, epochs=0, **params):
    return tfkit.create("compressor", "trim-vocabulary", keep=keep, **params).compress(
        model, data(x), epochs=epochs, directory=None
    )


def predict(model, x):
    return np.asarray(model(tf.convert_to_tensor(x if x.dtype != object else x.astype(str)), training=False))


def layer(model, name):
    return next(each for each in model._flatten_layers() if each.name == name)


def spread(token, count):
    return int(tf.strings.to_hash_bucket_fast([token], count)[0])


@pytest.mark.parametrize(
    ("build", "x", "oov", "tables"),
    [
        (text, SENTENCES, lambda token: 1, ("table",)),
        (lambda: text(rows=1000), SENTENCES, lambda token: 1, ("table",)),
        (hashed, WORDS, lambda token: spread(token, 2), ("table",)),
        (numbered, NUMBERS, lambda token: 1 + token % 3, ("table", "other")),
        (nested, SENTENCES, lambda token: 1, ("table",)),
    ],
    ids=["text", "text of more rows", "hashed", "numbered", "nested"],
)
def test_it_computes_what_the_source_does_with_oov_rows_in_the_place_of_those_removed(build, x, oov, tables):
    model = build()
    vocabulary = layer(model, "words").get_vocabulary()
    made = trim(model, x).model
    kept = layer(made, "words").get_vocabulary()
    special = len(vocabulary) - len(layer(model, "words").get_vocabulary(include_special_tokens=False))
    assert len(kept) - special == math.ceil(0.4 * (len(vocabulary) - special))
    assert [token for token in vocabulary if token in set(kept)] == kept
    for name in tables:
        assert layer(made, name).embeddings.shape[0] == len(kept)
        rows = np.array(layer(model, name).embeddings)
        for place, token in enumerate(vocabulary):
            if token not in kept:
                rows[place] = rows[oov(token)]
        layer(model, name).embeddings.assign(rows)
    np.testing.assert_allclose(predict(made, x), predict(model, x), atol=1e-6)


def clean(sentence):
    return sentence.lower().translate(str.maketrans("", "", string.punctuation)).split()


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("count", {}),
        ("multi_hot", {"max_tokens": 900, "pad_to_max_tokens": True}),
        ("tf_idf", {"inside": True}),
        ("tf_idf", {"max_tokens": 900, "pad_to_max_tokens": True}),
    ],
    ids=["count", "padded multi_hot", "nested tf_idf", "padded tf_idf"],
)
def test_columns_are_those_of_the_tokens_kept_and_of_all_others_together(mode, options, tmp_path):
    model = columns(mode, **options)
    words, kernel, bias = layer(model, "words"), *layer(model, "table").get_weights()
    vocabulary, idf = words.get_vocabulary(), np.ones(len(kernel))
    if mode == "tf_idf":
        idf = np.asarray(words._lookup_layer.idf_weights_const)
    x = SENTENCES[:, 0] if "inside" in options else SENTENCES
    made = trim(model, x).model
    kept = layer(made, "words").get_vocabulary()
    assert len(kept) == 1 + math.ceil(0.4 * (len(vocabulary) - 1)) == layer(made, "table").kernel.shape[0]
    expected = np.zeros((len(SENTENCES), 3))
    for row, (sentence,) in enumerate(SENTENCES):
        counts = collections.Counter(vocabulary.index(word) if word in kept else 0 for word in clean(sentence))
        for place, count in counts.items():
            expected[row] += (1 if mode == "multi_hot" else count) * idf[place] * kernel[place]
    score = layer(made, "score")
    outputs = keras.ops.sigmoid(np.maximum(expected + bias, 0) @ score.kernel + score.bias)
    np.testing.assert_allclose(predict(made, x), outputs, atol=1e-5)
    made.save(tmp_path / "model.keras")
    np.testing.assert_allclose(predict(load_model(tmp_path / "model.keras"), x), outputs, atol=1e-5)


def test_rows_that_no_token_has_go_even_where_all_tokens_stay():
    model = text(rows=1000)
    before = predict(model, SENTENCES)
    made = trim(model, SENTENCES, keep=1.0)
    assert layer(made.model, "table").input_dim == 400
    assert made.notes == ("'words' keeps 398 of 398 tokens", f"{3 * 1000 + 4:,} to {3 * 400 + 4:,} parameters")
    np.testing.assert_array_equal(predict(made.model, SENTENCES), before)


@keras.saving.register_keras_serializable("tests")
def without_commas(sentences):
    return tf.strings.regex_replace(tf.strings.lower(sentences), ",", "")


def test_a_standardization_of_ones_own_and_embeddings_from_elsewhere_go_along(tmp_path):
    words = layers.TextVectorization(standardize=without_commas, output_sequence_length=12)
    words.adapt(SENTENCES[:96])
    size = words.vocabulary_size()
    matrix = np.random.default_rng(0).normal(size=(size, 3))
    inputs = keras.Input((1,), dtype="string")
    known = layers.Embedding(size, 3, embeddings_initializer=keras.initializers.Constant(matrix), name="table")
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(known(words(inputs)))))
    made = TrimVocabulary(0.4).compress(model, data(SENTENCES), epochs=0, directory=tmp_path).model
    kept = made.get_layer("table").embeddings.numpy()
    assert len(kept) == 2 + math.ceil(0.4 * (size - 2))
    assert {tuple(row) for row in kept} <= {tuple(row) for row in matrix.astype("float32")}
    made.save(tmp_path / "made.keras")
    rows = tf.constant(SENTENCES[:9].astype(str))
    np.testing.assert_allclose(load_model(tmp_path / "made.keras")(rows), made(rows), atol=1e-6)


def test_a_model_of_which_nothing_goes_comes_back():
    model = text()
    assert trim(model, SENTENCES, keep=1.0).model is model


def test_it_trains_with_the_optimizer_and_loss_of_the_source_and_loads_again(tmp_path):
    model = text()
    made = trim(model, SENTENCES, epochs=1).model
    assert type(made.optimizer) is type(model.optimizer)
    assert (made.loss, float(made.optimizer.learning_rate)) == (model.loss, float(np.float32(0.01)))
    assert int(made.optimizer.iterations) == 3
    assert layer(made, "words").get_config()["max_tokens"] == 2 + math.ceil(0.4 * 398)
    made.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(loaded, SENTENCES), predict(made, SENTENCES))
    assert loaded.loss == model.loss


def tokens_of(sentence):
    words = clean(sentence)
    return (words + [" ".join(pair) for pair in itertools.pairwise(words)])[:12]


def test_importances_are_counts_their_product_with_distances_and_the_slope_of_the_loss():
    model = text()
    (found,) = vocabularies(model)
    rows, train = np.array(layer(model, "table").embeddings, "float64"), data(SENTENCES)
    vocabulary = layer(model, "words").get_vocabulary(include_special_tokens=False)
    counts = collections.Counter(token for (sentence,) in SENTENCES[:96] for token in tokens_of(sentence))
    expected = np.array([counts[token] for token in vocabulary])
    frequency, norm, taylor = (worth(model, [found], each, train)[0] for each in ("frequency", "norm", "taylor"))
    np.testing.assert_array_equal(frequency.importance, expected)
    np.testing.assert_allclose(norm.importance, expected * np.linalg.norm(rows[2:] - rows[1], axis=1), rtol=1e-6)
    for token in np.argsort(-taylor.importance)[:2]:
        slopes = []
        for step in (-1e-2, 1e-2):
            moved = rows.copy()
            moved[2 + token] += step * (rows[1] - rows[2 + token])
            layer(model, "table").embeddings.assign(moved)
            outputs = predict(model, SENTENCES[:96])[:, 0].astype("float64")
            losses = -np.log(np.where(LABELS[:96] == 1, outputs, 1 - outputs))
            slopes.append(losses.reshape(3, 32).mean(axis=1).sum())
        np.testing.assert_allclose(taylor.importance[token], abs(slopes[1] - slopes[0]) / 2e-2, rtol=2e-2)
        layer(model, "table").embeddings.assign(rows)


@pytest.mark.parametrize("importance", ["norm", "taylor", "frequency"])
def test_tokens_that_the_train_part_does_not_hold_go_first(importance):
    words = layers.StringLookup(vocabulary=["never", "good", "bad", "absent"], name="words")
    inputs = keras.Input((4,), dtype="string")
    model = finished(inputs, layers.Flatten()(layers.Embedding(5, 2, name="table")(words(inputs))))
    rows = np.array([["good", "bad", "bad", "bad"]] * 8, dtype=object)
    made = TrimVocabulary(0.5, importance).compress(
        model, tfkit.Data((rows, np.arange(8) % 2)), epochs=0, directory=None
    )
    assert layer(made.model, "words").get_vocabulary() == ["[UNK]", "good", "bad"]


def test_several_vocabularies_are_ranked_together_and_each_keeps_one_token():
    often = layers.StringLookup(vocabulary=list("abcdef"), name="often")
    seldom = layers.StringLookup(vocabulary=list("uvwxyz"), name="seldom")
    inputs = keras.Input((2,), dtype="string", name="pair")
    tables = [layers.Embedding(7, 2)(lookup(inputs)) for lookup in (often, seldom)]
    model = finished(inputs, layers.Flatten()(layers.Concatenate()(tables)))
    rows = np.array([list(pair) for pair in ("ab", "cd", "ef") * 4] + [["u", "u"]], dtype=object)
    made = TrimVocabulary(0.5, "frequency").compress(
        model, tfkit.Data((rows, np.arange(13) % 2)), epochs=0, directory=None
    )
    assert layer(made.model, "often").get_vocabulary()[1:] == list("abcde")
    assert layer(made.model, "seldom").get_vocabulary()[1:] == ["u"]


def test_what_cannot_be_trimmed_stays_and_is_named():
    words = layers.StringLookup(vocabulary=list("abcd"), name="words")
    kinds = layers.StringLookup(vocabulary=list("abcd"), num_oov_indices=0, name="kinds")
    inputs = keras.Input((2,), dtype="string")
    tables = [layers.Embedding(size, 2)(lookup(inputs)) for size, lookup in ((5, words), (4, kinds))]
    model = finished(inputs, layers.Flatten()(layers.Concatenate()(tables)))
    rows = np.array([["a", "b"], ["c", "d"]] * 4, dtype=object)
    made = TrimVocabulary(0.5).compress(model, tfkit.Data((rows, np.arange(8) % 2)), epochs=0, directory=None)
    assert layer(made.model, "kinds") is kinds
    assert made.notes[-1] == "'kinds' stays: it has no id for tokens out of its vocabulary: num_oov_indices is 0"
