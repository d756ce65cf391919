"""What goes wrong without a word with vocabularies: fails when upstream mends it, so that the repair can go."""

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.pipeline.copies import compiled_copy
from tfkit_compressors.vocabulary.trim import TrimVocabulary

TOKENS = ["good", "line\u2028break", "bad", "film"]
ROWS = np.array([TOKENS, TOKENS[::-1]], dtype=object)


def reads_words():
    keras.utils.set_random_seed(0)
    words = layers.StringLookup(name="words")
    words.adapt(ROWS)
    inputs = keras.Input((4,), dtype="string")
    table = layers.Embedding(8, 3, embeddings_initializer="normal", name="table")(words(inputs))
    model = keras.Model(inputs, layers.Dense(1, name="score")(layers.Flatten()(table)), name="net")
    model.compile("sgd", "mse")
    return model


def outputs(model):
    return np.asarray(model(keras.ops.convert_to_tensor(ROWS.astype(str), "string")))


def test_a_token_with_a_line_break_moves_the_ids_of_those_after_it_when_the_model_is_saved(tmp_path):
    model = reads_words()
    model.save(tmp_path / "upstream.keras")
    loaded = keras.models.load_model(tmp_path / "upstream.keras")
    assert loaded.get_layer("words").vocabulary_size() == 6  # upstream: one more than was saved
    assert not np.allclose(outputs(loaded), outputs(model), atol=1e-3)
    with pytest.raises(tfkit.ModelError, match="vocabulary of its layer 'words' as lines of text"):
        compiled_copy(model)
    data = tfkit.Data((ROWS, np.zeros(2)))
    made = TrimVocabulary(0.75, "frequency").compress(model, data, epochs=0, directory=None).model
    assert "line\u2028break" in made.get_layer("words").get_vocabulary()
    made = compiled_copy(made)
    made.save(tmp_path / "ours.keras")
    np.testing.assert_allclose(outputs(tfkit.load_model(tmp_path / "ours.keras")), outputs(made), atol=1e-6)
