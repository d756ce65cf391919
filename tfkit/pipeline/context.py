"""Context: what the stages of one run share."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.data import Data
from tfkit.errors import RecipeError
from tfkit.models import load_model
from tfkit.pipeline.folder import RunFolder, write_json
from tfkit.pipeline.team import Team
from tfkit.recipe import Recipe

_SMOKE_ROWS = 512


@dataclass(frozen=True)
class Context:
    """A recipe and the folder of its run.

    Attributes:
        recipe: The recipe, overrides applied.
        folder: The run's folder.
        smoke: Whether the run only shows that everything works, on a few rows.
        team: The workers that train with this process, if any.
    """

    recipe: Recipe
    folder: RunFolder
    smoke: bool = False
    team: Team | None = None

    @functools.cached_property
    def data(self) -> Data:
        """The recipe's data."""
        return recipe_data(self.recipe, self.smoke)

    def path(self, name: str) -> Path:
        """A file or folder of the run."""
        return self.folder.path / name

    def relative(self, path: str | Path) -> str:
        """A path below the run's folder, as the run's files name it."""
        return str(Path(path).resolve().relative_to(self.folder.path.resolve()))

    def clean(self, *names: str) -> None:
        """Removes what an interrupted stage has left."""
        for name in names:
            if self.path(name).is_dir():
                shutil.rmtree(self.path(name))
            else:
                self.path(name).unlink(missing_ok=True)

    def save(self, name: str, content: Any) -> None:
        """Writes a JSON file of the run in one step."""
        write_json(self.path(name), content)

    def read(self, name: str, default: Any = None) -> Any:
        """A JSON file of the run, or `default` where there is none."""
        path = self.path(name)
        return json.loads(path.read_text()) if path.exists() else default

    def model(self, name: str = "model.keras") -> Any:
        """A model of the run, as it lies on disk."""
        return load_model(self.path(name))


def recipe_data(recipe: Recipe, smoke: bool) -> Data:
    """A recipe's data; a few rows of it for a run that only shows that everything works.

    Raises:
        RecipeError: The recipe's data function returns something else.
    """
    made = recipe.data()
    if not isinstance(made, Data):
        raise RecipeError(
            f"the data function of recipe {recipe.name!r} must return a tfkit.Data; got {type(made).__name__}"
        )
    return made.head(_SMOKE_ROWS) if smoke else made
