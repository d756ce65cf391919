"""The faults that a training may have, each with its evidence in figures and what to try."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfkit_callbacks.doctor.observed import Observed

# From how much on something is a fault.
_EPOCHS = 3  # that a training must have had before it is said to underfit
_RISE = 0.1  # of the validation loss above its best, as a share of that
_SOME = 0.03  # of the loss of a constant answer: less is noise
_GAP = 2.0  # times that the validation loss is larger than the loss
_FAR = 3.0  # times the loss of guessing, near which a training begins
_HARDLY = 0.85  # of the loss of a model that knows the mean of the labels
_SLOW, _FALLING = 0.5, 0.03  # likewise, where the loss still falls by that share in an epoch
_RARE, _MISSED = 5.0, 0.6  # times that a class is rarer than another; of the share that is right over all rows
_SILENT, _FEW_UNITS = 0.3, 4  # share of the units of a layer
_WAITED, _WAITED_SECONDS = 0.5, 1e-2  # share of the time of a step; less is what calling one takes on a busy machine
_FULL = 0.9  # share of the memory


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a training.

    Attributes:
        fault: overfitting, underfitting, divergence, dead-units, imbalance, input-bound or memory-bound.
        evidence: The figures that show it.
        advice: Plugins and values to try.
        severity: From 0 to 1, to rank by.
    """

    fault: str
    evidence: str
    advice: str
    severity: float

    def __str__(self) -> str:
        return f"{self.fault}: {self.evidence}. Try: {self.advice}"


def diagnose(observed: Observed) -> list[Finding]:
    """What is wrong, the worst first; nothing for a training that is well.

    What another fault explains is not told: a model that cannot learn for its dead units is not said to be too small.

    Example:
        >>> curves = {"loss": [1.0, 0.5, 0.2, 0.1, 0.05], "val_loss": [1.0, 0.8, 0.9, 1.2, 1.5]}
        >>> [each.fault for each in diagnose(Observed(curves))]
        ['overfitting']
    """
    causes = [fault for fault in (divergence(observed), dead_units(observed), imbalance(observed)) if fault]
    symptoms = [overfitting(observed), None if causes else underfitting(observed)]
    around = [input_bound(observed), memory_bound(observed)]
    if any(each.fault == "divergence" for each in causes):
        symptoms = []
    found = [*causes, *(each for each in [*symptoms, *around] if each)]
    return sorted(found, key=lambda each: -each.severity)


def divergence(observed: Observed) -> Finding | None:
    """The loss is no number, or rose."""
    loss = observed.curve("loss")
    if not loss.size:
        return None
    advice = (
        'a tenth of the learning rate, schedule "cosine" with warmup, an optimizer with clipnorm=1.0, inputs that are '
        "scaled to about 1"
    )
    bad = np.flatnonzero(~np.isfinite(loss))
    if bad.size:
        return Finding("divergence", f"the loss is {loss[bad[0]]} in epoch {bad[0] + 1}", advice, 1.0)
    baseline = observed.baseline
    if baseline and observed.classes is not None:
        guess = max(baseline, float(np.log(len(observed.classes))))
        if loss[-1] > _FAR * guess:
            evidence = f"the loss is {loss[-1]:.4g}, {loss[-1] / guess:.1f} times that of guessing"
            return Finding("divergence", evidence, advice, 0.95)
    least = int(loss.argmin())
    if len(loss) < 2 or least == len(loss) - 1:
        return None
    much = 2 * max(loss[least], 1e-9)
    if loss[-1] > much and (loss[-1] > loss[0] or (baseline is not None and loss[-1] > 2 * baseline)):
        evidence = f"the loss rose from {loss[least]:.4g} in epoch {least + 1} to {loss[-1]:.4g}"
        return Finding("divergence", evidence, advice, 1.0)
    return None


def dead_units(observed: Observed) -> Finding | None:
    """Many ReLU units give 0 for every row."""
    shares = {name: dead / units for name, (dead, units) in observed.silent.items() if units >= _FEW_UNITS}
    worst = max(shares, key=lambda name: shares[name], default=None)
    if worst is None or shares[worst] < _SILENT:
        return None
    dead, units = observed.silent[worst]
    return Finding(
        "dead-units",
        f"{dead} of {units} units of layer {worst!r} gave 0 for every row of the last epoch",
        "activation 'leaky_relu' or 'gelu' there, a lower learning rate, HeNormal kernels with biases of 0, "
        "BatchNormalization before the activation",
        0.6 + 0.4 * shares[worst],
    )


