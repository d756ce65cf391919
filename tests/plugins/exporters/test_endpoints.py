"""The signatures classify and regress, called as TensorFlow Serving calls them: serialized tf.Example in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfkit
from tfkit.formats.named_model import NamedModel
from tfkit_exporters.saved_model import SavedModelExporter

PIXELS = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def serialized(rows):
    """Examples made by hand: strings, integers and floats each in their list."""
    examples = []
    for row in rows:
        features = {}
        for name, values in row.items():
            flat = np.ravel(values).tolist()
            if isinstance(flat[0], str):
                features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[each.encode() for each in flat]))
            elif isinstance(flat[0], int):
                features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=flat))
            else:
                features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=flat))
        examples.append(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return tf.constant(examples)


def called(model, folder, name, rows, signatures=None, **told):
    SavedModelExporter(signatures=signatures).write(NamedModel(model, **told), folder, None)
    loaded = tf.saved_model.load(str(folder))
    return {key: value.numpy() for key, value in loaded.signatures[name](inputs=serialized(rows)).items()}


def dense(units, activation=None):
    return keras.Sequential([keras.Input((4,), name="pixels"), layers.Dense(units, activation, name="scores")])


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_a_softmax_is_classified_with_labels(tmp_path):
    model = dense(3, "softmax")
    kernel, bias = (np.asarray(each) for each in model.get_weights())
    found = called(model, tmp_path, "classify", [{"pixels": row} for row in PIXELS], labels=["red", "green", "blue"])
    assert found["classes"].tolist() == [[b"red", b"green", b"blue"]] * 3
    np.testing.assert_allclose(found["scores"], softmax(PIXELS @ kernel + bias), rtol=1e-5)


def test_logits_become_probabilities_and_classes_without_names_numbers(tmp_path):
    model = dense(3)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    kernel, bias = (np.asarray(each) for each in model.get_weights())
    found = called(model, tmp_path, "classify", [{"pixels": row} for row in PIXELS])
    assert found["classes"].tolist() == [[b"0", b"1", b"2"]] * 3
    np.testing.assert_allclose(found["scores"], softmax(PIXELS @ kernel + bias), rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_probability_is_that_of_the_second_of_two_classes(tmp_path, activation):
    model = dense(1, activation)
    kernel, bias = (np.asarray(each) for each in model.get_weights())
    found = called(model, tmp_path, "classify", [{"pixels": row} for row in PIXELS], labels=["no", "yes"])
    second = 1 / (1 + np.exp(-(PIXELS @ kernel + bias)))
    np.testing.assert_allclose(found["scores"], np.concatenate([1 - second, second], axis=1), rtol=1e-5)
    assert found["classes"][0].tolist() == [b"no", b"yes"]


def test_one_number_is_regressed(tmp_path):
    model = dense(1)
    kernel, bias = (np.asarray(each) for each in model.get_weights())
    found = called(model, tmp_path, "regress", [{"pixels": row} for row in PIXELS])
    np.testing.assert_allclose(found["outputs"], (PIXELS @ kernel + bias)[:, 0], rtol=1e-5)


def test_features_of_every_dtype_by_the_names_of_the_inputs(tmp_path):
    """Strings, integers as int32, booleans as integers, a matrix, and ids of an open length."""
    text = keras.Input((1,), dtype="string", name="text")
    ids, flag = keras.Input((None,), dtype="int32", name="ids"), keras.Input((1,), dtype="bool", name="flag")
    image = keras.Input((2, 2), name="image")
    word = layers.Lambda(lambda x: tf.cast(tf.strings.length(x), tf.float32), output_shape=(1,), dtype="float32")(text)
    total = layers.Lambda(lambda x: keras.ops.sum(keras.ops.cast(x, "float32"), axis=1, keepdims=True))
    summed = layers.Add()([word, total(ids), total(flag), total(layers.Flatten()(image))])
    model = keras.Model({"text": text, "ids": ids, "flag": flag, "image": image}, summed)
    rows = [
        {"text": "abc", "ids": [1, 2, 3], "flag": [1], "image": [[0.5, 0.25], [0.0, 0.0]]},
        {"text": "", "ids": [7], "flag": [0], "image": [[1.0, 1.0], [1.0, 1.0]]},
    ]
    assert called(model, tmp_path, "regress", rows)["outputs"].tolist() == [3 + 6 + 1 + 0.75, 0 + 7 + 0 + 4]


@pytest.mark.parametrize(
    ("model", "signatures", "told"),
    [
        (lambda: dense(3), ("regress",), "cannot have the signature 'regress': it takes one output of one float"),
        (
            lambda: keras.Sequential([keras.Input((None, None, 1)), layers.GlobalMaxPooling2D(), layers.Dense(1)]),
            ("regress",),
            r"the shape of 'inputs' is open beyond its first axis: \(None, None, None, 1\)",
        ),
        (
            lambda: keras.Model(x := keras.Input((2,)), {"a": x + 1, "b": x}),
            ("classify",),
            "it takes one output of floats, a score for each class",
        ),
    ],
)
def test_what_a_model_does_not_fit_is_refused(tmp_path, model, signatures, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        SavedModelExporter(signatures=signatures).write(NamedModel(model()), tmp_path, None)


def test_a_signature_is_made_when_asked_for(tmp_path):
    found = called(dense(3), tmp_path, "classify", [{"pixels": row} for row in PIXELS], signatures=("classify",))
    assert found["scores"].shape == (3, 3)
    loaded = tf.saved_model.load(str(tmp_path))
    assert set(loaded.signatures) == {"serving_default", "serve", "classify"}
