"""Checks of compressors: what they make predicts, and what they install for a fit goes again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.data import Data
from tfkit.errors import ModelError
from tfkit.registry import Plugin
from tfkit.testing.examples import Example, make, require, workable
from tfkit.testing.folders import files, lasting_folder
from tfkit.testing.shared import shared
from tfkit.testing.tiny import (
    CLASSES,
    carried,
    category_classifier,
    category_data,
    classifier,
    data,
    fit,
    outputs,
    require_finite,
    require_nothing_left,
)

if TYPE_CHECKING:
    from tfkit.protocols import Compressed


@dataclass(frozen=True)
class Run:
    """One call of `compress` on the tiny classifier.

    Attributes:
        made: What it gave.
        model: The model that it was given.
        data: What it was trained on.
        inside: The files in the directory that it was given.
        beside: The files that it wrote elsewhere in the working folder.
    """

    made: Compressed
    model: Any
    data: Data
    inside: tuple[Path, ...]
    beside: tuple[Path, ...]


def result_predicts(plugin: Plugin) -> None:
    """`compress` gives a Compressed with a model or an artifact, which predicts finite values of the right shape."""
    import numpy as np

    from tfkit.protocols import Compressed

    for example in workable(plugin):
        run = _run(plugin, example, epochs=1)
        made, sample = run.made, run.data.sample(5)
        require(isinstance(made, Compressed), f"compress() gives a {type(made).__name__}, not a tfkit.Compressed")
        require(made.model is not None or made.artifacts, f"{dict(example)} gives neither a model nor an artifact")
        for label, predict in _predictors(made):
            got = outputs(predict(sample))
            shapes = [each.shape for each in got]
            require(shapes == [(5, CLASSES)], f"the {label} of {dict(example)} predicts shapes {shapes}")
            require(np.isfinite(got[0]).all(), f"the {label} of {dict(example)} predicts NaN or infinity")


def artifacts_are_files_in_the_directory(plugin: Plugin) -> None:
    """Each artifact is a file in the directory that it was given; nothing is written beside it."""
    for example in workable(plugin)[:1]:
        run = _run(plugin, example, epochs=1)
        lost = [str(path) for path in run.made.artifacts.values() if Path(path).resolve() not in run.inside]
        require(not lost, f"artifacts that are no file in the directory: {', '.join(lost)}")
        require(not run.beside, f"files written beside the directory: {', '.join(map(str, run.beside))}")


def no_epochs_train_nothing(plugin: Plugin) -> None:
    """With epochs=0 no optimizer takes a step."""
    for example in workable(plugin)[:1]:
        run = _run(plugin, example, epochs=0)
        for each in (run.model, run.made.model):
            steps = int(each.optimizer.iterations) if getattr(each, "optimizer", None) else 0
            require(steps == 0, f"{dict(example)} trains {steps} steps when it is given epochs=0")


def callback_leaves_nothing_behind(plugin: Plugin) -> None:
    """If it has `callback()`: a fit with that ends finite, and the model carries what it carried before."""
    for example in workable(plugin)[:1]:
        product = make(plugin, example)
        if not hasattr(product, "callback"):
            return
        model = classifier()
        before = carried(model)
        fit(model, product.callback())
        require_finite(model, f"after a fit with {dict(example)}")
        require_nothing_left(before, carried(model))


@shared
def _run(plugin: Plugin, example: Example, epochs: int) -> Run:
    directory, before = lasting_folder(), set(files(Path.cwd()))
    model, rows, made = _compressed(make(plugin, example), epochs, directory)
    beside = tuple(path for path in files(Path.cwd()) if path not in before)
    return Run(made, model, rows, tuple(files(directory)), beside)


def _compressed(compressor: Any, epochs: int, directory: Path) -> tuple[Any, Data, Compressed]:
    """The model that it was given, its data, and what it made; a model of categories where it refuses the first."""
    model, rows = classifier(), data()
    try:
        return model, rows, compressor.compress(model, rows, epochs=epochs, directory=directory)
    except ModelError:
        model, rows = category_classifier(), category_data()
        return model, rows, compressor.compress(model, rows, epochs=epochs, directory=directory)


def _predictors(made: Compressed) -> Iterator[tuple[str, Any]]:
    if made.model is not None:
        yield "model", made.model
    if "litert" in made.artifacts:
        from tfkit.formats.litert import LiteRT

        yield "litert artifact", LiteRT(made.artifacts["litert"])


CHECKS = (
    result_predicts,
    artifacts_are_files_in_the_directory,
    no_epochs_train_nothing,
    callback_leaves_nothing_behind,
)
