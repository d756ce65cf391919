"""One trial of a search: its model built, trained, and its figures told to the oracle."""

from __future__ import annotations

import copy
import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.data import Data
from tfkit.errors import ParameterError
from tfkit.pipeline.session import clear_session
from tfkit.pipeline.space import Build, built

if TYPE_CHECKING:
    import keras
    import keras_tuner
    from keras_tuner.engine.trial import Trial

Event = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What all trials of a search have in common.

    Attributes:
        build: Function of `hp` that returns a compiled Keras model.
        data: Train and validation parts.
        epochs: Epochs of a trial.
        callbacks: Keras callbacks, copied for each trial, or a function that makes them.
        directory: Where the weights of the best trial are kept.
        ends: `time.monotonic()` at which a trial that is not the first is stopped.
        report: Called with what happens, as a dict.
    """

    build: Build
    data: Data
    epochs: int
    callbacks: Sequence[Any] | Callable[[], Sequence[Any]]
    directory: Path
    ends: float
    report: Callable[[Event], None]


def run_trial(oracle: keras_tuner.Oracle, trial: Trial, job: Job) -> bool:
    """Trains a trial's model and ends the trial; what goes wrong is kept with it, and is no error here.

    Args:
        oracle: The oracle that gave the trial.
        trial: The trial.
        job: What the trials have in common.

    Returns:
        False where time ran out; the trial then has not ended.

    Raises:
        ParameterError: No metric has the objective's name.
        SearchError: Too many trials in a row have failed.
    """
    import keras_tuner

    from tfkit.attach.trial import OutOfTime, UnknownObjective

    try:
        history = _trained(oracle, trial, job)
    except OutOfTime:
        return False
    except (UnknownObjective, keras_tuner.errors.FatalError):
        raise
    except Exception as error:
        final = isinstance(error, keras_tuner.errors.FailedTrialError)
        trial.status, trial.message = "FAILED" if final else "INVALID", traceback.format_exc()
    else:
        for epoch, figures in enumerate(history):
            oracle.update_trial(trial.trial_id, figures, step=epoch)
        trial.status = "COMPLETED"
    oracle.end_trial(trial)
    oracle.save()  # KerasTuner's own do not know before that the trial has ended
    return True


def best_trial(oracle: keras_tuner.Oracle) -> Trial | None:
    """The completed trial with the best score; KerasTuner's own list goes on with those that failed."""
    return next((trial for trial in oracle.get_best_trials() if trial.status == "COMPLETED"), None)


def weights_path(directory: Path, trial: Trial) -> Path:
    """Where a trial's weights are kept."""
    return directory / f"trial-{trial.trial_id}.weights.h5"


def keep_best(oracle: keras_tuner.Oracle, directory: Path) -> None:
    """Removes all weights but those of the best trial."""
    best = best_trial(oracle)
    for path in directory.glob("trial-*.weights.h5"):
        if best is None or path != weights_path(directory, best):
            path.unlink()


def copied_callbacks(job: Job) -> list[Any]:
    """The callbacks for one fit.

    Raises:
        ParameterError: They cannot be copied.
    """
    if callable(job.callbacks):
        return list(job.callbacks())
    try:
        return copy.deepcopy(list(job.callbacks))
    except Exception as error:
        raise ParameterError(
            f"the callbacks cannot be copied for each trial ({error}): pass callbacks= a function that makes them"
        ) from error


def _trained(oracle: keras_tuner.Oracle, trial: Trial, job: Job) -> list[dict[str, float]]:
    """The logs of each epoch."""
    import keras

    from tfkit.attach.trial import TrialCallback

    def report(epoch: int, figures: dict[str, float]) -> None:
        job.report({"event": "epoch", "trial": trial.trial_id, "epoch": epoch, "epochs": job.epochs, "logs": figures})

    best = best_trial(oracle)
    watch = TrialCallback(
        oracle.objective,
        None if best is None else best.score,
        weights_path(job.directory, trial),
        float("inf") if best is None else job.ends,
        report,
    )
    clear_session()
    keras.utils.set_random_seed(_seed(oracle, trial))
    _fit(built(job.build, trial.hyperparameters), job, watch)
    return watch.history


def _fit(model: keras.Model, job: Job, watch: keras.callbacks.Callback) -> None:
    validation = None if job.data.validation is None else job.data.dataset("validation")
    model.fit(
        job.data.dataset("train"),
        validation_data=validation,
        epochs=job.epochs,
        shuffle=False,  # the dataset does it; Keras warns of its own default
        verbose=0,
        callbacks=[*copied_callbacks(job), watch],
    )


def _seed(oracle: keras_tuner.Oracle, trial: Trial) -> int:
    """A seed for each run of each trial: a retry begins otherwise, a trial that was interrupted begins alike."""
    import numpy as np

    run = oracle._run_times[trial.trial_id]
    sequence = np.random.SeedSequence([oracle.seed, zlib.crc32(trial.trial_id.encode()), run])
    return int(sequence.generate_state(1)[0])
