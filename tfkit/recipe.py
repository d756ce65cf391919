"""Recipe: the whole way of one task, from its data to a small, verified, served model, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from tfkit.errors import ParameterError, RecipeError
from tfkit.parameters import Ge, Gt, check

# A plugin's name, or its name and parameters.
Step = str | tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SearchSection:
    """What `tfkit.search` is given."""

    searcher: Annotated[str, "Name of the searcher."] = "bayesian"
    objective: Annotated[Any, "What is optimized, as Keras logs it, or (name, 'min' or 'max'), or a list of these."] = (
        "val_accuracy"
    )
    trials: Annotated[int, Ge(1), "Number of trials."] = 10
    epochs: Annotated[int, Ge(1), "Epochs of a trial."] = 5
    time_budget: Annotated[float | None, Gt(0), "Seconds after which no trial begins."] = None
    workers: Annotated[Any, "Trials at once, in processes of their own; or 'ray'."] = 1
    cross_validation: Annotated[Any, "Folds of the train part, or one of scikit-learn's splitters."] = None
    stop_early: Annotated[Any, "Callback that ends bad trials, such as 'asha': name or (name, params)."] = None
    constraints: Annotated[Any, "Bounds by name: the most, or ('<=', number) or ('>=', number)."] = None
    warm_start: Annotated[Any, "Directory of an earlier search for the same objectives."] = None


@dataclass(frozen=True, kw_only=True)
class TrainSection:
    """How the model is trained."""

    epochs: Annotated[int, Ge(1), "Epochs at most."] = 10
    schedule: Annotated[Any, "Learning-rate schedule: name or (name, params)."] = None
    regularizer: Annotated[Any, "Regularizer: name or (name, params)."] = None
    callbacks: Annotated[tuple[Any, ...], "Callbacks, each a name or (name, params)."] = ()
    strategy: Annotated[Any, "Distribution strategy: name or (name, params)."] = None


@dataclass(frozen=True, kw_only=True)
class CompressSection:
    """What `tfkit.compress` is given."""

    steps: Annotated[
        tuple[Any, ...] | Literal["auto"],
        "Compressors in their order, each a name, (name, params) or (name, params, epochs); 'auto' searches them.",
    ] = ("quantize",)
    metric: Annotated[str | None, "Metric whose drop is bounded; None is the recipe's first."] = None
    max_drop: Annotated[float | None, Ge(0), "Largest loss of the metric on the validation part."] = None
    epochs: Annotated[int, Ge(0), "Epochs of fine-tuning in each step."] = 1
    target: Annotated[Literal["size", "latency"], "What an automatic search makes small."] = "size"
    time_budget: Annotated[float | None, Gt(0), "Seconds of an automatic search; None for ten minutes."] = None
    searcher: Annotated[Any, "Searcher of an automatic search: name or (name, params)."] = "random"
    sensitivity: Annotated[bool, "Whether the report shows what each layer's compression alone costs."] = False


@dataclass(frozen=True, kw_only=True)
class ExportSection:
    """What `tfkit.export` is given."""

    format: Annotated[Any, "Exporter: name or (name, params)."] = "saved-model"
    inputs: Annotated[tuple[str, ...] | None, "Names for the signature's inputs."] = None
    outputs: Annotated[tuple[str, ...] | None, "Names for the signature's outputs."] = None
    labels: Annotated[tuple[str, ...] | None, "Names of the classes, in the order of the scores."] = None
    task: Annotated[Literal["classification", "regression"] | None, "What the model does; None finds it out."] = None


@dataclass(frozen=True, kw_only=True)
class ServeSection:
    """How the exported model is tried out behind a server and a gateway."""

    rows: Annotated[int, Ge(1), "Rows of the validation part that are asked."] = 3


SECTIONS: Mapping[str, type] = {
    "search": SearchSection,
    "train": TrainSection,
    "compress": CompressSection,
    "export": ExportSection,
    "serve": ServeSection,
}


@dataclass(frozen=True)
class Recipe:
    """A task: its data, its model, and what is done with it.

    A section is a mapping of parameters (or its dataclass); None leaves the stage out.

    Args:
        name: Name of the task, also of its folder and of the served model.
        data: Function without arguments that returns a `tfkit.Data`.
        model: Function of KerasTuner's `hp` that returns a compiled Keras model.
        metrics: Metric plugins, each a name or (name, params); the first leads the report.
        search: Hyperparameter search; None trains `model` with the defaults of `hp`.
        train: Training.
        compress: Compression; None leaves it out.
        export: Export for a server; None leaves it out.
        serve: A server and a gateway answer rows with what was exported, as the model does; None leaves it out.
        seed: Seed of every stage.

    Raises:
        RecipeError: The name, the data or the model is missing or of the wrong type.
        ParameterError: A section has an unknown parameter or one out of its bounds.

    Example:
        >>> recipe = Recipe("toy", data=lambda: None, model=lambda hp: None, train={"epochs": 3})
        >>> recipe.train.epochs
        3
    """

    name: str
    data: Callable[[], Any]
    model: Callable[[Any], Any]
    metrics: Sequence[Step] = ("accuracy",)
    search: Any = None
    train: Any = field(default_factory=TrainSection)
    compress: Any = None
    export: Any = None
    serve: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise RecipeError(f"a recipe's name becomes a folder: letters, digits, '-', '_' and '.'; got {self.name!r}")
        for part in ("data", "model"):
            if not callable(getattr(self, part)):
                raise RecipeError(
                    f"recipe {self.name!r} has no {part}: pass {part}=, a function; got {getattr(self, part)!r}"
                )
        if isinstance(self.metrics, str) or not self.metrics:
            raise RecipeError(f"recipe {self.name!r} needs metrics, a list of names; got {self.metrics!r}")
        if self.train is None:
            raise RecipeError(f"recipe {self.name!r} has no train section: pass train={{'epochs': …}}")
        if self.serve is not None and self.export is None:
            raise RecipeError(f"recipe {self.name!r} serves what it does not export: pass export={{}} too")
        for section, schema in SECTIONS.items():
            object.__setattr__(
                self, section, _section(schema, getattr(self, section), f"{section} of recipe {self.name!r}")
            )

    def with_overrides(self, overrides: Mapping[str, Any]) -> Recipe:
        """The recipe with parameters of its sections changed.

        Args:
            overrides: Values by "section.parameter", or by "seed".

        Raises:
            ParameterError: No such section or parameter, or a value out of its bounds.
        """
        changed: dict[str, Any] = {}
        for key, value in overrides.items():
            section, _, parameter = key.partition(".")
            if key == "seed":
                changed["seed"] = check(_Seed, {"seed": value}, owner=f"recipe {self.name!r}")["seed"]
            elif section in SECTIONS and parameter:
                current = changed.get(section, getattr(self, section))
                given = {} if current is None else _as_mapping(current)
                changed[section] = _section(
                    SECTIONS[section], {**given, parameter: value}, f"{section} of recipe {self.name!r}"
                )
            else:
                raise ParameterError(
                    f"--set takes seed=… or section.key=… with a section of {', '.join(SECTIONS)}; got {key!r}"
                )
        return dataclasses.replace(self, **changed)


@dataclass(frozen=True)
class _Seed:
    seed: Annotated[int, Ge(0), "Seed of every stage."] = 0


def _section(schema: type, value: Any, owner: str) -> Any:
    if value is None or isinstance(value, schema):
        return value
    if not isinstance(value, Mapping):
        raise ParameterError(f"the section {owner} must be a mapping of parameters; got {value!r}")
    return schema(**check(schema, value, owner=f"the section {owner}"))


def _as_mapping(section: Any) -> dict[str, Any]:
    return {each.name: getattr(section, each.name) for each in dataclasses.fields(section)}


def step_name(step: Step) -> tuple[str, dict[str, Any]]:
    """A step as its plugin's name and parameters.

    Raises:
        ParameterError: If it is neither a name nor (name, params).

    Example:
        >>> step_name("quantize"), step_name(("prune", {"sparsity": 0.5}))
        (('quantize', {}), ('prune', {'sparsity': 0.5}))
    """
    if isinstance(step, str):
        return step, {}
    if isinstance(step, (tuple, list)) and len(step) == 2 and isinstance(step[0], str) and isinstance(step[1], Mapping):
        return step[0], dict(step[1])
    raise ParameterError(f"a step must be a plugin's name or (name, params); got {step!r}")
