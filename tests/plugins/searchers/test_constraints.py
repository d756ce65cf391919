"""Several objectives, bounds and what an earlier search knows: what the searchers make of them."""

import keras_tuner
import numpy as np
import pytest
from driven_oracles import bowl, oracle_in, plane, run_with_kills, volume
from scipy import stats

import tfkit
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.objective import directed
from tfkit_searchers.surrogate.limit import limited
from tfkit_searchers.surrogate.process import Kernel
from tfkit_searchers.surrogate.warp import warped

CORNER = (1.1, 4.0)
TWO = ["val_loss", keras_tuner.Objective("size", "max")]


def drive(name, hp, function, trials, **options):
    """Runs to the end, in memory; the function gives all that a trial reports, in one step."""
    options = {"objective": "val_loss", "seed": 0, **options}
    oracle = tfkit.create("searcher", name, max_trials=trials, hyperparameters=hp, **options)
    oracle.verbose = 0
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        oracle.update_trial(trial.trial_id, function(trial.hyperparameters.values))
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return oracle


def beyond_a_line(values):
    """The least of val_loss with room of at least 2 is 2, at (1, 1); without that it is 0."""
    return {"val_loss": values["x"] ** 2 + values["y"] ** 2, "room": values["x"] + values["y"]}


@pytest.mark.parametrize(("name", "trials", "bound"), [("bayesian", 25, 2.15), ("genetic", 25, 2.25)])
def test_the_best_within_a_bound_is_found(name, trials, bound):
    """Random's median of 30 is above 3."""
    best = []
    for seed in range(2):
        oracle = drive(name, plane(), beyond_a_line, trials, constraints={"room": (">=", 2)}, seed=seed)
        trial = oracle.get_best_trials()[0]
        assert oracle.violation(trial) == 0
        best.append(trial.score)
    assert min(best) >= 2
    assert max(best) < bound


@pytest.mark.parametrize("name", ["bayesian", "genetic"])
def test_where_next_to_nothing_is_allowed_the_way_there_is_found(name):
    """Of the square .03 % keep to both bounds."""

    def ring(values):
        return {"val_loss": values["x"], "far": np.hypot(values["x"] - 3, values["y"] + 3), "x": values["x"]}

    oracle = drive(name, plane(), ring, 40, constraints={"far": 0.1})
    assert oracle.violation(oracle.get_best_trials()[0]) == 0


@pytest.mark.parametrize("name", ["random", "bayesian", "genetic"])
def test_where_nothing_is_allowed_the_best_is_the_nearest(name):
    oracle = drive(name, plane(), beyond_a_line, 14, constraints={"room": (">=", 20)})
    room = {trial.trial_id: trial.metrics.get_best_value("room") for trial in oracle.trials.values()}
    best = oracle.get_best_trials()[0].trial_id
    assert max(sum(trial.hyperparameters.values.values()) for trial in oracle.trials.values()) == pytest.approx(
        sum(oracle.trials[best].hyperparameters.values.values())
    ), room
    assert oracle.pareto_front() == []


def front_of(oracle, bound):
    """Ids of the front, by comparing all pairs."""
    rows = {}
    for trial in oracle.trials.values():
        if trial.score is not None:
            values = [trial.metrics.get_best_value(name) for name in ("val_loss", "size")]
            rows[trial.trial_id] = (values[0], -values[1])
    allowed = {each: row for each, row in rows.items() if -row[1] <= bound}
    return [
        each
        for each, row in allowed.items()
        if not any(other != row and other[0] <= row[0] and other[1] <= row[1] for other in allowed.values())
    ]


