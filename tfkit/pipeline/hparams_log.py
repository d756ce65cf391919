"""The trials of a search as TensorBoard's HParams page reads them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from tfkit.errors import RunError
from tfkit.pipeline.search_axes import Axis
from tfkit.pipeline.search_folder import SearchFolder
from tfkit.pipeline.search_result import TrialResult

# One file in each folder, of a fixed name: written again, it takes the old one's place.
_FILE = "events.out.tfevents.0000000000.tfkit"


def write_hparams(found: SearchFolder, logdir: str | Path) -> int:
    """Writes each trial that has ended as a run of TensorBoard: its hyperparameters, status, and metrics by epoch.

    Args:
        found: The search's folder.
        logdir: The folder for `tensorboard --logdir`; a run stands in `trial-ID` below it.

    Returns:
        How many trials were written.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = Path(logdir)
    mixed = {axis.name for axis in found.axes if _is_mixed(axis)}
    ended = [trial for trial in found.trials if trial.status in ("COMPLETED", "FAILED")]
    try:
        _write(folder, [_experiment(found)])
        for trial in ended:
            _write(folder / f"trial-{trial.id}", _summaries(trial, mixed))
    except OSError as error:
        raise RunError(f"the directory {folder} cannot be written ({error.strerror}): choose another") from None
    return len(ended)


def _experiment(found: SearchFolder) -> tuple[int, Any]:
    """What the page's columns are."""
    from tensorboard.plugins.hparams import api  # type: ignore[import-untyped]

    metrics = dict.fromkeys([name for name, _ in found.objectives])
    metrics.update(dict.fromkeys(name for trial in found.trials for name in trial.metrics))
    hparams = [api.HParam(axis.name, _domain(axis)) for axis in found.axes]
    columns = [api.Metric(name, display_name=name) for name in metrics]
    return 0, api.hparams_config_pb(hparams, columns, time_created_secs=0)


def _domain(axis: Axis) -> Any:
    from tensorboard.plugins.hparams import api

    if axis.choices:
        return api.Discrete([str(each) for each in axis.choices] if _is_mixed(axis) else axis.choices)
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return api.IntInterval(axis.low, axis.high)
    return api.RealInterval(float(axis.low or 0), float(axis.high or 0))


def _is_mixed(axis: Axis) -> bool:
    """Whether its values are of several types, which a column of TensorBoard holds as text alone."""
    return len({type(each) for each in axis.choices}) > 1


def _summaries(trial: TrialResult, mixed: Collection[str]) -> Iterator[tuple[int, Any]]:
    """Steps and summaries: how the trial began, its metrics, how it ended."""
    from tensorboard.plugins.hparams import api
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb  # type: ignore[import-untyped]

    yield 0, api.hparams_pb(_plain(trial.values, mixed), trial_id=trial.id, start_time_secs=0)
    for name, values in trial.history.items():
        for step, value in enumerate(values):
            yield step, scalar_pb(name, value)
    # The page shows the last step: the best epoch's figures, which the score is of, come once more at the end.
    for name, value in trial.metrics.items():
        if not math.isnan(value):
            yield len(trial.history[name]), scalar_pb(name, value)
    yield 0, _ending(trial)


def _plain(values: dict[str, Any], mixed: Collection[str]) -> dict[str, Any]:
    """What TensorBoard does not hold, and the hyperparameters of mixed types, as text."""
    return {
        name: value if isinstance(value, (str, int, float)) and name not in mixed else str(value)
        for name, value in values.items()
    }


def _ending(trial: TrialResult) -> Any:
    """How the trial ended; TensorBoard's own `session_end_pb` makes a message of TensorFlow's, which does not fit."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if trial.status == "COMPLETED" else api_pb2.STATUS_FAILURE
    ending = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=0)
    about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=ending))
    value = {"tag": metadata.SESSION_END_INFO_TAG, "metadata": about, "tensor": metadata.NULL_TENSOR}
    return Summary(value=[Summary.Value(**value)])


def _write(folder: Path, summaries: Iterable[tuple[int, Any]]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
    from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILE).open("wb") as file:
        records = RecordWriter(file)
        records.write(Event(file_version="brain.Event:2").SerializeToString())
        for step, summary in summaries:
            records.write(Event(step=step, summary=summary).SerializeToString())
