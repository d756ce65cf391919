"""Strings of shape (rows,), as `keras.Input((), dtype="string")` takes them."""

import numpy as np

from tfkit.formats.profile import take_profile
from tfkit_serving.drift import DriftObserver


def test_strings_without_a_second_axis_are_watched():
    generator = np.random.default_rng(0)
    words = np.array(["good", "bad", "fine", "poor"], dtype=object)
    texts = generator.choice(words, 2000)
    observer = DriftObserver(take_profile({"text": texts}, {}, task=None), window=1000, minimum=100)
    psi = []
    for seen in (generator.choice(words, 1000), generator.choice(words[:1], 1000)):
        observer.observe({"text": seen}, {})
        psi.append(max(value for name, labels, value in observer.metrics() if name == "tfkit_drift_psi"))
    assert psi[0] < 0.1
    assert psi[1] > 0.25
