"""What a search sends to its workers: functions of all kinds, and data that is not copied."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfkit
from tfkit.memory import held
from tfkit.nests import leaves
from tfkit.pipeline.runners.shipped import packed, ship, unpacked, unship
from tfkit.pipeline.script import load_recipe

# Main program of its own: its functions can be imported from nowhere.
SHIPPING = """
import dataclasses, pathlib, sys
from tfkit.pipeline.runners.shipped import ship

FACTOR = 3

@dataclasses.dataclass
class Task:
    build: object
    def run(self, x):
        return self.build(x)

def made(offset):
    return lambda x: FACTOR * x + offset

ship(Task(made(1)), pathlib.Path(sys.argv[1]))
"""
UNSHIPPING = """
import pathlib, sys
from tfkit.pipeline.runners.shipped import unship
print(unship(pathlib.Path(sys.argv[1])).run(5), "tensorflow" in sys.modules)
"""


@dataclass(frozen=True)
class Task:
    build: Any = None
    callbacks: Any = ()
    data: Any = None


def test_functions_and_closures_of_a_main_program_arrive(tmp_path):
    for program, printed in ((SHIPPING, ""), (UNSHIPPING, "16 False\n")):
        child = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, timeout=60)
        assert (child.returncode, child.stdout.decode()) == (0, printed), child.stderr.decode()


RECIPE = """
import functools
import beside
import package.inner
import tfkit

@functools.lru_cache(maxsize=2)
def offset():
    return 1

def model(hp):
    return beside.factor() * hp + offset() + package.inner.nothing()

recipe = tfkit.Recipe("toy", data=lambda: None, model=model)
"""


def test_functions_of_a_recipe_arrive_with_what_is_beside_it(tmp_path):
    """Nothing that a child could import: the recipe's folder is on Python's path only while the recipe is read."""
    recipe = tmp_path / "recipes" / "toy.py"
    recipe.parent.mkdir()
    recipe.write_text(RECIPE)
    (recipe.parent / "beside.py").write_text("FACTOR = 3\ndef factor(): return FACTOR")
    (recipe.parent / "package").mkdir()
    (recipe.parent / "package" / "__init__.py").touch()
    (recipe.parent / "package" / "inner.py").write_text("def nothing(): return 0")
    task = Task(build=load_recipe(recipe).model)
    ship(task, tmp_path)
    program = "import pathlib, sys\nfrom tfkit.pipeline.runners.shipped import unship\n"
    program += "print(unship(pathlib.Path(sys.argv[1])).build(5))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # of the task's own class
    command = [sys.executable, "-c", program, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, timeout=60, env=environment)
    assert (child.returncode, child.stdout.decode()) == (0, "16\n"), child.stderr.decode()


def test_what_cannot_be_sent_is_named(tmp_path):
    lock = threading.Lock()
    with pytest.raises(tfkit.ParameterError, match=r"'lock', which build uses, cannot be sent to a worker \("):
        ship(Task(build=lambda hp: lock), tmp_path)
    with pytest.raises(tfkit.ParameterError, match="'callbacks' cannot be sent to a worker"):
        ship(Task(callbacks=[lock]), tmp_path)


def make_data():
    x = np.arange(4000.0, dtype="float32").reshape(100, 40)
    return tfkit.Data(
        ({"a": x, "text": np.array([f"row {row}" for row in range(100)])}, np.arange(100), np.ones(100)),
        (x[:10], np.array(["a", "b"] * 5, object)),
        test=(x, x),
        batch_size=16,
        seed=3,
    )


def test_arrays_arrive_in_their_order_and_the_test_part_does_not(tmp_path):
    data = make_data()
    ship(Task(data=data), tmp_path)
    arrived = unship(tmp_path).data
    assert arrived.test is None
    assert isinstance(arrived.train[1], np.memmap)
    assert arrived.validation[1].tolist() == data.validation[1].tolist()
    assert (arrived.batch_size, arrived.seed, arrived.rows("train")) == (16, 3, 100)
    for part, epochs in (("train", 2), ("validation", 1)):
        for one, other in zip(data.dataset(part).repeat(epochs), arrived.dataset(part).repeat(epochs), strict=True):
            flat = [leaves(each) for each in (one, other)]
            assert all(np.array_equal(a, b) for a, b in zip(*flat, strict=True))
    assert arrived.dataset("train").element_spec == data.dataset("train").element_spec


def test_mapped_arrays_are_not_copied(tmp_path):
    """Shuffling them does not either: TensorFlow's buffer would hold every row."""
    rows = np.random.default_rng(0).random((50_000, 1000), "float32")
    ship(Task(data=tfkit.Data((rows, rows[:, 0]), batch_size=100)), tmp_path)
    dataset = unship(tmp_path).data.dataset("train")
    before = held(os.getpid())
    for _ in dataset:
        pass
    assert held(os.getpid()) - before < rows.nbytes / 2


def test_datasets_arrive_as_they_were_read(tmp_path):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((np.arange(10.0), np.arange(10))).batch(4)
    task = Task(data=tfkit.Data(dataset, dataset.take(1)))
    ship(task, tmp_path / "one")
    for arrived in (unship(tmp_path / "one"), unpacked(packed(task), tmp_path / "other")):
        assert [batch[1].numpy().tolist() for batch in arrived.data.dataset("train")] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9],
        ]
        assert arrived.data.rows("validation") == 4
    with pytest.raises(tfkit.ParameterError, match="train part is a dataset without an end"):
        ship(Task(data=tfkit.Data(dataset.repeat())), tmp_path / "endless")
