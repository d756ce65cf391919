"""load_model, and the checks that a model is built and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit.errors import ModelError
from tfkit.formats.keras_files import load_h5, load_unzipped, load_zip

_OPENS = "tfkit opens .keras, .h5, .tflite and SavedModel folders"


def load_model(path: str | Path) -> Any:
    """Opens a saved model.

    What the registered plugins provide is found without an import: a model that was saved with one of
    their metrics, schedules or regularizers loads in a fresh process.

    Args:
        path: A .keras or .h5 file, a SavedModel folder or a .tflite file.

    Returns:
        A Keras model; for a SavedModel a `tfkit.formats.saved_model.SavedModel` and for a .tflite a
        `tfkit.formats.litert.LiteRT`, both callables that take arrays and give arrays.

    Raises:
        ModelError: There is no such file, it is no model, or it cannot be loaded; the text says which.

    Example:
        >>> load_model("nowhere.keras")
        Traceback (most recent call last):
        tfkit.errors.ModelError: there is no file or folder 'nowhere.keras'
    """
    if not isinstance(path, (str, Path)):
        raise ModelError(f"load_model takes the path of a model; got {type(path).__name__}")
    path = Path(path)
    if not path.exists():
        raise ModelError(f"there is no file or folder {str(path)!r}")
    if path.is_dir():
        return _load_folder(path)
    if path.name.endswith(".weights.h5"):
        raise ModelError(f"{str(path)!r} holds weights alone: build the model and call model.load_weights on it")
    if path.suffix not in _LOADERS:
        raise ModelError(f"{str(path)!r} is no model by its name: {_OPENS}")
    return _LOADERS[path.suffix](path)


def require_built(model: Any) -> Any:
    """Returns the model if it is a Keras model whose weights exist.

    Raises:
        ModelError: It is something else, or is not built; the text says how to build it.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"expected a Keras 3 model; got {type(model).__module__}.{type(model).__name__}")
    if not model.built:
        raise ModelError(
            f"model {model.name!r} is not built: begin it with keras.Input(shape), or call it once on a batch"
        )
    return model


def require_compiled(model: Any) -> Any:
    """Returns the model if it is built, and compiled with an optimizer and a loss.

    Raises:
        ModelError: It is not; the text says how to compile it.
    """
    require_built(model)
    if not model.compiled:
        raise ModelError(f"model {model.name!r} is not compiled: call model.compile(optimizer=…, loss=…, metrics=[…])")
    return model


def _load_folder(path: Path) -> Any:
    if (path / "saved_model.pb").is_file():
        from tfkit.formats.saved_model import SavedModel

        return SavedModel(path)
    if (path / "config.json").is_file() and (path / "model.weights.h5").is_file():
        return load_unzipped(path)
    raise ModelError(f"{str(path)!r} is a folder without a saved_model.pb; {_folder_hint(path)}")


def _folder_hint(path: Path) -> str:
    versions = sorted(
        (each for each in path.iterdir() if (each / "saved_model.pb").is_file()), key=lambda each: each.name
    )
    if versions:
        return f"it holds versions: name one, such as {str(versions[-1])!r}"
    if (path / "checkpoint").is_file():
        return "it holds a checkpoint: build the model and call model.load_weights"
    return _OPENS


def _load_litert(path: Path) -> Any:
    from tfkit.formats.litert import LiteRT

    return LiteRT(path)


_LOADERS = {
    ".keras": load_zip,
    ".h5": load_h5,
    ".hdf5": load_h5,
    ".tflite": _load_litert,
}