@pytest.mark.parametrize("name", ["random", "grid", "sobol", "bayesian", "genetic"])
def test_the_front_is_that_of_all_pairs(name):
    hp = keras_tuner.HyperParameters()
    hp.Float("x", -5.0, 5.0, step=0.5)
    hp.Float("y", -5.0, 5.0, step=0.5)

    def two(values):
        return {"val_loss": bowl(values), "size": -abs(values["x"] - 4) - abs(values["y"] - 3)}

    oracle = drive(name, hp, two, 25, objective=TWO, constraints={"size": -1})
    front = [trial.trial_id for trial in oracle.pareto_front()]
    assert front == front_of(oracle, -1)
    assert len(front) > 1


def zdt1(values):
    """Zitzler, Deb and Thiele's first problem (2000); on the front the second is 1 minus the root of the first."""
    x = np.array(list(values.values()))
    g = 1 + 9 * x[1:].mean()
    return {"a_loss": x[0], "b_loss": g * (1 - np.sqrt(x[0] / g))}


@pytest.mark.parametrize("seeds", [1, pytest.param(5, marks=pytest.mark.nightly)])
def test_fronts_of_bayesian_and_genetic_are_nearer_than_random_ones(seeds):
    best = volume([(t, 1 - np.sqrt(t)) for t in np.linspace(0, 1, 2001)], CORNER)
    shares = {}
    for name in ("random", "bayesian", "genetic"):
        for seed in range(seeds):
            hp = keras_tuner.HyperParameters()
            for axis in range(5):
                hp.Float(f"x{axis}", 0.0, 1.0)
            oracle = drive(name, hp, zdt1, 40, objective=["a_loss", "b_loss"], seed=seed)
            points = [tuple(zdt1(trial.hyperparameters.values).values()) for trial in oracle.pareto_front()]
            shares.setdefault(name, []).append(volume(points, CORNER) / best)
    assert min(shares["bayesian"]) > 0.93
    assert min(shares["genetic"]) > 0.75
    assert max(shares["random"]) < 0.65


@pytest.mark.parametrize("name", ["bayesian", "genetic", "random"])
def test_killed_and_resumed_with_two_objectives_and_a_bound_gives_the_same_trials(tmp_path, name):
    def figures(values):
        return {"val_loss": bowl(values), "size": values["x"] ** 2, "room": values["x"] + values["y"]}

    def searched(folder, kills):
        given = {"objective": TWO, "constraints": {"room": (">=", 0)}}
        return run_with_kills(lambda: oracle_in(tmp_path / folder, name, plane(), **given), figures, 20, kills)

    assert searched("broken", {3, 12, 13, 17, 19}) == searched("whole", ())


@pytest.mark.parametrize("name", ["random", "bayesian", "genetic"])
def test_what_was_not_worth_training_is_completed_without_a_score(tmp_path, name):
    """Its figure is learned from, it is no failure, and a retry is none of its business."""
    current = lambda: oracle_in(tmp_path, name, plane(), constraints={"parameters": 10})  # noqa: E731
    oracle = current()
    for number in range(20):
        trial = oracle.create_trial("tuner")
        x = trial.hyperparameters.get("x")
        figures = {"parameters": 10 + x} if x > 0 else {"parameters": 10 + x, "val_loss": bowl(trial.hyperparameters)}
        oracle.update_trial(trial.trial_id, figures)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        oracle = current() if number == 15 else oracle
    trials = list(oracle.trials.values())
    untrained = [trial for trial in trials if trial.hyperparameters.get("x") > 0]
    assert untrained
    assert {(trial.status, trial.score) for trial in untrained} == {("COMPLETED", None)}
    assert all(oracle.violation(trial) > 0 for trial in untrained)
    assert oracle.get_best_trials()[0].hyperparameters.get("x") <= 0
    if name != "random":
        assert sum(trial in untrained for trial in trials[10:]) <= 5
    trial = oracle.create_trial("tuner")
    with pytest.raises(ValueError, match=r"^Objective value missing in metrics reported to the Oracle: val_loss"):
        oracle.update_trial(trial.trial_id, {"parameters": 1})
    with pytest.raises(ValueError, match="reported to the Oracle: parameters"):
        oracle.update_trial(trial.trial_id, {"val_loss": 1})


