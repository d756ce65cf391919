"""Channel pruning with smaller shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import keras

from tfkit import Compressed, Data, ModelError
from tfkit.attach.training import train
from tfkit.models import require_compiled
from tfkit.pipeline.copies import recompiled
from tfkit_compressors.shrinking.budget import Cost, parameters, within
from tfkit_compressors.shrinking.build import shrunk
from tfkit_compressors.shrinking.importance import Own
from tfkit_compressors.shrinking.measured import best_multiple
from tfkit_compressors.shrinking.plan import Plan, plan
from tfkit_compressors.shrinking.ranking import Ranking
from tfkit_compressors.shrinking.verified import require_equal

# Reasons for which no note is worth a line.
_USUAL = ("it is an input of the model", "it is an output of the model")
_TOLD = 6


class Shrink:
    """Removes whole channels, units and heads: the model that is left has smaller layers, and is faster anywhere.

    Channels that an Add, a BatchNormalization, a Concatenate or the like ties together go together; inputs and
    outputs of the model keep their shapes. What is removed is what `masked(plan)` sets to zero, and the smaller
    model computes the same. Operations that mix channels, such as LayerNormalization and softmax, and those
    that tfkit does not know keep the channels that they touch, and are named in the notes.

    Args:
        ratio: Share of the units that go, of each group; with a budget the largest share that any group loses.
        importance: What goes last: "l2", "l1", "taylor", "activation", "bn-scale", or a function, see
            `tfkit_compressors.shrinking.importance.Importances`. Units that are zero already go first.
        multiple_of: What the number of units that stay in a group is a multiple of, rounded up; "auto"
            measures which multiple suits this machine, in a few seconds.
        budget: Share of the source's cost that may stay, such as 0.5; units are then ranked over the
            whole model, and as few go as keep it. None removes `ratio` of each group.
        cost: What the budget counts: "parameters", "bytes" (of the weights), "flops" or "latency" (measured).

    Raises:
        ParameterError: A budget that cannot be kept.

    Example:
        >>> import numpy as np
        >>> hidden = keras.layers.Dense(8, name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2)])
        >>> data = Data((np.ones((4, 4)), np.ones((4, 2))))
        >>> made = Shrink(0.75).compress(model, data, epochs=0, directory=Path())
        >>> made.model.get_layer("hidden").units
        2
    """

    def __init__(
        self,
        ratio: float,
        importance: Literal["l2", "l1", "taylor", "activation", "bn-scale"] | Own = "l2",
        multiple_of: int | Literal["auto"] = 1,
        budget: float | None = None,
        cost: Cost = "parameters",
    ) -> None:
        self.ratio = ratio
        self.importance = importance
        self.multiple_of = multiple_of
        self.budget = budget
        self.cost = cost

    def compress(self, model: keras.Model, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Removes units, then trains what is left on the train part.

        Args:
            model: A built Functional or Sequential model, compiled where epochs is not 0 and for "taylor";
                it stays as it is.
            data: The train part is fitted, and read for "taylor" and "activation".
            epochs: Epochs of training; 0 trains nothing.
            directory: Not used.

        Raises:
            ModelError: The model is subclassed, not built, not compiled, or nothing of it can go.
            ParameterError: The budget cannot be kept.
            VerificationError: What is made computes something else than the source without those channels.
        """
        if epochs:
            require_compiled(model)
        found, notes = self._chosen(plan(model), data)
        made = shrunk(found)
        require_equal(found, made, data)
        if model.compiled:
            recompiled(made, model).optimizer.build(made.trainable_variables)  # or it saves what does not load
        if epochs:
            train(made, data, epochs)
        return Compressed(made, notes=(*notes, *_stays(found)))

    def _chosen(self, source: Plan, data: Data) -> tuple[Plan, list[str]]:
        """The plan with what goes, and what is to be said of it."""
        if not source.free:
            told = "; ".join(f"{group.name} stays: {group.reason}" for group in source.groups[:_TOLD])
            raise ModelError(f"model {source.model.name!r} has nothing to shrink: {told or 'it has no kernels'}")
        multiple, notes = (self.multiple_of, []) if self.multiple_of != "auto" else _measured()
        ranking = Ranking(source, self.importance, data, multiple_of=multiple)
        if self.budget is None:
            found = ranking.cut(self.ratio)
        else:
            found, note = within(ranking, budget=self.budget, cost=self.cost, ratio=self.ratio, sample=data.sample())
            notes.append(note)
        return found, [_summary(found), *notes, *ranking.notes, *_rounded(found, multiple)]


def _measured() -> tuple[int, list[str]]:
    multiple, note = best_multiple()
    return multiple, [note]


def _summary(found: Plan) -> str:
    gone = sum(row["removed"] for row in found.table)
    total = sum(row["units"] for row in found.table)
    before, after = (parameters(each) for each in (found.without(()), found))
    return f"{gone} of {total} channels gone, {before:,} to {after:,} parameters"


def _rounded(found: Plan, multiple: int) -> Iterator[str]:
    if found.rounded:
        yield f"whole, since counts stay multiples of {multiple}: {_listed(found.rounded)}"


def _stays(found: Plan) -> Iterator[str]:
    """A note for each reason for which channels stay that have weights."""
    by_reason: dict[str, list[str]] = {}
    for group in found.groups:
        if group.reason and group.reason not in _USUAL:
            by_reason.setdefault(group.reason, []).append(group.name)
    yield from (f"{_listed(names)} stays: {reason}" for reason, names in by_reason.items())


def _listed(names: Sequence[str]) -> str:
    told = "; ".join(names[:_TOLD])
    return told if len(names) <= _TOLD else f"{told}; and {len(names) - _TOLD} more"
