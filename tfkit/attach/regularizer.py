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
    named_variables,
    remove_constraint,
    remove_regularizer,
)
from tfkit.errors import ModelError
from tfkit.models import require_built


@dataclass(frozen=True)
class Where:
    """Parameters that every regularizer's callback takes besides the regularizer's own."""

    where: Annotated[str, "Name of the variables to act on: 'kernel', 'bias', 'embeddings', … or 'all'."] = "kernel"
    exclude: Annotated[tuple[str, ...], "Layers to leave out, by name or type."] = ()


class RegularizerCallback(Attached):
    """Attaches a regularizer or constraint to the variables of a built model until the fit ends.

    Args:
        part: A `keras.regularizers.Regularizer` or a `keras.constraints.Constraint`; where it has `for_optimizer`, what
            that gives for the fit's optimizer is attached.
        where: Name of the variables; "kernel" also takes recurrent, pointwise and depthwise kernels.
        exclude: Layers to leave out, by name or type.

    Raises:
        ModelError: When the fit begins, if the model is not built or has no such variable.
    """

    params = Where

    def __init__(self, part: Any, where: str = "kernel", exclude: Sequence[str] = ()) -> None:
        super().__init__()
        is_constraint = isinstance(part, keras.constraints.Constraint)
        self._add, self._take_off = (
            (add_constraint, remove_constraint) if is_constraint else (add_regularizer, remove_regularizer)
        )
        self.part = part
        self._attached = part
        self.where = where
        self.exclude = tuple(exclude)
        self._variables: list[keras.Variable] = []

    def install(self, model: keras.Model) -> None:
        self._variables = self._chosen(require_built(model))
        self._attached = self.part.for_optimizer(model.optimizer) if hasattr(self.part, "for_optimizer") else self.part
        for variable in self._variables:
            self._add(variable, self._attached)
        model.test_function = None

    def uninstall(self, model: keras.Model) -> None:
        for variable in self._variables:
            self._take_off(variable, self._attached)
        self._variables = []
        # It was traced with the penalty in its loss.
        model.test_function = None

    def _chosen(self, model: keras.Model) -> list[keras.Variable]:
        found = list(named_variables(model, self.exclude))
        chosen = [variable for _, name, variable in found if self._is_meant(name)]
        if not chosen:
            names = ", ".join(sorted({name for _, name, _ in found})) or "none"
            raise ModelError(
                f"no variable of model {model.name!r} is a {self.where!r}: pass where= one of its trainable "
                f"variables outside of exclude={self.exclude!r}: {names}"
            )
        return chosen

    def _is_meant(self, name: str) -> bool:
        return self.where == "all" or name == self.where or name.endswith(f"_{self.where}")
