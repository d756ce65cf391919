"""Each recipe runs as a script, from data to the exported model, on a few rows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parent.parent.parent / "recipes"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        pytest.param("digits", {"float", "float-litert", "int8"}, marks=pytest.mark.nightly),  # make run is longer
        pytest.param("sentiment", {"float"}, marks=pytest.mark.nightly),  # takes a minute
        pytest.param("adult", {"float", "float-litert"}, marks=pytest.mark.nightly),
    ],
)
def test_smoke_ends_with_the_table_and_a_model_to_serve(tmp_path, name, rows):
    command = [sys.executable, RECIPES / f"{name}.py", "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *_, report = done.stdout.splitlines()
    path = tmp_path / re.fullmatch(r"report: (.*)", report).group(1)
    assert "A smoke run" in path.read_text()
    assert rows <= {line.split()[0] for line in done.stdout.splitlines()}
    assert (path.parent / "serving" / name / "1" / "saved_model.pb").is_file()


def test_the_sentences_of_one_source_are_not_in_two_parts():
    sys.path.insert(0, str(RECIPES))
    try:
        import sentiment
    finally:
        sys.path.remove(str(RECIPES))
    texts = [{row[0].lower() for row in x} for x, _ in sentiment.sentences().values()]
    assert not texts[0] & texts[1]
    assert not (texts[0] | texts[1]) & texts[2]
    assert len(texts[0]) > 1700
