import re
import sys
import types
from dataclasses import dataclass
from typing import Annotated

import keras
import pytest

import tfkit
from tfkit.parameters import Gt
from tfkit.registry import registered


@dataclass(frozen=True, kw_only=True)
class Value:
    value: Annotated[float, Gt(0), "A value."]


def table(**specs):
    """A module with schedules: names and targets."""
    module = types.ModuleType("my_table")
    module.tfkit_schedules = tfkit.hookimpl(
        lambda: [tfkit.Spec(name.replace("_", "-"), "One.", target, Value) for name, target in specs.items()]
    )
    return module


def test_create_gives_the_ecosystems_own_type_with_the_parameters_given():
    schedule = tfkit.create("schedule", "exponential", initial=1, gamma=0.5)
    assert isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    assert (schedule.initial, schedule.gamma, schedule.steps, schedule.warmup) == (1.0, 0.5, 1, 0)
    assert type(schedule.initial) is float


def test_each_call_gives_an_object_of_its_own():
    assert tfkit.create("regularizer", "l2", l2=0.1) is not tfkit.create("regularizer", "l2", l2=0.1)


@pytest.mark.parametrize("make", [tfkit.create, tfkit.callback])
@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"initial": -1, "steps": 10}, "the parameter 'initial' of schedule 'cosine' must be a float > 0; got -1"),
        ({"initial": 1, "step": 10}, "schedule 'cosine' takes no parameter 'step'; did you mean 'steps'?"),
        ({"initial": 1}, "schedule 'cosine' needs 'steps' (an int >= 1): pass steps=…"),
    ],
)
def test_parameters_are_checked_before_anything_is_made(make, params, text):
    with pytest.raises(tfkit.ParameterError, match=re.escape(text)):
        make("schedule", "cosine", **params)


def test_a_distribution_may_be_named():
    with registered(table(cosine="keras.optimizers.schedules:CosineDecay"), "mine"):
        with pytest.raises(tfkit.PluginConflict, match=re.escape("ask for 'tfkit-keras/cosine' or 'mine/cosine'")):
            tfkit.create("schedule", "cosine", initial=0.1, steps=10)
        assert float(tfkit.create("schedule", "tfkit-keras/cosine", initial=0.5, steps=10)(0)) == 0.5


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("no_such_package.x:Y", "schedule 'broken' needs no-such-package: pip install no-such-package"),
        ("keras.optimizers:NoSuch", "schedule 'broken' names 'keras.optimizers:NoSuch', which does not exist"),
        ("my_imports:late", "schedule 'broken' needs missing-late: pip install missing-late"),
    ],
)
def test_what_cannot_be_imported_says_what_to_install(target, text, tmp_path, monkeypatch):
    (tmp_path / "my_imports.py").write_text("def late(value):\n    import missing_late.part\n")
    monkeypatch.syspath_prepend(tmp_path)
    with registered(table(broken=target), "mine"), pytest.raises(tfkit.PluginNotFound, match=re.escape(text)):
        tfkit.create("schedule", "broken", value=1)


def test_an_extra_of_the_distribution_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    for name in [name for name in sys.modules if name.startswith("tfkit_searchers.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(tfkit.PluginNotFound, match=re.escape("needs keras-tuner: pip install 'tfkit-keras[search]'")):
        tfkit.create("searcher", "random", objective="val_loss")


@pytest.mark.parametrize(
    ("kind", "name", "params", "text"),
    [
        ("metric", "accuracy", {}, "metric 'accuracy' is not installed by a callback: pass tfkit.create('metric', …)"),
        ("searcher", "random", {}, "searcher 'random' is not installed by a callback: pass its name to tfkit.search("),
        ("exporter", "saved-model", {}, "exporter 'saved-model' is not installed by a callback: use tfkit.export("),
        (
            "compressor",
            "quantize",
            {},
            "compressor 'quantize' works on a trained model, not inside fit: use tfkit.comp",
        ),
    ],
)
def test_what_is_no_callback_says_where_it_goes(kind, name, params, text):
    with pytest.raises(tfkit.TfkitError, match=re.escape(text)):
        tfkit.callback(kind, name, **params)


def test_callback_splits_the_parameters_of_the_part_from_those_of_the_callback():
    made = tfkit.callback("regularizer", "l2", l2=0.5, where="bias", exclude=["Dense"])
    assert isinstance(made, keras.callbacks.Callback)
    assert (made.part.l2, made.where, made.exclude) == (0.5, "bias", ("Dense",))
    with pytest.raises(
        tfkit.ParameterError, match=r"the parameter 'where' of the callback of regularizer 'l2' must be"
    ):
        tfkit.callback("regularizer", "l2", l2=0.5, where=3)


def test_a_callback_is_its_own():
    made = tfkit.callback("callback", "early-stopping", monitor="loss", patience=2)
    assert isinstance(made, keras.callbacks.Callback)
