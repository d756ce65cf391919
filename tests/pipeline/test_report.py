"""report.html from the JSON files of a run, without the run."""

import json

import pytest

import tfkit
from tfkit import cli
from tfkit.pipeline.report import write_report


def row(step, metric, size, **more):
    common = {"parameters": 10, "nonzero": 9, "flops": 20, "gzip_bytes": size // 2, "agreement": 0.99, "kept": True}
    times = {"latency_p50_ms": size / 1e4, "latency_p99_ms": size / 5e3}
    interval = {"metric_low": metric - 0.01, "metric_high": metric + 0.01}
    return {"step": step, "metric": metric, "bytes": size, **common, **times, **interval, **more}


@pytest.fixture
def folder(tmp_path):
    source, small = row("float", 0.91, 9000, path="model.keras"), row("shrink 0.5, int8", 0.90, 900, path="a.tflite")
    refused = {"step": "low-rank 0.9", "kept": False, "error": "a layer <b> stays"}
    lost = row("shrink 0.9, int8", 0.71, 300, kept=False, epochs=1.0)
    table = [{**each, "part": "test", "test": {"accuracy": each["metric"] - 0.01}} for each in (source, small)]
    compressed = {
        "rows": [source, small],
        "model": "model.keras",
        "metric": "accuracy",
        "bound": 0.89,
        "target": "size",
        "front": [lost, {**small, "epochs": 7.0}],
        "candidates": [refused, lost, small],
    }
    about = {"layer": "dense", "kernel": "net/dense/kernel", "parameters": 8, "agreement": None}
    sensitivity = [
        {**about, "move": move, "strength": strength, "metric": 0.9, "drop": 0.01 * strength}
        for move, strengths in (("prune", (0.5, 0.9)), ("quantize", (8, 4, 2)))
        for strength in strengths
    ]
    state = {"recipe": "toy", "status": "finished", "stages": [{"name": "report", "started": "a", "finished": "b"}]}
    report = {"smoke": False, "versions": {"python": "3"}, "matrices": {"float": [[3, 1], [0, 4]]}}
    files = {"run": state, "table": table, "compress": compressed, "sensitivity": sensitivity, "report": report}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_it_draws_the_front_the_sensitivity_and_the_matrix(folder):
    text = write_report(folder).read_text()
    assert text.count("<svg") == 3
    for words in (
        "The front",
        "shrink 0.9, int8",
        "low-rank 0.9 (a layer &lt;b&gt; stays)",
        "Sensitivity",
        "0.8900 – 0.9100",
    ):
        assert words in text
    assert "3 candidates were tried, 1 of them refused" in text


def test_tfkit_report_writes_it_again(folder, capsys):
    assert cli._run(cli.tfkit, ["report", str(folder)], False) == 0
    first = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    compressed = json.loads((folder / "compress.json").read_text())
    compressed["front"][0]["step"] = "renamed"
    (folder / "compress.json").write_text(json.dumps(compressed))
    assert cli._run(cli.tfkit, ["report", str(folder)], False) == 0
    assert "renamed" in (folder / "report.html").read_text()
    assert "renamed" not in first
    assert capsys.readouterr().out.count("report: ") == 2


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(tfkit.RunError, match="is no run"):
        write_report(tmp_path)
