"""Team: the workers of a cluster that run one recipe. The chief does every stage; the others train with it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfkit.cluster import VARIABLE, cluster_here
from tfkit.errors import ParameterError
from tfkit.factory import create
from tfkit.pipeline.folder import plain_json
from tfkit.progress import say
from tfkit.recipe import Recipe, Step, step_name

_STRATEGY = "multi-worker"
_BACKUP = "backup"


@dataclass(frozen=True)
class Team:
    """This process's place among the workers.

    Attributes:
        strategy: The strategy that joins them.
        is_chief: Whether this one does every stage and writes the run's folder.
    """

    strategy: Any
    is_chief: bool

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tells every other worker, which waits for it in `hear`: of the chief."""
        from tfkit.attach.replicas.agreement import from_chief

        from_chief(self.strategy, json.dumps(plain_json(dict(message))))

    def hear(self) -> dict[str, Any]:
        """What the chief tells next: of the others."""
        from tfkit.attach.replicas.agreement import from_chief

        return dict(json.loads(from_chief(self.strategy, "")))


def join(recipe: Recipe) -> Team | None:
    """Joins the workers that TF_CONFIG names; None where this process is alone. Nothing may use TensorFlow before.

    Raises:
        ParameterError: TF_CONFIG is malformed, or the recipe trains under a strategy of one machine.
    """
    here = cluster_here()
    if here is None or len(here.addresses) == 1:
        return None
    name = _STRATEGY if recipe.train.strategy is None else step_name(recipe.train.strategy)[0]
    if name.rpartition("/")[2] != _STRATEGY:
        raise ParameterError(
            f"recipe {recipe.name!r} trains under {name!r} on one machine, and {VARIABLE} names {len(here.addresses)} "
            f"workers: leave the strategy out, or say {_STRATEGY!r}"
        )
    say(f"{here.name}: waits until all {len(here.addresses)} workers are there")
    return Team(create("strategy", name), here.is_chief)


def with_team(recipe: Recipe, directory: Path) -> Recipe:
    """The recipe as workers train it: under their strategy, and with a backup, of each worker below the directory."""
    section = recipe.train
    parts: tuple[Step, ...] = tuple(section.callbacks)
    if not any(step_name(each)[0].rpartition("/")[2] == _BACKUP for each in parts):
        parts += ((_BACKUP, {"directory": directory / _BACKUP}),)
    return replace(recipe, train=replace(section, strategy=section.strategy or _STRATEGY, callbacks=parts))


def follow(recipe: Recipe, team: Team, smoke: bool) -> dict[str, Any]:
    """What a worker that is not the chief does: trains when the chief does, until that has finished.

    Args:
        recipe: The recipe.
        team: Its team.
        smoke: As for `tfkit.run`.

    Returns:
        What the chief tells last.
    """
    from tfkit.pipeline.context import recipe_data
    from tfkit.pipeline.fit import train

    while "values" in (message := team.hear()):
        data = recipe_data(recipe, smoke).without_test()
        model, _, _ = train(with_team(recipe, Path(message["directory"])), data, message["values"])
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder, "model.keras"))  # which the chief does too, and which may exchange variables
    return message
