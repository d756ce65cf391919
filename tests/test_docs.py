"""README and docs say what is true: their examples run, their tables are those of the registry."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfkit
from tfkit.spec import KINDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readmes_table_is_the_registrys():
    tables = load(ROOT / "docs" / "make_tables.py")
    assert tables.with_table(README) == README, "run make docs"


def test_every_kind_and_plugin_stands_in_the_readme():
    rows = [row for row in tfkit.plugins() if row.distribution == "tfkit-keras"]
    assert {row.kind for row in rows} == set(KINDS)
    for row in rows:
        assert f"| {row.kind} | `{row.name}` |" in README


@pytest.mark.parametrize(
    "row", [row for row in tfkit.plugins() if row.distribution == "tfkit-keras"], ids=lambda row: row.name
)
def test_every_plugin_is_named_in_a_test_of_its_own(row):
    files = [*(ROOT / "tests").rglob("*.py")]
    quoted = re.compile(rf"[\"'/]{re.escape(row.name)}[\"'\]]")
    assert any(quoted.search(file.read_text(encoding="utf-8")) for file in files if file.name != "test_docs.py")


def test_every_kind_has_a_page():
    linked = dict(re.findall(r"\[(\w+)\]\(([\w/.]+)\)", README))
    for kind in KINDS:
        assert (ROOT / linked[kind]).read_text(encoding="utf-8").startswith("# ")


def test_every_hook_is_documented():
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for kind in KINDS.values():
        assert kind.hook in guide


@pytest.mark.slow
@pytest.mark.parametrize("file", ["README.md", "docs/plugins.md"])
def test_python_examples_run(file, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL)
    runnable = [block for block in blocks if not block.startswith("# Not run")]
    script = tmp_path / "example.py"
    script.write_text("\n".join(runnable), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_commands_of_the_readme_exist():
    from tfkit.cli.commands import BUILT_IN

    block = re.search(r"```\n(tfkit plugins list.*?)```", README, re.DOTALL).group(1)
    assert set(re.findall(r"tfkit (\w+)", block)) == {command.name for command in BUILT_IN}


def test_every_document_that_is_linked_is_there():
    for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / link).exists(), f"{file.name} links to {link}"


def test_every_trap_upstream_names_its_test():
    rows = re.findall(
        r"^\| (\d+) \|.*\| (tests/[\w./]+\.py)", (ROOT / "docs" / "upstream.md").read_text(), re.MULTILINE
    )
    assert rows
    for _, file in rows:
        assert (ROOT / file).is_file()
