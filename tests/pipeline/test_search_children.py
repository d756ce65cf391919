"""A whole search in child processes: real models, their weights, callbacks that compare trials."""

import keras
import pytest
from search_models import cheap, cheap_search, make_data

import tfkit


class Curious(keras.callbacks.Callback):
    """Logs how many other trials it knows of."""

    def watch(self, histories):
        self.histories = histories

    def on_epoch_end(self, epoch, logs=None):
        logs["val_known"] = float(len(self.histories()))


@pytest.fixture(scope="module")
def here():
    return cheap_search(trials=4, epochs=2, callbacks=[Curious()], keep=2)


def test_callbacks_in_this_process_know_the_other_trials(here):
    assert [trial.history["val_known"] for trial in here.trials] == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]


@pytest.mark.slow
def test_search_in_children_equals_one_in_this_process(here, tmp_path):
    factor = 1.0
    events = []

    def build(hp):
        model = cheap(hp)
        model.optimizer.learning_rate = float(model.optimizer.learning_rate) * factor
        return model

    result = cheap_search(
        build,
        trials=4,
        epochs=2,
        callbacks=[Curious()],
        keep=2,
        directory=tmp_path,
        workers=("processes", {"count": 1}),
        progress=events.append,
    )
    for one, other in zip(result.trials, here.trials, strict=True):
        assert (one.id, one.values, one.status) == (other.id, other.values, other.status)
        assert one.history == {name: pytest.approx(values, rel=1e-5) for name, values in other.history.items()}
    loss = result.best_model.evaluate(*make_data().validation, verbose=0)
    assert loss == pytest.approx(result.best_score, rel=1e-5)
    assert len(list(tmp_path.glob("*.weights.h5"))) == 2
    assert all(event["memory"] > 1e8 for event in events if event["event"] == "end")
    assert sorted(path.name for path in tmp_path.iterdir() if "weights" not in path.name) == [
        "search.db",
        "search.json",
        "search.lock",
    ]


@pytest.mark.nightly
def test_two_workers_run_the_same_trials(here):
    result = cheap_search(trials=4, epochs=2, workers=2)
    for one, other in zip(result.trials, here.trials, strict=True):
        assert one.values == other.values
        assert one.score == pytest.approx(other.score, rel=1e-5)


@pytest.mark.nightly
def test_objective_that_no_metric_has_is_told_by_a_child():
    with pytest.raises(tfkit.ParameterError, match="no metric of the model is called 'val_accuracy'; there are: loss"):
        cheap_search(objective="val_accuracy", workers=2)


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "many", ("threads", {}), None])
def test_workers_that_there_are_not_are_refused(workers):
    with pytest.raises(tfkit.ParameterError, match="'workers' of search must be an int > 0, 'ray', an address"):
        cheap_search(workers=workers)


def test_options_of_workers_are_checked():
    with pytest.raises(tfkit.ParameterError, match="'heartbeat' of search's worker processes must be a float > 0"):
        cheap_search(workers=("processes", {"count": 2, "heartbeat": 0}))
    with pytest.raises(tfkit.ParameterError, match="search's worker processes needs 'count'"):
        cheap_search(workers=("processes", {}))


def test_ray_that_is_not_installed_is_told(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(tfkit.ParameterError, match="search on Ray needs ray: pip install"):
        cheap_search(workers="ray")
