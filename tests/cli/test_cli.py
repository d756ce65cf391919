import json
import signal
import subprocess
import sys

import click
import pytest

from tfkit import cli


def run(*arguments, capsys=None):
    return cli._run(cli.tfkit, list(arguments), False)


def test_plugins_are_listed_as_json(capsys):
    assert run("plugins", "list", "--kind", "schedule", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"cosine", "constant"} <= {row["name"] for row in rows}
    assert {"kind", "name", "summary", "distribution", "version", "parameters"} <= rows[0].keys()


def test_show_prints_parameters_with_their_bounds(capsys):
    assert run("plugins", "show", "schedule", "cosine") == 0
    assert "initial: a float > 0, required." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plugins", "list", "--kind", "metrik"), "there is no kind 'metrik'; did you mean 'metric'?"),
        (("plugins", "show", "schedule", "cosin"), "did you mean 'cosine'?"),
        (("plugins", "check", "nothing"), "there is no plugin 'nothing'"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("run", "none.py"), "there is no recipe script 'none.py'"),
        (("evaluate", "none.keras", "--data", "none.py"), "there is no"),
        (("measure", "none.keras"), "Missing option '--data'"),
        (("report", "nowhere"), "there is no 'nowhere'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, arguments, words):
    assert run(*arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Traceback" not in shown.err + shown.out


def test_set_needs_a_value(tmp_path, capsys):
    script = tmp_path / "toy.py"
    script.write_text("import tfkit\nrecipe = tfkit.Recipe('toy', lambda: None, lambda hp: None)\n")
    assert run("run", str(script), "--set", "train.epochs") == 2
    assert "section.key=value" in capsys.readouterr().err
    assert run("run", str(script), "--set", "train.epoch=3") == 2
    assert "did you mean 'epochs'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"], ["plugins", "list", "--json"]])
def test_help_and_lists_import_no_framework(arguments):
    code = (
        "import sys\nfrom tfkit import cli\n"
        f"assert cli._run(cli.tfkit, {arguments!r}, False) == 0\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'keras_tuner') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_module_and_script_are_the_same():
    done = subprocess.run([sys.executable, "-m", "tfkit", "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("tfkit, version ")


def test_debug_shows_the_traceback(tmp_path):
    command = [sys.executable, "-m", "tfkit", "run", str(tmp_path / "none.py"), "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Traceback" in done.stderr
    assert "RecipeError" in done.stderr


def test_sigterm_ends_a_command_with_its_files_closed(capsys):
    closed = []

    @click.command()
    @click.pass_context
    def command(context):
        context.call_on_close(lambda: closed.append(True))
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        cli.execute(command, [])
    assert (ended.value.code, closed) == (143, [True])
    assert capsys.readouterr().err == "terminated\n"
