"""Checks of exporters: what was written computes what the model computes, wherever the folder goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfkit.formats.named_model import NamedModel
from tfkit.registry import Plugin
from tfkit.testing.examples import Example, make, require, workable
from tfkit.testing.folders import files
from tfkit.testing.tiny import FEATURES, carried, classifier, outputs, require_nothing_left


def predicts_as_the_model(plugin: Plugin) -> None:
    """A new exporter reads the folder and predicts what the model predicts, under the names of its signature."""
    for example in workable(plugin):
        with _written(plugin, example) as folder:
            _require_same(plugin, example, folder, rows=5)


def takes_any_number_of_rows(plugin: Plugin) -> None:
    """It predicts for 1 and for 3 rows what the model predicts, whatever the sample's number of rows was."""
    for example in workable(plugin)[:1]:
        with _written(plugin, example) as folder:
            for rows in (1, 3):
                _require_same(plugin, example, folder, rows)


def folder_can_be_moved(plugin: Plugin) -> None:
    """The folder predicts the same under another name: it is renamed once it is verified."""
    for example in workable(plugin)[:1]:
        with _written(plugin, example) as folder:
            _require_same(plugin, example, folder.rename("moved"), rows=5)


def holds_no_path_of_the_machine(plugin: Plugin) -> None:
    """No file holds the absolute path of the folder that it was written to."""
    for example in workable(plugin)[:1]:
        with _written(plugin, example) as folder:
            path = str(folder.resolve().parent).encode()
            bad = [str(file.relative_to(folder)) for file in files(folder) if path in file.read_bytes()]
            require(not bad, f"{', '.join(bad)} holds the path of the machine that it was written on")


def writes_in_its_folder_alone(plugin: Plugin) -> None:
    """It writes files into the folder that it is given, and nowhere else in the working folder."""
    for example in workable(plugin)[:1]:
        with _written(plugin, example) as folder:
            require(files(folder), f"{dict(example)} writes no file")
            beside = [str(path) for path in files(Path.cwd()) if folder.resolve() not in path.resolve().parents]
            require(not beside, f"{dict(example)} writes beside its folder: {', '.join(beside)}")


def leaves_the_model_as_it_was(plugin: Plugin) -> None:
    """The model has its weights, and what else it carries, after it was written."""
    import numpy as np

    for example in workable(plugin)[:1]:
        model = classifier()
        weights, before = model.get_weights(), carried(model)
        with _written(plugin, example, model):
            same = all(map(np.array_equal, weights, model.get_weights()))
        require(same, "write() changes the model's weights")
        require_nothing_left(before, carried(model))


def _sample(model: NamedModel, rows: int) -> dict[str, Any]:
    import numpy as np

    return model.arrange(np.random.default_rng(0).normal(size=(rows, FEATURES)))


@contextmanager
def _written(plugin: Plugin, example: Example, model: Any = None) -> Iterator[Path]:
    """The folder that a model, by default the tiny classifier, was written to; gone after the block."""
    named = NamedModel(classifier() if model is None else model)
    folder = Path.cwd() / "written"
    folder.mkdir()
    make(plugin, example).write(named, folder, _sample(named, 5))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_same(plugin: Plugin, example: Example, folder: Path, rows: int) -> None:
    """Compares what the folder predicts with a model like the one that was written."""
    import numpy as np

    model = NamedModel(classifier())
    sample = _sample(model, rows)
    found, right = make(plugin, example).predict(folder, sample), model(sample)
    require(found.keys() == right.keys(), f"{dict(example)} predicts {sorted(found)}, the model {sorted(right)}")
    for got, wanted in zip(outputs([found[name] for name in right]), outputs(right)):
        told = f"{dict(example)} predicts the shape {got.shape} for {rows} rows, the model {wanted.shape}"
        require(got.shape == wanted.shape, told)
        largest = float(np.abs(got - wanted).max())
        require(largest < 1e-4, f"{dict(example)} predicts otherwise than the model, by up to {largest:.3g}")


CHECKS = (
    predicts_as_the_model,
    takes_any_number_of_rows,
    folder_can_be_moved,
    holds_no_path_of_the_machine,
    writes_in_its_folder_alone,
    leaves_the_model_as_it_was,
)
