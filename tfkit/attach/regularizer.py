"""RegularizerCallback: a regularizer or constraint for one `fit` of a model that is built already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import keras

from tfkit.attach.attached import Attached
from tfkit.attach.variables import (
    add_constraint,
    add_regularizer,
    excluded,
    named_variables,
    remove_constraint,
    remove_regularizer,
)
from tfkit.errors import ModelError


@dataclass(frozen=True)
class Where:
    """Parameters that every regularizer's callback takes besides the regularizer's own."""

    where: Annotated[str, "Name of the variables to act on: 'kernel', 'bias', 'embeddings', … or 'all'."] = "kernel"
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()


class RegularizerCallback(Attached):
    """Attaches a regularizer or constraint to the variables of a built model until the fit ends.

    Args:
        part: A `keras.regularizers.Regularizer` or a `keras.constraints.Constraint`.
        where: Name of the variables; "kernel" also takes recurrent, pointwise and depthwise kernels.
        exclude: Layers to leave out, by name or type.

    Raises:
        ModelError: When the fit begins, if the model has no such variable.
    """

    params = Where

    def __init__(self, part: Any, where: str = "kernel", exclude: Sequence[str] = ()) -> None:
        super().__init__()
        self.part = part
        self.where = where
        self.exclude = tuple(exclude)
        self._variables: list[keras.Variable] = []

    def install(self, model: keras.Model) -> None:
        add = add_constraint if isinstance(self.part, keras.constraints.Constraint) else add_regularizer
        self._variables = self._chosen(model)
        for variable in self._variables:
            add(variable, self.part)

    def uninstall(self, model: keras.Model) -> None:
        remove = remove_constraint if isinstance(self.part, keras.constraints.Constraint) else remove_regularizer
        for variable in self._variables:
            remove(variable, self.part)
        self._variables = []

    def _chosen(self, model: keras.Model) -> list[keras.Variable]:
        found = [(layer, name, variable) for layer, name, variable in named_variables(model)]
        chosen = [
            variable
            for layer, name, variable in found
            if (self.where == "all" or name == self.where or name.endswith(f"_{self.where}"))
            and not excluded(layer, self.exclude)
        ]
        if not chosen:
            names = ", ".join(sorted({name for _, name, _ in found})) or "none"
            raise ModelError(f"no variable of the model is a {self.where!r}; its trainable variables are: {names}")
        return chosen
