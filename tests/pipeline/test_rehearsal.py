"""rehearse: the server and the gateway answer what the model does, or the run fails."""

import keras
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.rehearsal import rehearse

TEXTS = np.array([["good"], ["bad good"], ["bad"]], dtype=object)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(0)
    words = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_mode="count")
    text = keras.Input((1,), dtype="string", name="text")
    score = keras.layers.Dense(1, "sigmoid", name="score")(words(text))
    model = keras.Model(text, score, name="mood")
    base = tmp_path_factory.mktemp("models")
    tfkit.export(model, base / "mood", sample=TEXTS, labels=["sad", "glad"])
    return base, model(keras.ops.convert_to_tensor(TEXTS)).numpy()


@pytest.mark.slow
@pytest.mark.serving
def test_answers_are_the_models_own_in_the_words_of_the_task(exported):
    base, scores = exported
    answers = rehearse(base, "mood", {"text": TEXTS}, {"score": scores})
    assert [each.request for each in answers] == [{"text": text} for (text,) in TEXTS]
    for each, score in zip(answers, scores[:, 0]):
        assert each.answer["label"] == ("glad" if score > 0.5 else "sad")
        assert each.answer["score"] == pytest.approx(max(score, 1 - score), abs=1e-4)
    with pytest.raises(tfkit.VerificationError, match=r"served, 'mood' answers .* the model says"):
        rehearse(base, "mood", {"text": TEXTS}, {"score": 1 - scores})


def test_a_recipe_serves_what_it_exports():
    with pytest.raises(tfkit.TfkitError, match="serves what it does not export"):
        tfkit.Recipe("toy", data=lambda: None, model=lambda hp: None, serve={"rows": 2})
