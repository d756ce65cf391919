"""Checks of every kind: the table, the schema, and the examples."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import subprocess
import sys
from typing import Any

from tfkit.errors import ConformanceError, DeviceNotFound, ParameterError, PluginNotFound
from tfkit.parameters import parameters
from tfkit.registry import Plugin, resolve
from tfkit.testing.bounds import outside
from tfkit.testing.examples import make, product, require, spec_of, workable

# Arguments that Keras gives every object of its own, besides the plugin's parameters.
_KERAS_OWN = {"name", "dtype"}

FRAMEWORKS = frozenset(
    {"ai_edge_litert", "jax", "keras", "keras_tuner", "matplotlib", "numpy", "onnx", "pandas", "scipy", "sklearn"}
    | {"tensorflow", "tensorflow_model_optimization", "tensorflow_serving", "tf_keras", "torch"}
)

_IMPORTS = """
import sys
before = set(sys.modules)
from tfkit.registry import Registry
registry = Registry()
registry.add(__import__(sys.argv[1], fromlist=["x"]), "checked")
registry.select()
print(*set(sys.modules) - before)
"""


def summary_is_one_sentence(plugin: Plugin) -> None:
    """The summary is one sentence on one line, with a full stop, of at most 120 characters."""
    summary = spec_of(plugin).summary
    one = bool(summary.strip()) and "\n" not in summary and summary.endswith(".")
    require(one and not re.search(r"[.!?] +[A-Z]", summary), f"the summary must be one sentence; got {summary!r}")
    require(len(summary) <= 120, f"the summary has {len(summary)} characters; at most 120 fit a line")


def parameters_are_documented(plugin: Plugin) -> None:
    """Every parameter has a doc."""
    bare = [each.name for each in parameters(spec_of(plugin).params) if not each.doc.strip()]
    require(not bare, f"no doc for {', '.join(bare)}: put a string into its Annotated[…]")


def schema_is_frozen(plugin: Plugin) -> None:
    """The schema is a frozen dataclass."""
    schema: Any = spec_of(plugin).params
    require(schema.__dataclass_params__.frozen, f"{schema.__name__} must be @dataclass(frozen=True)")


def defaults_are_within_bounds(plugin: Plugin) -> None:
    """Every default is of its parameter's type and within its bounds."""
    for each in parameters(spec_of(plugin).params):
        if not each.required:
            try:
                each.checked(each.default, owner="the schema")
            except ParameterError as error:
                raise ConformanceError(f"a default is refused by its own schema: {error}") from error


def row_is_json(plugin: Plugin) -> None:
    """The row that `tfkit plugins list --json` prints can be written as JSON."""
    try:
        json.dumps(plugin.as_dict(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConformanceError(f"a default cannot be written as JSON: {error}") from error


def table_imports_no_framework(plugin: Plugin) -> None:
    """Importing the package's table, in a fresh process, imports no framework."""
    imported, error = _imported_by(plugin.module)
    require(error is None, f"{plugin.module} cannot be imported in a fresh process: {error}")
    require(
        not imported, f"importing {plugin.module} imports {imported}: move that to the module that the target names"
    )


def target_is_importable(plugin: Plugin) -> None:
    """What the target names exists."""
    try:
        resolve(plugin)
    except PluginNotFound as error:
        raise ConformanceError(str(error)) from error


def arguments_equal_the_schema(plugin: Plugin) -> None:
    """The target takes the schema's parameters by keyword, with the same defaults, and no others."""
    accepted = _arguments(plugin)
    if accepted is None:
        return
    takes_any = any(each.kind is each.VAR_KEYWORD for each in accepted.values())
    named = {name: each for name, each in accepted.items() if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}
    fields = {each.name: each for each in parameters(spec_of(plugin).params)}
    for name, field in fields.items():
        require(name in named or takes_any, f"the target takes no argument {name!r}, which the schema has")
        if name in named:
            default = ... if named[name].default is named[name].empty else named[name].default
            told = f"{name!r} is {_told(field.default)} in the schema and {_told(default)} in the target"
            require(_equal(field.default, default), told)
    extra = sorted(named.keys() - fields.keys() - _KERAS_OWN)
    require(not extra, f"the target takes {', '.join(extra)}, which the schema lacks: nobody can give it")


def examples_make_the_product(plugin: Plugin) -> None:
    """There is an example, and each makes an object of the kind's type."""
    spec = spec_of(plugin)
    require(spec.examples, "the spec has no example: add examples=({…},)")
    try:
        resolve(plugin)
    except PluginNotFound:
        return  # told by target_is_importable
    kinds = product(plugin.kind)
    for example in spec.examples:
        try:
            made = make(plugin, example)
        except DeviceNotFound:
            continue  # for machines that have the device
        wanted = " or ".join(each.__name__ for each in kinds)
        require(isinstance(made, kinds), f"the example {dict(example)} makes a {type(made).__name__}, not a {wanted}")


def bounds_are_enforced(plugin: Plugin) -> None:
    """A value just outside each bound is refused, so every bound is one that tfkit knows."""
    for example in workable(plugin)[:1]:
        for parameter in parameters(spec_of(plugin).params):
            given = example.get(parameter.name, parameter.default)
            for bound, value in outside(parameter, given):
                told = f"the parameter {parameter.name!r} takes {value!r}, which is outside its bound {bound!r}"
                require(_is_refused(plugin, {**example, parameter.name: value}), told)


def _is_refused(plugin: Plugin, values: dict[str, Any]) -> bool:
    try:
        make(plugin, values)
    except ParameterError:
        return True
    return False


@functools.cache
def _imported_by(module: str) -> tuple[str, str | None]:
    """The frameworks that a table imports, and the error where it cannot be imported."""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, module],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        return "", (done.stderr.strip().splitlines() or ["no word"])[-1]
    return ", ".join(sorted(FRAMEWORKS.intersection(done.stdout.split()))), None


def _arguments(plugin: Plugin) -> dict[str, inspect.Parameter] | None:
    try:
        target = resolve(plugin)
    except PluginNotFound:
        return None  # told by target_is_importable
    if not inspect.isclass(target):
        return dict(inspect.signature(target).parameters)
    # Keras wraps the constructor of some classes: the signature of the class itself says nothing then.
    arguments = dict(inspect.signature(target.__init__).parameters)
    arguments.pop(next(iter(arguments)))
    return arguments


def _told(default: Any) -> str:
    return "required" if default is ... else f"{default!r} by default"


def _equal(one: Any, other: Any) -> bool:
    return one is other or ((type(one) is bool) == (type(other) is bool) and bool(one == other))


CHECKS = (
    summary_is_one_sentence,
    parameters_are_documented,
    schema_is_frozen,
    defaults_are_within_bounds,
    row_is_json,
    table_imports_no_framework,
    target_is_importable,
    arguments_equal_the_schema,
    examples_make_the_product,
    bounds_are_enforced,
)
