"""Trials on a Ray cluster of two nodes on this machine."""

import threading
import time

import pytest
from search_tasks import Act, Driven, dying

import tfkit
from tfkit.pipeline.runners.choice import runner_for

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **small})
    cluster.add_node(num_cpus=1, **small)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def on_ray(cluster):
    return runner_for(("ray", {"address": cluster.address}))


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    return Driven(Act(), tmp_path_factory.mktemp("sequential")).run().rows


def test_trials_are_those_of_one_process_on_two_nodes(tmp_path, sequential, on_ray):
    begun = []
    driven = Driven(Act(lambda values, attempt: time.sleep(0.3)), tmp_path, runner=on_ray, report=begun.append)
    assert driven.runner.free() == 2
    driven.run()
    assert driven.rows == sequential
    assert [event["event"] for event in begun[:2]] == ["begin", "begin"]
    assert len(driven.events_of("epoch")) == 6
    assert not ray.is_initialized()


def test_trial_whose_worker_dies_runs_again(tmp_path, sequential, on_ray):
    driven = Driven(dying(), tmp_path, runner=on_ray).run()
    assert driven.rows == sequential
    assert sorted(driven.events_of("lost")) == [row[0] for row in sequential if row[3]["x"] > 0.5]


def test_trial_that_takes_too_long_has_failed(tmp_path, on_ray):
    task = Act(lambda values, attempt: time.sleep(60 * (values["x"] > 0.5)))
    driven = Driven(task, tmp_path, trials=3, runner=on_ray, budget={"trial_timeout": 0.5}).run()
    assert {trial.status for trial in driven.trials.values() if trial.hyperparameters.get("x") > 0.5} == {"FAILED"}


def test_error_that_ends_the_search_comes_through(tmp_path, on_ray):
    class Broken:
        set_up = None

        def run(self, request, watcher):
            raise tfkit.ParameterError("no metric of the model is called 'x'")

    with pytest.raises(tfkit.ParameterError, match="no metric of the model is called 'x'"):
        Driven(Broken(), tmp_path, runner=on_ray).run()


def test_trials_of_a_node_that_is_killed_run_again(tmp_path, sequential, cluster, on_ray):
    added = [cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]

    def kill():
        ours = ray.get_runtime_context().get_node_id()  # it may be any, since all are of one machine
        cluster.remove_node(next(node for node in added if node.node_id != ours), allow_graceful=False)

    def soon(event):
        if len(driven.events_of("begin")) == 4 and event["event"] == "begin":
            threading.Timer(3.0, kill).start()  # then each node has a trial

    driven = Driven(Act(lambda values, attempt: time.sleep(8.0)), tmp_path, runner=on_ray, report=soon)
    assert driven.runner.free() == 4
    driven.run()
    assert driven.rows == sequential
    assert driven.events_of("lost")


@pytest.mark.slow
def test_model_is_trained_and_its_weights_come_back(tmp_path, cluster):
    from search_models import cheap_search

    here = cheap_search(directory=tmp_path / "here", epochs=2)
    far = cheap_search(directory=tmp_path / "far", epochs=2, workers=("ray", {"address": cluster.address, "count": 1}))
    assert [trial.values for trial in far.trials] == [trial.values for trial in here.trials]
    assert [trial.score for trial in far.trials] == pytest.approx([trial.score for trial in here.trials])
    assert far.best_model.get_weights()[0] == pytest.approx(here.best_model.get_weights()[0])
