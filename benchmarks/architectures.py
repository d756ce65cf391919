"""Every compressor over the architectures of the tests: it works, or is refused by name, and nothing is silently wrong.

For each pair the model that comes out is called, saved, loaded and called again, and an artifact is compared with the
model it belongs to. Prints a table; a cell is "ok" with the parameters left, "refused", or "WRONG" with what was found.

python benchmarks/architectures.py --only transformer,lstm --compressors shrink,prune
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit.nests import leaves
from tfkit.pipeline.copies import compiled_copy

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "plugins" / "compressors"))
import architectures

# What each column of the table creates.
COMPRESSORS = {
    "prune": ("prune", {"sparsity": 0.5}),
    "threshold": ("threshold", {"value": 0.02}),
    "shrink": ("shrink", {"ratio": 0.5}),
    "cluster": ("cluster", {"clusters": 8}),
    "low-rank": ("low-rank", {"energy": 0.8}),
    "clip": ("clip", {"value": 0.1}),
    "equalize": ("equalize", {}),
    "distill": ("distill", {}),
    "quantize": ("quantize", {"calibration": 32}),
    "quantize-dynamic": ("quantize", {"activations": None}),
    "quantize-float16": ("quantize", {"bits": 16, "activations": None}),
    "quantize-4": ("quantize", {"bits": 4, "activations": None}),
    "qat": ("qat", {}),
    "qat-dynamic": ("qat", {"activations": None}),
    "tfmot-prune": ("tfmot-prune", {"sparsity": 0.5}),
    "tfmot-qat": ("tfmot-qat", {"calibration": 32}),
    "tfmot-cluster": ("tfmot-cluster", {"clusters": 8}),
}
# An error relative to the spread of the outputs above which an artifact computes something else.
FAR = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(architectures.ARCHITECTURES))
    parser.add_argument("--compressors", default=",".join(COMPRESSORS))
    parser.add_argument("--epochs", type=int, default=0, help="epochs of training")
    parser.add_argument("--seconds", type=int, default=300, help="a pair that takes longer is stopped")
    parser.add_argument("--json", help="append one line for each pair to this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    wrong = 0
    for name in options.only.split(","):
        for compressor in options.compressors.split(","):
            begin = time.monotonic()
            outcome = stopped_after(options.seconds, name, compressor, options.epochs)
            wrong += outcome.startswith("WRONG")
            seconds = round(time.monotonic() - begin, 1)
            line = {"model": name, "compressor": compressor, "outcome": outcome, "s": seconds}
            print(f"{name:<20}{compressor:<18}{seconds:>6} s  {outcome}", flush=True)
            if options.json:
                with Path(options.json).open("a") as file:
                    file.write(json.dumps(line) + "\n")
        keras.backend.clear_session()
    sys.exit(1 if wrong else 0)


def stopped_after(seconds: int, name: str, compressor: str, epochs: int) -> str:
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(seconds)
    try:
        return tried(name, compressor, epochs)
    except TimeoutError:
        return f"stopped after {seconds} s"
    finally:
        signal.alarm(0)


def _stop(*_):
    raise TimeoutError


def tried(name: str, compressor: str, epochs: int) -> str:
    model = architectures.built(name)
    x, y = architectures.rows(model)
    data = tfkit.Data((x, y), (x, y), batch_size=8)
    before = [np.array(each) for each in model.get_weights()]
    try:
        plugin, params = COMPRESSORS[compressor]
        made = tfkit.create("compressor", plugin, **params)
        with tempfile.TemporaryDirectory() as folder:
            done = made.compress(compiled_copy(model), data, epochs=epochs, directory=Path(folder))
            faults = list(found_wrong(done, model, x, Path(folder)))
    except tfkit.TfkitError as error:
        return f"refused: {' '.join(str(error).split())[:160]}"
    except TimeoutError:
        raise
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if any(not np.array_equal(old, new) for old, new in zip(before, model.get_weights())):
        faults.append("the source was changed")
    left = "" if done.model is None else f", {done.model.count_params() / model.count_params():.2f} of the parameters"
    return f"WRONG: {'; '.join(faults)}" if faults else f"ok{left}"


def found_wrong(done, model, x, folder):
    """Sentences on what is wrong with a result."""
    reference = model if done.model is None else done.model
    expected = outputs(reference(x, training=False))
    for ours, theirs in zip(expected, outputs(model(x, training=False))):
        if ours.shape != theirs.shape:
            yield f"outputs of shape {ours.shape}, not {theirs.shape}"
        if not np.isfinite(ours).all():
            yield "outputs that are not finite"
    if done.model is not None:
        done.model.save(folder / "saved.keras")
        again = outputs(tfkit.load_model(folder / "saved.keras")(x, training=False))
        if any(np.abs(a - b).max() > 1e-4 * (1 + np.abs(a).max()) for a, b in zip(expected, again)):
            yield "loaded again, it computes something else"
    if "litert" in done.artifacts:
        error = max(relative(a, b) for a, b in zip(expected, outputs(LiteRT(done.artifacts["litert"])(x))))
        if error > FAR:
            yield f"the file is {error:.2f} off the model"


def relative(expected, got):
    return float(np.sqrt(np.mean((expected - got) ** 2)) / (expected.std() + 1e-9))


def outputs(structure):
    return [np.asarray(each) for each in leaves(structure)]


if __name__ == "__main__":
    main()
