"""create and callback: from a plugin's name and parameters to the ecosystem's own object."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfkit.errors import PluginNotFound, TfkitError
from tfkit.missing import explain_missing
from tfkit.parameters import check, parameters
from tfkit.registry import Plugin, installed, resolve
from tfkit.spec import KINDS

if TYPE_CHECKING:
    import keras

# Why a product of this kind is no callback, and where it goes instead.
_NO_CALLBACK = {
    "metric": "pass tfkit.create('metric', …) to model.compile(metrics=[…]), or use tfkit.evaluate",
    "searcher": "pass its name to tfkit.search(searcher=…), or tfkit.create('searcher', …) to keras_tuner.Tuner",
    "exporter": "use tfkit.export(model, directory, format=…)",
}


def create(kind: str, name: str, /, **params: Any) -> Any:
    """Creates a plugin's object: the ecosystem's own type.

    Args:
        kind: "metric", "schedule", "regularizer", "searcher", "compressor", "callback", "strategy" or "exporter".
        name: The plugin's name, or "distribution/name" where two distributions provide it.
        **params: Its parameters; `tfkit plugins show KIND NAME` lists them.

    Raises:
        PluginNotFound: There is no such kind or plugin, or a package it needs is not installed.
        PluginConflict: Two distributions provide the name.
        ParameterError: A parameter is unknown, missing, of the wrong type or out of bounds.

    Example:
        >>> import tfkit
        >>> schedule = tfkit.create("schedule", "exponential", initial=0.1, gamma=0.5)
        >>> round(float(schedule(2)), 4)
        0.025
    """
    plugin = installed().get(kind, name)
    assert plugin.spec is not None
    checked = check(plugin.spec.params, params, owner=f"{kind} {plugin.name!r}")
    return _build(plugin, checked)


def callback(kind: str, name: str, /, **params: Any) -> keras.callbacks.Callback:
    """Creates a Keras callback that installs the part for one `fit` and leaves nothing behind.

    Args:
        kind: As for `create`.
        name: As for `create`.
        **params: The plugin's parameters, and those of its kind's callback (`where` and `exclude` of a regularizer).

    Raises:
        TfkitError: If parts of that kind are not installed by a callback; the text says where they go.
        PluginNotFound: As for `create`.
        PluginConflict: As for `create`.
        ParameterError: As for `create`.
    """
    plugin = installed().get(kind, name)
    assert plugin.spec is not None
    if kind == "callback":
        return create(kind, name, **params)
    if kind in _NO_CALLBACK:
        raise TfkitError(f"{kind} {plugin.name!r} is not installed by a callback: {_NO_CALLBACK[kind]}")
    attach = KINDS[kind].attach
    if attach is None:
        return _own_callback(plugin, create(kind, name, **params))
    wrapper = _import(attach, owner=f"{kind} {plugin.name!r}")
    extra = {each.name for each in parameters(wrapper.params)} & params.keys()
    options = check(wrapper.params, {key: params[key] for key in extra}, owner=f"the callback of {kind} {name!r}")
    product = create(kind, name, **{key: value for key, value in params.items() if key not in extra})
    return product.callback() if hasattr(product, "callback") else wrapper(product, **options)


def _own_callback(plugin: Plugin, product: Any) -> Any:
    make = getattr(product, "callback", None)
    if make is None:
        raise TfkitError(
            f"{plugin.kind} {plugin.name!r} works on a trained model, not inside fit: "
            f"use tfkit.compress(model, steps=[{plugin.name!r}], data=…)"
        )
    return make()


def _build(plugin: Plugin, params: dict[str, Any]) -> Any:
    owner = f"{plugin.kind} {plugin.name!r}"
    target = resolve(plugin)
    try:
        return target(**params)
    except ModuleNotFoundError as error:
        raise PluginNotFound(explain_missing(owner, error, plugin.distribution)) from error


def _import(target: str, owner: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise PluginNotFound(explain_missing(owner, error)) from error
