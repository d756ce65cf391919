import keras
import numpy as np
import pytest

import tfkit
from tfkit.pipeline.fit import train


def test_a_recipe_whose_training_runs_away_keeps_numbers_and_says_so():
    def model(hp):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), keras.layers.Dense(1, name="head")])
        made.compile(keras.optimizers.SGD(1e6), "mse")
        return made

    data = tfkit.Data((np.ones((64, 2)), np.ones(64)), batch_size=8)
    recipe = tfkit.Recipe("runaway", lambda: data, model, metrics=["mse"], train={"epochs": 3})
    with pytest.warns(RuntimeWarning, match="the next step is not finite"):
        trained, history, findings = train(recipe, data, {})
    assert all(np.isfinite(each).all() for each in trained.get_weights())
    assert len(history["loss"]) < 3
    assert findings[0]["fault"] == "divergence"