def imbalance(observed: Observed) -> Finding | None:
    """Rare classes are missed."""
    classes, hits = observed.classes, observed.hits
    if classes is None or hits is None or (classes > 0).sum() < 2:
        return None
    there = np.flatnonzero(classes > 0)
    rare = there[classes[there] * _RARE <= classes.max()]
    overall = hits.sum() / classes.sum()
    missed = [each for each in rare if hits[each] / classes[each] < _MISSED * overall]
    if not missed:
        return None
    worst = min(missed, key=lambda each: hits[each] / classes[each])
    recall = hits[worst] / classes[worst]
    weight = classes.sum() / (len(there) * classes[worst])
    return Finding(
        "imbalance",
        f"class {worst} has {classes[worst] / classes.sum():.1%} of the rows, and {recall:.1%} of those are right, of "
        f"all rows {overall:.1%}",
        f"class_weight={{{worst}: {weight:.3g}, …}} in fit (rows / (classes * rows of the class)), metric "
        '"balanced-accuracy" or "f1" instead of accuracy, a threshold chosen on the validation part',
        0.6 + 0.4 * (1 - recall / overall),
    )


def overfitting(observed: Observed) -> Finding | None:
    """The validation loss is past its best while the loss still falls, or far above it."""
    loss, val = observed.curve("loss"), observed.curve("val_loss")
    if len(val) < _EPOCHS or len(val) != len(loss) or not np.isfinite(val).all() or loss[-1] < 0:
        return None
    best = int(val.argmin())
    # What is much for this loss: that of a constant answer, or where the validation began.
    much = observed.baseline or val[0]
    late = float(np.median(val[-_EPOCHS:]))
    past = len(val) - 1 - best >= _EPOCHS - 1 and late >= (1 + _RISE) * val[best] and late - val[best] >= _SOME * much
    risen = past and loss[-1] < loss[best]
    gap = _accuracy_gap(observed)
    apart = late > _GAP * loss[-1] and (gap >= 0.1 if gap is not None else val[-1] - loss[-1] >= 0.1 * much)
    if not (risen or apart):
        return None
    evidence = f"the validation loss is {val[-1]:.4g} and the loss {loss[-1]:.4g}"
    if risen:
        evidence += f"; it was {val[best]:.4g} after epoch {best + 1} of {len(val)}"
    return Finding(
        "overfitting",
        evidence,
        f'callback "early-stopping" (patience={max(2, len(val) // 10)}), regularizer "l2" (l2=1e-4), dropout of .3, '
        "more or augmented data, a smaller model",
        float(np.clip(1 - loss[-1] / max(val[-1], 1e-9), 0.0, 1.0)),
    )


def underfitting(observed: Observed) -> Finding | None:
    """The loss is hardly below that of a constant answer, or far from settled."""
    loss, baseline = observed.curve("loss"), observed.baseline
    if len(loss) < _EPOCHS or baseline is None or baseline <= 0:
        return None
    share = loss[-1] / baseline
    falls = loss[-3] > 0 and (loss[-3] - loss[-1]) / (2 * loss[-3]) >= _FALLING
    if share < (_SLOW if falls else _HARDLY):
        return None
    evidence = f"the loss is {loss[-1]:.4g}, {share:.0%} of that of a constant answer, {baseline:.4g}"
    advice = "three times the learning rate, wider or more layers, less dropout and regularization"
    if falls:
        evidence += f", and still falls, from {loss[-3]:.4g} two epochs before"
        advice = f"{2 * len(loss)} epochs or more, {advice}"
    return Finding("underfitting", evidence, advice, 0.8 * float(np.clip(share, 0.0, 1.0)))


def input_bound(observed: Observed) -> Finding | None:
    """Steps wait for their batches."""
    if not observed.steps or observed.seconds <= 0:
        return None
    share, wait = observed.waited / observed.seconds, observed.waited / observed.steps
    if share < _WAITED or wait < _WAITED_SECONDS:
        return None
    return Finding(
        "input-bound",
        f"{share:.0%} of the time of a step is waiting for its batch, {1000 * wait:.1f} of "
        f"{1000 * observed.seconds / observed.steps:.1f} ms",
        "tf.data with cache(), batch() before map(), map(num_parallel_calls=tf.data.AUTOTUNE) and prefetch()",
        0.5 + 0.5 * share,
    )


def memory_bound(observed: Observed) -> Finding | None:
    """Hardly any memory is left."""
    if observed.memory is None:
        return None
    used, limit = observed.memory
    if used < _FULL * limit:
        return None
    return Finding(
        "memory-bound",
        f"{used / 2**20:.0f} of {limit / 2**20:.0f} MiB are taken",
        'callback "micro-batches" (steps=4), a smaller batch, mixed_float16 on a GPU, data that is not held in memory',
        used / limit,
    )


def _accuracy_gap(observed: Observed) -> float | None:
    """How much more often training rows are right than validation rows; None where the logs do not tell."""
    names = [name for name in observed.curves if "acc" in name and f"val_{name}" in observed.curves]
    gaps = [observed.curve(name)[-1] - observed.curve(f"val_{name}")[-1] for name in names]
    return float(max(gaps)) if gaps else None
