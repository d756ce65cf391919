"""The HParams log, read back by TensorBoard's own page."""

import types

import pytest
from filled_search import fill

import tfkit
from tfkit import cli
from tfkit.pipeline.hparams_log import write_hparams
from tfkit.pipeline.search_axes import Axis
from tfkit.pipeline.search_folder import SearchFolder, open_search
from tfkit.pipeline.search_result import TrialResult


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "one"
    fill(folder).close()
    return open_search(folder)


def sessions(logdir, names=("kind", "layers", "rate", "bias")):
    """What TensorBoard's HParams page shows, by trial: values, metrics and status."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    context = backend_context.Context(types.SimpleNamespace(data_provider=provider, logdir=str(logdir)))
    request = api_pb2.ListSessionGroupsRequest(
        slice_size=999,
        aggregation_type=api_pb2.AGGREGATION_AVG,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE],
        col_params=[{"hparam": name} for name in names],
    )
    metadata = context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(RequestContext(), "", True, metadata, [])
    answer = list_session_groups.Handler(
        RequestContext(), backend_context=context, experiment_id="", request=request
    ).run()
    return experiment, {group.name: group for group in answer.session_groups}


def test_tensorboard_shows_every_trial_that_has_ended(found, tmp_path):
    from tensorboard.plugins.hparams import api_pb2

    assert write_hparams(found, tmp_path) == 23
    assert write_hparams(found, tmp_path) == 23  # takes the place of the first
    experiment, shown = sessions(tmp_path)
    assert {info.name for info in experiment.hparam_infos} == {"kind", "layers", "rate", "bias"}
    rate = next(info for info in experiment.hparam_infos if info.name == "rate")
    assert (rate.domain_interval.min_value, rate.domain_interval.max_value) == (1e-4, 1e-1)
    assert shown.keys() == {trial.id for trial in found.trials[:-1]}
    for trial in found.trials[:-1]:
        group = shown[trial.id]
        values = {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()}
        assert values == trial.values
        metrics = {value.name.tag: value.value for value in group.metric_values}
        assert metrics == pytest.approx(trial.metrics, rel=1e-6)
        status = api_pb2.STATUS_SUCCESS if trial.status == "COMPLETED" else api_pb2.STATUS_FAILURE
        assert [session.status for session in group.sessions] == [status]


def test_one_name_with_several_types_is_a_column_of_text(tmp_path):
    """In one scope "mode" is a number, in the other text; "share" is of ints, or of floats."""
    values = [{"mode": 1, "share": 2}, {"mode": "x", "share": 0.5}]
    trials = [TrialResult(f"{n}", each, 1.0, "COMPLETED", {}, {}, None) for n, each in enumerate(values)]
    for choices, low, high in ((("x", 1), 0.25, 3), ((1, "x", 2.5), 0, 2.5)):
        axes = (Axis("mode", choices=choices), Axis("share", low, high))
        write_hparams(SearchFolder(tmp_path, (("loss", "min"),), axes, tuple(trials)), tmp_path / "logs")
        experiment, shown = sessions(tmp_path / "logs", ["mode", "share"])
        mode, share = sorted(experiment.hparam_infos, key=lambda info: info.name)
        assert [each.string_value for each in mode.domain_discrete.values] == sorted(map(str, choices))
        assert (share.domain_interval.min_value, share.domain_interval.max_value) == (low, high)
        found = [(group.hparams["mode"].string_value, group.hparams["share"].number_value) for group in shown.values()]
        assert sorted(found) == [("1", 2.0), ("x", 0.5)]


def test_the_command_writes_it_and_refuses_what_cannot_be_written(found, tmp_path, capsys):
    logs = tmp_path / "logs"
    assert cli._run(cli.tfkit, ["search", "export", str(found.path), "--hparams", str(logs)], False) == 0
    assert capsys.readouterr().out == f"23 trials: tensorboard --logdir {logs}\n"
    assert len(list(logs.glob("trial-*/events.out.tfevents.*"))) == 23
    (tmp_path / "file").touch()
    with pytest.raises(tfkit.RunError, match="cannot be written"):
        write_hparams(found, tmp_path / "file")
