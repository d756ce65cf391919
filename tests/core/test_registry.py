import re
import sys
import types
from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import CliRunner

import tfkit
from tfkit.cli import tfkit as command_line
from tfkit.registry import Registry, installed, load, registered
from tfkit.spec import KINDS

GOOD = tfkit.Spec("halving", "Halves the rate.", "somewhere.schedules:Halving")


def table(name="my_table", **hooks):
    """A module whose hooks yield the specs given."""
    module = types.ModuleType(name)
    for hook, specs in hooks.items():
        setattr(module, hook, tfkit.hookimpl(specs if callable(specs) else lambda specs=specs: specs))
    return module


def raising(error):
    def hook():
        raise error

    return hook


@pytest.fixture
def importable(monkeypatch):
    """Makes modules importable by their names."""
    return lambda *modules: [monkeypatch.setitem(sys.modules, module.__name__, module) for module in modules]


def points(*names):
    return [EntryPoint(name, name, "tfkit.plugins") for name in names]


def test_the_built_in_plugins_are_there_and_none_is_broken():
    rows = tfkit.plugins()
    assert {row.kind for row in rows} == set(KINDS)
    assert [row for row in rows if row.error] == []
    assert {row.distribution for row in rows} == {"tfkit-keras"}
    assert {row.version for row in rows} == {tfkit.__version__}


def test_rows_are_sorted_and_tell_everything():
    names = [row.name for row in tfkit.plugins("schedule")]
    assert names == sorted(names)
    (row,) = [row for row in tfkit.plugins("schedule") if row.name == "cosine"]
    assert [each["name"] for each in row.parameters] == ["initial", "steps", "final", "warmup"]
    assert row.parameters[2] == {
        "name": "final",
        "constraint": "a float >= 0",
        "required": False,
        "default": 0.0,
        "doc": "Learning rate from the last step on.",
    }
    assert row.as_dict().keys() == {"kind", "name", "summary", "distribution", "version", "parameters"}


