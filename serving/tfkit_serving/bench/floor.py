"""The floor: how fast a version's signature is called in process, a row at a time.

It is measured by `python -m tfkit_serving.bench.floor`, a process of its own, since it takes TensorFlow.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from tfkit_serving.bench.histogram import Histogram
from tfkit_serving.bench.target import closed_shape, draw

_WARM_UP, _SECONDS, _LIMIT = 0.5, 3.0, 300
_ROWS = 64


def measure_floor(directory: Path, signature: str = "serving_default") -> dict[str, float]:
    """Calls a version's signature a row at a time, for three seconds, in another process.

    Args:
        directory: A version's folder, or a model's, whose highest version is taken.
        signature: The signature's name.

    Returns:
        "requests_per_second", "p50_ms" and "p99_ms".

    Raises:
        ValueError: The folder holds no SavedModel.
        RuntimeError: It cannot be loaded or called.
    """
    command = [sys.executable, "-m", "tfkit_serving.bench.floor", str(_version(directory)), signature]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_LIMIT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    if done.returncode:
        raise RuntimeError(f"the floor cannot be measured: {done.stderr.strip()[-500:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _version(directory: Path) -> Path:
    if (directory / "saved_model.pb").exists():
        return directory
    versions = [each for each in directory.glob("*/saved_model.pb") if each.parent.name.isdigit()]
    if not versions:
        raise ValueError(f"{directory} holds no SavedModel: give a version's folder, or a model's")
    return max(versions, key=lambda each: int(each.parent.name)).parent


def _main(directory: str, signature: str) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(directory)
    function = loaded.signatures[signature]
    rows = _rows(tf, function)
    _call(function, rows, _WARM_UP)
    latencies, seconds = _call(function, rows, _SECONDS)
    quantiles = {
        f"{name}_ms": round(latencies.quantile(share) / 1e6, 4) for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    print(json.dumps({"requests_per_second": round(latencies.total / seconds, 1), **quantiles}))


def _rows(tf: Any, function: Any) -> list[dict[str, Any]]:
    chance = random.Random(0)
    _, inputs = function.structured_input_signature
    return [{name: _tensor(tf, spec, chance) for name, spec in inputs.items()} for _ in range(_ROWS)]


def _tensor(tf: Any, spec: Any, chance: random.Random) -> Any:
    shape = [-1] if spec.shape.rank is None else [-1 if each is None else each for each in spec.shape]
    name = f"DT_{spec.dtype.name.upper()}"
    return tf.constant(draw(name, closed_shape(shape, 1), chance), spec.dtype)


def _call(function: Any, rows: list[dict[str, Any]], seconds: float) -> tuple[Histogram, float]:
    latencies = Histogram()
    begin = perf_counter_ns()
    now, index = begin, 0
    while now - begin < seconds * 1e9:
        before = now
        function(**rows[index % _ROWS])
        now = perf_counter_ns()
        latencies.record(now - before)
        index += 1
    return latencies, (now - begin) / 1e9


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
