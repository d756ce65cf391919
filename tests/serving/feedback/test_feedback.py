"""Rolling quality and the bounded memory, against values worked out by hand and by numpy."""

import numpy as np
import pytest

from tfkit_serving.feedback import FeedbackBook, Prediction, PredictionMemory, RollingQuality, UnknownPrediction


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_accuracy_is_that_of_the_last_rows():
    quality = RollingQuality(rows=50)
    generator = np.random.default_rng(0)
    predicted, labels = generator.integers(0, 3, 200), generator.integers(0, 3, 200)
    for one, two in zip(predicted, labels):
        quality.add(str(one), str(two))
    now = quality.now()
    assert now.rows == 50
    assert now.accuracy == np.mean(predicted[-50:] == labels[-50:])
    assert quality.count == 200


def test_errors_of_values_are_numpys():
    quality = RollingQuality()
    values, labels = np.random.default_rng(1).normal(size=(2, 100))
    for one, two in zip(values.tolist(), labels.tolist()):
        quality.add(one, two)
    now = quality.now()
    assert now.accuracy is None
    assert now.mean_absolute_error == pytest.approx(np.abs(values - labels).mean())
    assert now.root_mean_squared_error == pytest.approx(np.sqrt(((values - labels) ** 2).mean()))


def test_old_rows_leave_the_window():
    clock = Clock()
    quality = RollingQuality(seconds=60, clock=clock)
    quality.add("a", "b")
    clock.now = 30
    quality.add("a", "a")
    assert quality.now().accuracy == 0.5
    clock.now = 61
    assert quality.now().accuracy == 1.0
    clock.now = 1000
    assert quality.now().rows == 0


def test_memory_is_bounded_in_number_and_age():
    clock = Clock()
    memory = PredictionMemory(size=100, seconds=60, clock=clock)
    for number in range(1000):
        memory.remember(str(number), Prediction("m", 1, ("a",)))
    assert len(memory) == 100
    assert memory.look("m", "899") is None
    assert memory.look("m", "900").answers == ("a",)
    assert memory.look("other", "900") is None
    clock.now = 61
    assert len(memory) == 0


def test_a_label_counts_once_and_by_version():
    book = FeedbackBook()
    for number in range(4):
        book.remember(f"id-{number}", Prediction("m", number % 2, ("cat", "dog")))
    for number in range(4):
        book.add("m", f"id-{number}", ["cat", "dog" if number % 2 else "cat"])
    with pytest.raises(UnknownPrediction, match="labelled before"):
        book.add("m", "id-0", ["cat", "dog"])
    found = {version: (count, quality.accuracy) for _, version, count, quality in book.qualities()}
    assert found == {0: (4, 0.5), 1: (4, 1.0)}
    assert book.waiting == 0


@pytest.mark.parametrize(
    ("answers", "labels", "words"),
    [
        (("cat",), ["cat", "cat"], "had 1 rows and takes as many labels; got 2"),
        (("cat",), [1], "a class, a string; got 1"),
        ((1.0,), ["cat"], "a number that float32 holds; got 'cat'"),
        ((1.0,), [True], "a number that float32 holds; got True"),
        ((1.0,), [1e308], "a number that float32 holds; got 1e.308"),
        ((1.0,), [float("nan")], "a number that float32 holds; got nan"),
    ],
)
def test_wrong_labels_are_refused_and_the_prediction_stays(answers, labels, words):
    book = FeedbackBook()
    book.remember("id", Prediction("m", 1, answers))
    with pytest.raises(ValueError, match=words):
        book.add("m", "id", labels)
    assert book.waiting == 1
