"""Recipe scripts: Python files that define `recipe`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from tfkit.errors import RecipeError, TfkitError
from tfkit.recipe import Recipe


def load_recipe(path: str | Path) -> Recipe:
    """Runs a recipe script, not as the main program, and returns its `recipe`.

    Args:
        path: The script.

    Raises:
        RecipeError: There is no such file, it cannot be run (the text names the line), or it defines no recipe.
    """
    file = Path(path)
    if not file.is_file():
        raise RecipeError(f"there is no recipe script {str(path)!r}")
    module = _run(file)
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        found = "it has no such name" if recipe is None else f"it is {type(recipe).__name__}"
        raise RecipeError(f"{path} must define recipe = tfkit.Recipe(…) at module level; {found}")
    return recipe


def _run(file: Path) -> ModuleType:
    name = f"tfkit_recipe_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise RecipeError(f"{file} is not a Python script: a recipe's name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Keras and pickle look classes up by their module's name.
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except TfkitError:
        raise
    except SyntaxError as error:
        raise RecipeError(f"{file}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise RecipeError(f"{file}, line {_line(error, file)}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    return module


def _line(error: Exception, file: Path) -> int:
    """The last line of the script that the error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file.resolve())]
    return (lines[-1] if lines else 0) or 0
