"""tfkit: measure, train, search, compress, export and serve Keras 3 models; every step is a plugin."""

from tfkit.data import Data
from tfkit.errors import (
    ConversionError,
    DataError,
    ModelError,
    ParameterError,
    PluginConflict,
    PluginNotFound,
    RecipeError,
    RunError,
    TfkitError,
    VerificationError,
)
from tfkit.factory import callback, create
from tfkit.hooks import hookimpl
from tfkit.protocols import Compressed, Compressor, Exporter
from tfkit.registry import plugins
from tfkit.spec import Command, Spec

__version__ = "0.1.0"

__all__ = [
    "Command",
    "Compressed",
    "Compressor",
    "ConversionError",
    "Data",
    "DataError",
    "Exporter",
    "ModelError",
    "ParameterError",
    "PluginConflict",
    "PluginNotFound",
    "RecipeError",
    "RunError",
    "Spec",
    "TfkitError",
    "VerificationError",
    "callback",
    "create",
    "hookimpl",
    "plugins",
]
