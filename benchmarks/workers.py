"""How much of the time of a search four workers save, where a trial sleeps and computes nothing.

Prints the seconds of a search in this process and with workers, start of the processes included, and their ratio.

python benchmarks/workers.py --workers 4 --trials 24 --seconds 1
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "pipeline"))

from search_tasks import Driven, sleeping


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    import keras_tuner  # noqa: F401  (what it takes to be imported is not counted)

    rows, seconds = [], []
    for workers in ({}, {"count": options.workers}):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            driven = Driven(sleeping(options.seconds), Path(folder, "search"), trials=options.trials, **workers).run()
            seconds.append(time.monotonic() - begun)
            rows.append(driven.rows)
    alone, together = seconds
    print(f"{options.trials} trials of {options.seconds:g} s: {alone:.1f} s alone, {together:.1f} s with ", end="")
    print(f"{options.workers} workers, {together / alone:.3f} of it; the same trials: {rows[0] == rows[1]}")


if __name__ == "__main__":
    main()
