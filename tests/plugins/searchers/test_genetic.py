"""What the genetic searcher proposes: children of the best, better than chance, the same after a kill."""

import math
import time

import keras_tuner
import numpy as np
import pytest
from driven_oracles import bowl, finish, mixed, oracle_in, plane, run_with_kills, search, volume

import tfkit
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.genetic import oracle as genetic
from tfkit_searchers.genetic.breeding import Breeding, children, crossed, mutated, selected


def lowest(oracle):
    return min(trial.score for trial in oracle.trials.values() if trial.score is not None)


@pytest.mark.parametrize(("offspring", "trials", "bound"), [(200, 25, 0.05), (1, 100, 0.1)])
def test_finds_the_bottom_of_a_bowl(offspring, trials, bound):
    """Random's median of the lowest of 25 is 1.4, of the lowest of 100 it is .4."""
    found = [lowest(search("genetic", bowl, plane(), trials, offspring=offspring, seed=seed)) for seed in range(3)]
    assert np.median(found) < bound


def test_choices_steps_and_scopes_are_searched_together():
    """Random finds less than .15 in this space in one of 20 seeds."""

    def function(values):
        found = (math.log10(values["rate"]) + 2.5) ** 2 + 0.3 * (values["kind"] == "flat") + 0.2 * values["bias"]
        return found + (values["dropout"] - 0.2) ** 2 + 0.1 * (values.get("layers", 3) - 4) ** 2

    trials = search("genetic", function, mixed(), 40).trials.values()
    best = min(trials, key=lambda trial: trial.score).hyperparameters.values
    assert (best["kind"], best["bias"], best["layers"]) == ("deep", False, 4)
    assert function(best) < 0.05


@pytest.mark.parametrize("hurdle", [math.nan, 1e30])
def test_failures_and_outliers_do_not_lead_astray(hurdle):
    oracle = search("genetic", lambda values: hurdle if values["x"] > 2 else bowl(values), plane(), 30)
    assert lowest(oracle) < 0.2
    bad = [trial.hyperparameters.get("x") > 2 for trial in oracle.trials.values()]
    assert sum(bad[10:]) <= 5


def test_one_child_takes_no_model(monkeypatch):
    def fail(*args):
        raise AssertionError("the model was asked")

    monkeypatch.setattr(genetic.GeneticSearch, "beliefs", fail)
    assert len(search("genetic", bowl, plane(), 20, offspring=1).trials) == 20
    with pytest.raises(AssertionError, match="asked"):
        search("genetic", bowl, plane(), 20)


@pytest.mark.parametrize("options", [{}, {"offspring": 1}, {"objective": ["val_loss", "val_size_loss"]}])
def test_killed_and_resumed_proposes_what_the_uninterrupted_search_does(tmp_path, options):
    def figures(values):
        loss = math.nan if values["x"] > 4 else bowl(values)
        return {"val_loss": loss, "val_size_loss": values["x"] ** 2}

    def searched(folder, kills):
        given = {"max_consecutive_failed_trials": 99, **options}
        return run_with_kills(lambda: oracle_in(tmp_path / folder, "genetic", plane(), **given), figures, 24, kills)

    assert searched("broken", {3, 8, 9, 16, 17, 23}) == searched("whole", ())


def test_a_parent_is_the_best_of_its_tournament():
    """Of n members the best one wins a tournament of t in 1 - (1 - 1/n)^t of all cases."""
    found = selected(10, 20_000, 3, np.random.default_rng(0))
    assert (found == 0).mean() == pytest.approx(1 - 0.9**3, abs=0.01)
    assert (found == 9).mean() == pytest.approx(0.1**3, abs=0.001)


def test_crossed_children_lie_on_a_line_or_have_each_coordinate_of_one_parent():
    encoding = Encoding(plane(0.0, 1.0).space)
    first, second = np.tile([0.25, 0.5], (4000, 1)), np.tile([0.5, 1.0], (4000, 1))
    share = (crossed(encoding, first, second, np.random.default_rng(0)) - first) / (second - first)
    on_line = np.isclose(share[:, 0], share[:, 1])
    assert np.isin(share[~on_line], (0, 1)).all()
    assert on_line.mean() == pytest.approx(0.75, abs=0.03)  # half of those with coordinates of both lie on it too
    assert (share.min(), share.max()) == pytest.approx((-0.5, 1.5), abs=0.01)