def test_one_that_raises_at_import_is_broken_and_stops_nothing(importable, tmp_path, monkeypatch):
    (tmp_path / "raises_at_import.py").write_text("1 / 0")
    (tmp_path / "exits_at_import.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    importable(table(tfkit_schedules=[GOOD]))
    registry = load(points("raises_at_import", "exits_at_import", "is_not_there", "my_table"))
    errors = {row.name: row.error for row in registry.select() if row.error}
    assert errors == {
        "raises_at_import": "ZeroDivisionError: division by zero",
        "exits_at_import": "SystemExit: 3",
        "is_not_there": "ModuleNotFoundError: No module named 'is_not_there'",
    }
    assert registry.get("schedule", "halving").spec is GOOD
    assert [row.as_dict()["error"] for row in registry.select("metric")] == list(errors.values())


def test_a_hook_that_raises_breaks_its_kind_alone():
    registry = Registry()
    module = table(tfkit_metrics=raising(RuntimeError("no luck\nsecond line")), tfkit_schedules=[GOOD])
    registry.add(module, "mine", "1.0")
    (broken,) = [row for row in registry.select() if row.error]
    assert (broken.kind, broken.name, broken.distribution, broken.version) == ("metric", "my_table", "mine", "1.0")
    assert broken.error == "RuntimeError: no luck"
    assert registry.get("schedule", "halving").distribution == "mine"


@pytest.mark.parametrize(
    ("hooks", "error"),
    [
        ({"tfkit_schedules": ["cosine"]}, "TypeError: tfkit_schedules() must yield tfkit.Spec objects; got 'cosine'"),
        ({"tfkit_schedules": [GOOD, GOOD]}, "ValueError: mine provides the schedule 'halving' twice"),
        ({"tfkit_commands": [GOOD]}, "TypeError: tfkit_commands() must yield tfkit.Command objects; got Spec("),
        ({"tfkit_commands": raising(OSError("gone"))}, "OSError: gone"),
        ({"tfkit_shedules": [GOOD]}, "PluginValidationError: unknown hook 'tfkit_shedules' in plugin"),
    ],
)
def test_a_broken_table_is_told_in_one_line(hooks, error):
    registry = Registry()
    registry.add(table(**hooks), "mine")
    (broken,) = [row for row in registry.select() if row.error]
    assert broken.error.startswith(error)
    assert "\n" not in broken.error


def test_a_hook_that_yields_nothing_is_no_error():
    registry = Registry()
    registry.add(table(tfkit_schedules=lambda: None), "mine")
    assert registry.select() == []


def test_commands_are_kept_with_their_distribution():
    command = tfkit.Command("dance", "Dances.", "somewhere.commands:dance")
    registry = Registry()
    registry.add(table(tfkit_commands=[command]), "mine")
    assert registry.commands == [("mine", command)]


def test_two_distributions_of_one_name_are_both_listed_and_the_short_name_refused():
    registry = Registry()
    registry.add(table("one", tfkit_schedules=[GOOD]), "dist-a")
    registry.add(table("two", tfkit_schedules=[GOOD]), "dist-b")
    assert [row.distribution for row in registry.select("schedule")] == ["dist-a", "dist-b"]
    text = "more than one distribution provides the schedule 'halving': ask for 'dist-a/halving' or 'dist-b/halving'"
    with pytest.raises(tfkit.PluginConflict, match=f"^{text}$") as caught:
        registry.get("schedule", "halving")
    assert isinstance(caught.value, LookupError)
    assert registry.get("schedule", "dist-b/halving").distribution == "dist-b"


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("schedule", "cosin", "there is no schedule 'cosin'; did you mean 'cosine'?"),
        ("schedules", "cosine", "there is no kind 'schedules'; did you mean 'schedule'?"),
        ("metric", "cosine", "('cosine' is a schedule)"),
        ("strategy", "zzz", "there is no strategy 'zzz'; there are: layer-placement, mirrored"),
        ("schedule", "elsewhere/cosine", "there is no schedule 'elsewhere/cosine'"),
    ],
)
def test_what_is_unknown_gets_a_suggestion(kind, name, text):
    with pytest.raises(tfkit.PluginNotFound, match=re.escape(text)) as caught:
        tfkit.create(kind, name)
    assert isinstance(caught.value, LookupError)


def test_what_is_unknown_is_told_with_what_is_broken():
    registry = Registry()
    registry.add(table(tfkit_metrics=raising(RuntimeError("no luck"))), "mine")
    with pytest.raises(tfkit.PluginNotFound, match=re.escape("; broken: mine (RuntimeError: no luck)")):
        registry.get("metric", "f1")


def test_plugins_of_an_unknown_kind():
    with pytest.raises(tfkit.PluginNotFound, match="did you mean 'metric'"):
        tfkit.plugins("metrics")


def test_registered_adds_for_a_while():
    before = list(installed().rows)
    with registered(table(tfkit_schedules=[GOOD]), "mine"):
        assert "halving" in [row.name for row in tfkit.plugins("schedule")]
    assert installed().rows == before


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "Halving"}, "a plugin's name must be kebab-case such as 'my-plugin'; got 'Halving'"),
        ({"name": "a_b"}, "must be kebab-case"),
        ({"target": "no colon"}, "the target of plugin 'halving' must have the form 'package.module:Class'"),
        (
            {"params": dict},
            "the params of plugin 'halving' must be a frozen dataclass (its schema); got <class 'dict'>",
        ),
    ],
)
def test_a_spec_of_the_wrong_form_is_refused(fields, text):
    given = {"name": "halving", "summary": "Halves.", "target": "a.b:C", **fields}
    with pytest.raises(tfkit.ParameterError, match=re.escape(text)):
        tfkit.Spec(**given)


def test_a_command_of_the_table_is_a_command_of_tfkit(importable):
    @click.command()
    def dance():
        click.echo("dancing")

    module = table("dancing", tfkit_commands=[tfkit.Command("dance", "Dances.", "dancing:dance")])
    module.dance = dance
    importable(module)
    with registered(module, "mine"):
        done = CliRunner().invoke(command_line, ["dance"])
    assert (done.exit_code, done.output) == (0, "dancing\n")
