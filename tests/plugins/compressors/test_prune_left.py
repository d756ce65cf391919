"""What prune leaves: zeros, and nothing else."""

import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
from prune_models import DATA, fit, mlp, prune, zeros

from tfkit_compressors.pruning.prune import Prune


def contents(model, path):
    """Everything that a saved model holds but its numbers."""
    model.save(path)
    with zipfile.ZipFile(path) as file:
        config = re.sub(rb'"shared_object_id": [0-9]+', b"", file.read("config.json"))
        with h5py.File(file.open("model.weights.h5")) as weights:
            shapes = {}
            weights.visititems(lambda name, item: shapes.update({name: getattr(item, "shape", None)}))
    return config, shapes


def test_nothing_is_left(tmp_path):
    plain, pruned = (mlp(keras.optimizers.Adam(name="adam"), constraint="max_norm") for _ in range(2))
    fit(plain)
    constraints = [variable.constraint for variable in pruned.variables]
    fit(pruned, prune())
    assert [variable.constraint for variable in pruned.variables] == constraints
    assert vars(pruned).keys() == vars(plain).keys()
    assert pruned.train_function is None
    assert [v.path for v in pruned.optimizer.variables] == [v.path for v in plain.optimizer.variables]
    assert contents(pruned, tmp_path / "pruned.keras") == contents(plain, tmp_path / "plain.keras")


def test_nothing_is_left_after_an_error():
    model = mlp()

    def fail(batch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, prune(), keras.callbacks.LambdaCallback(on_train_batch_end=fail))
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]
    fit(model, epochs=1)
    assert zeros(model) == [0, 0]


def test_a_callback_can_be_used_again():
    callback = prune()
    for _ in range(2):
        model = mlp()
        fit(model, callback)
        assert zeros(model) == [256, 80]


def test_a_fit_of_no_epochs_prunes_nothing():
    model = mlp()
    fit(model, prune(), epochs=0)
    assert zeros(model) == [0, 0]
    assert [layer.kernel.constraint for layer in model.layers] == [None, None]


def test_compress_without_training_keeps_the_largest(tmp_path):
    model = mlp()
    before = model.get_layer("hidden").kernel.numpy()
    made = Prune(0.8).compress(model, DATA, epochs=0, directory=tmp_path)
    expected = np.where(abs(before) >= np.sort(abs(before).ravel())[-64], before, 0)
    np.testing.assert_array_equal(made.model.get_layer("hidden").kernel.numpy(), expected)
    assert made.notes == ()
    assert int(model.optimizer.iterations) == 0


def test_weights_that_another_callback_restores_at_the_end_have_the_zeros_of_the_end():
    model = mlp()
    # The first epoch counts as the best: it has fewer zeros than were asked for.
    stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=99, restore_best_weights=True)
    early = []
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: early.append(zeros(model)))
    fit(model, prune(sparsity=0.8), seen, stopping, epochs=4)
    assert early[0] < [256, 80]
    assert zeros(model) == [256, 80]
