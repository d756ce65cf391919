"""How far `tfkit.compress(model, "auto", …)` gets: the file it chooses beside the source's own float LiteRT file.

For each seed a source is trained, then searched; both files are measured on the test part, once. The other recipes'
models go the same way: --recipe adult, --recipe sentiment.

python benchmarks/auto.py --seeds 3 --budget 1500 --target size
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner

import tfkit
from tfkit.pipeline.fit import callbacks

sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="fashion_mnist")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=float, default=1500.0, help="seconds for each seed")
    parser.add_argument("--target", choices=("size", "latency"), default="size")
    parser.add_argument("--max-drop", type=float, default=0.0025, help="on the validation part")
    parser.add_argument(
        "--reverse", action="store_true", help="sentiment: parts from the other end, for another test part"
    )
    options = parser.parse_args()
    module = importlib.import_module(options.recipe)
    if options.reverse:
        module.SHARES = {part: (1 - stop, 1 - start) for part, (start, stop) in module.SHARES.items()}
    recipe = module.recipe
    found = [one(recipe, seed, options) for seed in range(options.first, options.first + options.seeds)]
    for name in found[0]:
        print(f"mean {name}: {statistics.mean(each[name] for each in found):.4g}")


def one(recipe: tfkit.Recipe, seed: int, options: Any) -> dict[str, float]:
    data = recipe.data()
    source = trained(recipe, data, seed)
    with tempfile.TemporaryDirectory() as folder:
        done = tfkit.compress(
            source,
            "auto",
            data,
            max_drop=options.max_drop,
            epochs=1,
            directory=folder,
            target=options.target,
            time_budget=options.budget,
        )
        row, x = done.table[-1], data.arrays("test", 1)[0]
        # Strings do not go into LiteRT: Keras models are compared then.
        large = done.table[0]["litert_path"] or source
        small = done.artifacts.get("litert") or (done.model if large is source else large)
        before, after = tfkit.measure(large, x, repeats=2000), tfkit.measure(small, x, repeats=2000)
        drop = 100 * (correct(data, large) - correct(data, small))
    figures = {
        "test accuracy of the source": row["test_metric"] + drop / 100,
        "points lost on the test part": drop,
        "times smaller": before.bytes / after.bytes,
        "times faster at batch 1": before.latency_p50_ms / after.latency_p50_ms,
    }
    print(f"seed {seed}: {row['step']}: {figures}", flush=True)
    return figures


def trained(recipe: tfkit.Recipe, data: tfkit.Data, seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    model = recipe.model(keras_tuner.HyperParameters())
    model.fit(
        data.dataset("train"),
        epochs=recipe.train.epochs,
        shuffle=False,
        validation_data=data.dataset("validation"),
        callbacks=callbacks(recipe.train),
        verbose=0,
    )
    return model


def correct(data: tfkit.Data, subject: Any) -> float:
    """The accuracy of a model or file on the test part."""
    model = tfkit.load_model(subject) if isinstance(subject, (str, Path)) else subject
    return float(tfkit.evaluate(model, data, ["accuracy"])["accuracy"])


if __name__ == "__main__":
    main()
