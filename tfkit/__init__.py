"""tfkit: measure, train, search, compress, export and serve Keras 3 models; every step is a plugin."""

import importlib
from typing import TYPE_CHECKING, Any

from tfkit.errors import (
    ConversionError,
    DataError,
    DeviceNotFound,
    ModelError,
    ParameterError,
    PluginConflict,
    PluginNotFound,
    RecipeError,
    RunError,
    SearchError,
    TfkitError,
    VerificationError,
)
from tfkit.factory import callback, create
from tfkit.hooks import hookimpl
from tfkit.registry import plugins
from tfkit.spec import Command, Spec

if TYPE_CHECKING:
    from tfkit.architecture import hypermodel
    from tfkit.data import Data
    from tfkit.measurement import Measurement, measure
    from tfkit.models import load_model
    from tfkit.pipeline.autotune import Autotuned, autotune
    from tfkit.pipeline.batch_finder import BatchSizes, find_batch_size
    from tfkit.pipeline.compare import Comparison, compare
    from tfkit.pipeline.compress import compress
    from tfkit.pipeline.evaluate import Interval, evaluate
    from tfkit.pipeline.export import Export, export
    from tfkit.pipeline.program import main
    from tfkit.pipeline.range_finder import LearningRates, find_learning_rate
    from tfkit.pipeline.result import CompressionResult
    from tfkit.pipeline.run import RunResult, run
    from tfkit.pipeline.search import search
    from tfkit.pipeline.search_result import SearchResult
    from tfkit.pipeline.sensitivity import sensitivity
    from tfkit.protocols import Compressed, Compressor, Exporter
    from tfkit.recipe import Recipe
    from tfkit.tuning import tunable

__version__ = "0.1.0"

# Imported when they are first asked for: a list of plugins or a page of help needs none of them.
_LATER = {
    "Autotuned": "tfkit.pipeline.autotune",
    "BatchSizes": "tfkit.pipeline.batch_finder",
    "Comparison": "tfkit.pipeline.compare",
    "CompressionResult": "tfkit.pipeline.result",
    "Compressed": "tfkit.protocols",
    "Compressor": "tfkit.protocols",
    "Data": "tfkit.data",
    "Export": "tfkit.pipeline.export",
    "Exporter": "tfkit.protocols",
    "Interval": "tfkit.pipeline.evaluate",
    "LearningRates": "tfkit.pipeline.range_finder",
    "Measurement": "tfkit.measurement",
    "Recipe": "tfkit.recipe",
    "RunResult": "tfkit.pipeline.run",
    "SearchResult": "tfkit.pipeline.search_result",
    "autotune": "tfkit.pipeline.autotune",
    "compare": "tfkit.pipeline.compare",
    "compress": "tfkit.pipeline.compress",
    "evaluate": "tfkit.pipeline.evaluate",
    "export": "tfkit.pipeline.export",
    "find_batch_size": "tfkit.pipeline.batch_finder",
    "find_learning_rate": "tfkit.pipeline.range_finder",
    "hypermodel": "tfkit.architecture",
    "load_model": "tfkit.models",
    "main": "tfkit.pipeline.program",
    "measure": "tfkit.measurement",
    "run": "tfkit.pipeline.run",
    "search": "tfkit.pipeline.search",
    "sensitivity": "tfkit.pipeline.sensitivity",
    "tunable": "tfkit.tuning",
}

__all__ = [
    "Autotuned",
    "BatchSizes",
    "Command",
    "Comparison",
    "Compressed",
    "CompressionResult",
    "Compressor",
    "ConversionError",
    "Data",
    "DataError",
    "DeviceNotFound",
    "Export",
    "Exporter",
    "Interval",
    "LearningRates",
    "Measurement",
    "ModelError",
    "ParameterError",
    "PluginConflict",
    "PluginNotFound",
    "Recipe",
    "RecipeError",
    "RunError",
    "RunResult",
    "SearchError",
    "SearchResult",
    "Spec",
    "TfkitError",
    "VerificationError",
    "autotune",
    "callback",
    "compare",
    "compress",
    "create",
    "evaluate",
    "export",
    "find_batch_size",
    "find_learning_rate",
    "hookimpl",
    "hypermodel",
    "load_model",
    "main",
    "measure",
    "plugins",
    "run",
    "search",
    "sensitivity",
    "tunable",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'tfkit' has no attribute {name!r}")
    globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
