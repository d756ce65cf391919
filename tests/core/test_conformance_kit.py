import importlib
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tfkit
import tfkit.testing
from tfkit.registry import Registry, registered
from tfkit.spec import KINDS

BAD_PLUGINS = Path(__file__).parent.parent / "bad_plugins"
sys.path.append(str(BAD_PLUGINS))
TABLES = [importlib.import_module(name) for name in ("bad_table", "bad_table_heavy")]


def bad_plugins():
    registry = Registry()
    for table in TABLES:
        registry.add(table, "bad")
    assert not [row.error for row in registry.rows if row.error]
    return registry.select()


def the_check(row):
    return re.sub(r"-\d$", "", row.name).replace("-", "_")


@pytest.fixture(autouse=True)
def _bad_plugins_are_registered():
    with registered(TABLES[0], "bad"), registered(TABLES[1], "bad"):
        yield


@pytest.mark.parametrize("row", bad_plugins(), ids=lambda row: f"{row.kind}/{row.name}")
def test_a_bad_plugin_fails_its_check_and_no_other(row):
    with pytest.raises(tfkit.testing.ConformanceError) as caught:
        tfkit.testing.check(row.kind, f"bad/{row.name}")
    assert set(caught.value.failures) == {the_check(row)}, str(caught.value)


def test_every_check_has_a_bad_plugin():
    checks = {function.__wrapped__ for kind in KINDS for _, function in tfkit.testing.checks(kind)}
    found = {dict(tfkit.testing.checks(row.kind))[the_check(row)].__wrapped__ for row in bad_plugins()}
    assert {each.__name__ for each in checks - found} == set()


def test_every_check_says_what_it_asks_in_a_sentence():
    for kind in KINDS:
        for name, function in tfkit.testing.checks(kind):
            assert function.__doc__.splitlines()[0].endswith("."), f"{kind}: {name}"


def test_the_error_names_each_failure_and_is_an_assertion():
    with pytest.raises(AssertionError) as caught:
        tfkit.testing.check("schedule", "bad/finite-and-not-negative")
    assert isinstance(caught.value, tfkit.TfkitError)
    number = len(tfkit.testing.checks("schedule"))
    assert str(caught.value).splitlines() == [
        f"schedule 'finite-and-not-negative' fails 1 of {number} checks:",
        "  finite_and_not_negative: {'value': 0.1} gives the rate -0.001 at step 101, "
        "-0.002 at step 102, -0.00300001 at step 103",
    ]


def test_check_of_what_does_not_exist():
    with pytest.raises(tfkit.PluginNotFound, match="did you mean 'cosine'"):
        tfkit.testing.check("schedule", "cosin")
    with pytest.raises(tfkit.PluginNotFound, match="did you mean 'schedule'"):
        tfkit.testing.checks("schedules")


def test_checks_run_in_an_empty_folder_and_leave_the_working_folder_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("writes-in-its-folder-alone", "predicts-as-the-model"):
        with pytest.raises(tfkit.testing.ConformanceError):
            tfkit.testing.check("exporter", f"bad/{name}")
    assert Path.cwd() == tmp_path
    assert not list(tmp_path.iterdir())


def test_parametrize_has_every_plugin_times_every_check():
    values = tfkit.testing.parametrize("bad").args[1]
    wanted = {f"{row.kind}/{row.name}/{name}" for row in bad_plugins() for name, _ in tfkit.testing.checks(row.kind)}
    assert {value.id for value in values} == wanted
    assert len(values) == len(wanted)


def test_expected_failures_are_strict_xfails():
    expected = {"schedule/float32-scalar": {"float32_scalar": "gives float64"}}
    values = {value.id: value for value in tfkit.testing.parametrize("bad", expected).args[1]}
    (mark,) = values["schedule/float32-scalar/float32_scalar"].marks
    assert (mark.name, mark.kwargs) == ("xfail", {"strict": True, "reason": "gives float64"})
    assert not [each for each in values.values() if each.marks and each.id != "schedule/float32-scalar/float32_scalar"]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ({"schedule/float32": {"float32_scalar": "x"}}, "names no plugin 'schedule/float32'; did you mean"),
        ({"schedule/float32-scalar": {"float32": "x"}}, "names no check 'float32'; did you mean 'float32_scalar'"),
    ],
)
def test_expected_failures_of_what_does_not_exist_are_refused(expected, text):
    with pytest.raises(tfkit.ParameterError, match=re.escape(text)):
        tfkit.testing.parametrize("bad", expected)


def test_parametrize_of_a_distribution_without_plugins():
    with pytest.raises(tfkit.PluginNotFound, match="'tfkit-kera' has plugins; did you mean 'tfkit-keras'"):
        tfkit.testing.parametrize("tfkit-kera")


def test_a_broken_package_is_a_failing_test_of_its_own():
    broken = types.ModuleType("broken_table")
    broken.tfkit_schedules = tfkit.hookimpl(lambda: 1 / 0)
    with registered(broken, "half-broken"):
        (value,) = tfkit.testing.parametrize("half-broken").args[1]
    assert value.id == "schedule/broken_table/loads"
    plugin, check = value.values
    with pytest.raises(tfkit.testing.ConformanceError, match="ZeroDivisionError"):
        check(plugin)


def test_importing_the_kit_imports_neither_pytest_nor_a_framework():
    code = "import sys, tfkit.testing; print({'pytest', 'numpy', 'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_the_guide_tells_every_check():
    guide = (BAD_PLUGINS.parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
    table = guide.partition("### What it checks")[2]
    rows = set(re.findall(r"^\| [\w, ]+ (\| `\w+` \| .+ \|)$", table, re.MULTILINE))
    checks = {each for kind in KINDS for each in tfkit.testing.checks(kind)}
    assert rows == {f"| `{name}` | {function.__doc__.splitlines()[0]} |" for name, function in checks}