def test_the_best_step_keeps_to_the_bounds():
    oracle = tfkit.create("searcher", "random", objective="val_loss", hyperparameters=plane(), constraints={"mae": 1})
    oracle.verbose = 0
    trial = oracle.create_trial("tuner")
    for step, (loss, mae) in enumerate([(0.5, 2.0), (0.9, 0.5), (0.8, 1.0), (0.1, 1.5)]):
        oracle.update_trial(trial.trial_id, {"val_loss": loss, "mae": mae}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert (trial.score, trial.best_step) == (0.8, 2)


def test_other_bounds_are_another_search(tmp_path):
    given = {"constraints": {"room": (">=", 2), "val_loss": 9}}
    oracle = oracle_in(tmp_path, hyperparameters=plane(), **given)
    oracle_in(tmp_path, hyperparameters=plane(), constraints={"room": 1})  # as long as none was completed
    trial = oracle.create_trial("tuner")
    oracle.update_trial(trial.trial_id, beyond_a_line(trial.hyperparameters.values))
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    oracle_in(tmp_path, hyperparameters=plane(), constraints={"val_loss": 9, "room": (">=", 2)})
    with pytest.raises(tfkit.SearchError, match=r"has the constraints .*'>=', 2.0.*; got \[\]: go on"):
        oracle_in(tmp_path, hyperparameters=plane())


@pytest.mark.parametrize("name", ["hyperband", "population"])
def test_searchers_that_train_further_go_by_the_leading_objective_and_take_no_bound(name):
    def two(values):
        return {"val_loss": bowl(values), "size": -bowl(values)}

    oracle = drive(name, plane(), two, 8, objective=TWO)
    assert [trial.score for trial in oracle.trials.values()] == [
        bowl(trial.hyperparameters.values) for trial in oracle.trials.values()
    ]
    with pytest.raises(tfkit.ParameterError, match="takes no constraints: take searcher='genetic'"):
        tfkit.create("searcher", name, objective="val_loss", constraints={"bytes": 1})


def test_objectives_are_names_pairs_or_kerastuners():
    several = directed([("val_x", "max"), "bytes", keras_tuner.Objective("val_loss", "min")])
    assert [(each.name, each.direction) for each in several.objectives] == [
        ("val_x", "max"),
        ("bytes", "min"),
        ("val_loss", "min"),
    ]
    assert (several.name, several.direction) == ("val_x", "max")
    assert directed(["val_loss"]) == keras_tuner.Objective("val_loss", "min")
    assert directed(("val_x", "max")) == keras_tuner.Objective("val_x", "max")
    kerastuners = keras_tuner.oracles.RandomSearchOracle(objective=list(several.objectives), max_trials=1).objective
    assert directed(kerastuners) == several  # it would add them up
    for wrong in ([], ["val_loss", "val_loss"]):
        with pytest.raises(tfkit.ParameterError, match="none twice"):
            directed(wrong)


def test_the_probability_of_keeping_to_a_bound_and_its_slopes():
    """Against scipy's normal distribution and differences."""
    encoding = Encoding(plane(0.0, 1.0).space)
    rng = np.random.default_rng(0)
    points, kernel = rng.random((12, 2)), Kernel(np.array([0.5, 0.5]), 1.0, 1e-3)
    excesses = points.sum(1) - 1
    limit = limited(encoding, kernel, points, excesses)
    at = rng.random((5, 2))
    mean, deviation = limit.posterior.at(at)
    bound = warped(np.append(excesses, 0.0))[-1]
    expected = stats.norm(mean, deviation).logcdf(bound)
    np.testing.assert_allclose(limit.log_probability(at), expected)
    for axis in range(2):
        shift = np.eye(2)[axis] * 1e-6
        difference = (limit.log_probability(at + shift) - limit.log_probability(at - shift)) / 2e-6
        np.testing.assert_allclose(limit.slopes(at)[:, axis], difference, rtol=1e-4, atol=1e-6)
