#!/usr/bin/env python3
"""Runs the model beside it on rows: takes ai-edge-litert and numpy, nothing else.

    python run.py rows.json        a list of rows: values, or {"name": values} for several inputs
    python run.py rows.npy         an array, rows first
    python run.py < rows.json      the same from standard input
    python run.py --check          compares the model with what it computed where the bundle was made

Prints a JSON list with one object a row: the outputs by name and, where the bundle names classes, "label" and "score".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
MODEL, ABOUT = "model.tflite", "bundle.json"
_TOLERANCE = 1e-3


class Model:
    """A .tflite file as a function of rows.

    Args:
        path: The file.
        threads: Threads of the interpreter.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        names = _names(self._interpreter)
        self.inputs = [_port(each, names) for each in self._interpreter.get_input_details()]
        self.outputs = [_port(each, names) for each in self._interpreter.get_output_details()]

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name for inputs by name, rows first."""
        rows = len(next(iter(arrays.values())))
        fixed = any(port["shape"][:1] != [-1] for port in self.inputs)
        size = self.inputs[0]["shape"][0] if fixed else rows
        parts = [
            self._run({name: _padded(each[at : at + size], size) for name, each in arrays.items()})
            for at in range(0, rows, size)
        ]
        return {name: np.concatenate([part[name] for part in parts])[:rows] for name in parts[0]}

    def _run(self, arrays: dict[str, Any]) -> dict[str, Any]:
        for port in self.inputs:
            self._interpreter.resize_tensor_input(port["index"], arrays[port["name"]].shape)
        self._interpreter.allocate_tensors()
        for port in self.inputs:
            self._interpreter.set_tensor(port["index"], _quantized(port, arrays[port["name"]]))
        self._interpreter.invoke()
        return {port["name"]: _read(port, self._interpreter.get_tensor(port["index"])) for port in self.outputs}


def to_arrays(rows: Any, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Arrays by name from rows of JSON, or from one array.

    Raises:
        ValueError: The rows are not what the model takes; says which input, and what it takes.
    """
    if isinstance(rows, dict):
        rows = rows.get("instances", rows.get("rows", [rows]))
    if not isinstance(rows, np.ndarray) and (not isinstance(rows, list) or not rows):
        raise ValueError("give a list of rows, one at least")
    return {port["name"]: _column(rows, port, len(inputs)) for port in inputs}


def results(found: dict[str, Any], about: dict[str, Any]) -> list[dict[str, Any]]:
    """One object a row."""
    rows = [
        {name: each[row].tolist() for name, each in found.items()} for row in range(len(next(iter(found.values()))))
    ]
    labels = about.get("labels") or []
    if not labels or len(found) != 1:
        return rows
    [scores] = found.values()
    for row, score in zip(rows, scores.reshape(len(scores), -1)):
        score = _probabilities(score, about.get("scores"), len(labels))
        if len(score) == len(labels):
            row.update(label=labels[int(score.argmax())], score=float(score.max()))
    return rows