def test_mutation_hits_the_share_that_was_asked_for():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Choice("kind", list("abcde"))
    encoding = Encoding(hp.space)
    generator = np.random.default_rng(0)
    points = np.tile([0.5, 2.0], (10_000, 1))
    anew = encoding.drawn(generator.random(points.shape))
    for rate, share in ((0.0, 0.0), (0.3, 0.3), (None, 0.5), (1.0, 1.0)):
        changed = mutated(encoding, points, anew, rate, generator) != points
        # A choice that is drawn anew is the same one in a fifth of all cases.
        assert changed.mean(0) == pytest.approx([share, 0.8 * share], abs=0.02)


def test_children_are_sets_of_values():
    encoding = Encoding(mixed().space)
    generator = np.random.default_rng(1)
    drawn = encoding.drawn(generator.random((12, len(encoding.axes))))
    born = children(encoding, encoding.settled(drawn, drawn), 300, Breeding(mutation_rate=0.5), generator)
    for point in born:
        values = encoding.values(point)
        np.testing.assert_allclose(encoding.point(values), point, atol=0.01)  # ints are rounded
        assert ("layers" in values) == (values["kind"] == "deep")


def test_without_crossover_and_mutation_children_are_the_best_parents():
    encoding = Encoding(plane(0.0, 1.0).space)
    population = np.random.default_rng(0).random((8, 2))
    breeding = Breeding(tournament=500, crossover_rate=0.0, mutation_rate=0.0)
    born = children(encoding, population, 40, breeding, np.random.default_rng(1))
    assert (born == population[0]).all()


def front_of(trials):
    """The trials that none beats, by comparing all pairs."""
    vectors = {each: (each.metrics.get_best_value("loss"), each.metrics.get_best_value("size")) for each in trials}
    return [
        each
        for each, (loss, size) in vectors.items()
        if not any(a <= loss and b >= size and (a, b) != (loss, size) for a, b in vectors.values())
    ]


def test_pareto_front_of_two_objectives(tmp_path):
    """loss is to be small, size to be large: the front is where y is 0 and x between 0 and 2."""
    objective = [keras_tuner.Objective("loss", "min"), keras_tuner.Objective("size", "max")]
    areas = {}
    for name in ("genetic", "random"):
        oracle = oracle_in(tmp_path / name, name, plane(-10.0, 10.0), max_trials=40, objective=objective)
        while (trial := oracle.create_trial("tuner")).status == "RUNNING":
            x, y = trial.hyperparameters.get("x"), trial.hyperparameters.get("y")
            oracle.update_trial(trial.trial_id, {"loss": x**2 + y**2, "size": -((x - 2) ** 2) - y**2})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
        front = front_of(oracle.trials.values())
        vectors = [(each.metrics.get_best_value("loss"), -each.metrics.get_best_value("size")) for each in front]
        areas[name] = volume(vectors, (5.0, 5.0))
        if name == "genetic":
            assert oracle.pareto_front() == front
            again = oracle_in(tmp_path / name, name, plane(-10.0, 10.0), objective=objective)
            assert [each.trial_id for each in again.pareto_front()] == [each.trial_id for each in front]
    best = volume([(t**2, (t - 2) ** 2) for t in np.linspace(0, 2, 2001)], (5.0, 5.0))
    assert areas["genetic"] > 0.9 * best
    assert areas["random"] < 0.75 * best


def test_front_of_one_objective_is_the_best_trial():
    oracle = search("genetic", bowl, plane(), 12)
    assert oracle.pareto_front() == [oracle.get_best_trials()[0]]


def test_parameters_are_bounded():
    for given in ({"population_size": 1}, {"offspring": 0}, {"crossover_rate": 1.5}, {"mutation_rate": -0.1}):
        with pytest.raises(tfkit.ParameterError, match=f"'{next(iter(given))}' of searcher 'genetic'"):
            tfkit.create("searcher", "genetic", objective="val_loss", **given)


def test_many_trials_cost_little():
    """At most 50 ms at 100 trials and 200 at 1000 on a core of its own; here is room for one that is shared."""
    oracle = tfkit.create("searcher", "genetic", objective="val_loss", max_trials=None, hyperparameters=mixed(), seed=0)
    oracle.verbose = 0
    generator = np.random.default_rng(0)
    for most, limit in ((100, 0.15), (400, 0.4)):
        oracle.population_size = most
        while len(oracle.trials) < most:
            finish(oracle, oracle.create_trial("tuner"), generator.random())
        oracle.population_size = 14
        began = time.process_time()
        for _ in range(3):
            finish(oracle, oracle.create_trial("tuner"), generator.random())
        assert (time.process_time() - began) / 3 < limit