def check(folder: Path, threads: int = 1) -> float:
    """The largest difference between what the model computes here and what is recorded, relative to the latter.

    Raises:
        ValueError: The file is another, or computes something else.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    digest = hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()
    if digest != about["sha256"]:
        raise ValueError(f"{MODEL} is damaged: its sha256 is {digest}, not {about['sha256']}")
    model = Model(folder / MODEL, threads)
    found = model(to_arrays(about["example"], model.inputs))
    worst = 0.0
    for name, expected in about["expected"].items():
        wanted, got = np.asarray(expected, np.float64), np.asarray(found[name], np.float64)
        if wanted.shape != got.shape:
            raise ValueError(f"the output {name!r} has shape {got.shape}, not {wanted.shape}")
        scale = max(float(np.abs(wanted).max(initial=0.0)), 1e-6)
        worst = max(worst, float(np.abs(wanted - got).max(initial=0.0)) / scale)
    if not worst <= _TOLERANCE:
        raise ValueError(f"the outputs differ by {worst:.2g} of the largest value; at most {_TOLERANCE:g} is allowed")
    return worst


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", help="a .json or .npy file; standard input where none is given")
    parser.add_argument("--check", action="store_true", help="compare with what was computed where the bundle was made")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    try:
        if given.check:
            print(json.dumps({"ok": True, "difference": check(HERE, given.threads)}))
            return 0
        about = json.loads((HERE / ABOUT).read_text(encoding="utf-8"))
        model = Model(HERE / MODEL, given.threads)
        print(json.dumps(results(model(to_arrays(_read_rows(given.rows), model.inputs)), about)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _read_rows(path: str | None) -> Any:
    if path is None:
        return json.load(sys.stdin)
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _names(interpreter: Any) -> dict[int, str]:
    """Names by tensor, from the file's first signature."""
    keys = list(interpreter.get_signature_list())
    if not keys:
        return {}
    runner = interpreter.get_signature_runner(keys[0])
    ports = [*runner.get_input_details().items(), *runner.get_output_details().items()]
    return {details["index"]: name for name, details in ports}


def _port(details: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    scale, zero_point = details["quantization"]
    return {
        "name": names.get(details["index"], details["name"]),
        "index": details["index"],
        "shape": [int(each) for each in details.get("shape_signature", details["shape"])],
        "dtype": np.dtype(details["dtype"]),
        "scale": float(scale),
        "zero_point": int(zero_point),
    }


def _column(rows: Any, port: dict[str, Any], inputs: int) -> Any:
    name, shape = port["name"], port["shape"]
    if isinstance(rows, np.ndarray):
        if inputs > 1:
            raise ValueError("the model takes several inputs: give rows as JSON, {name: values} each")
        values: Any = rows
    else:
        missing = next((index for index, row in enumerate(rows) if isinstance(row, dict) and name not in row), None)
        if missing is not None:
            raise ValueError(f"row {missing} has no input {name!r}")
        if inputs > 1 and not all(isinstance(row, dict) for row in rows):
            raise ValueError("the model takes several inputs: each row must be {name: values}")
        values = [row[name] if isinstance(row, dict) else row for row in rows]
    text = port["dtype"].kind in "OSU"
    try:
        array = np.asarray(values, object if text else np.float64 if port["scale"] else port["dtype"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"the input {name!r} takes {port['dtype']} of shape {shape}: {error}") from error
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        array = array[..., None]
    if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape[1:], array.shape[1:])):
        raise ValueError(f"the input {name!r} takes shape {shape}, rows first; got {list(array.shape)}")
    return array


def _quantized(port: dict[str, Any], array: Any) -> Any:
    if port["dtype"].kind in "OSU":
        texts = [each.encode() if isinstance(each, str) else each for each in array.ravel().tolist()]
        return np.array(texts, dtype=object).reshape(array.shape)
    if not port["scale"]:
        return array.astype(port["dtype"], copy=False)
    bounds = np.iinfo(port["dtype"])
    scaled = array.astype(np.float32) / np.float32(port["scale"])
    whole = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))  # halves away from zero, as LiteRT does
    return np.clip(whole + port["zero_point"], bounds.min, bounds.max).astype(port["dtype"])


def _read(port: dict[str, Any], array: Any) -> Any:
    return (array.astype(np.float32) - port["zero_point"]) * port["scale"] if port["scale"] else array


def _padded(array: Any, rows: int) -> Any:
    return array if len(array) == rows else np.resize(array, (rows, *array.shape[1:]))


def _probabilities(scores: Any, kind: str | None, labels: int) -> Any:
    scores = scores.astype(np.float64)
    if len(scores) == 1 and labels == 2:
        one = 1.0 / (1.0 + np.exp(-scores[0])) if kind == "logits" else scores[0]
        return np.array([1.0 - one, one])
    if kind == "logits":
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()
    return scores


if __name__ == "__main__":
    sys.exit(main())
