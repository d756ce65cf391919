"""tunable: the space that schemas and ranges make, and what is refused."""

import keras
import keras_tuner
import numpy as np
import pytest

import tfkit
from tfkit.parameters import parameters
from tfkit.spec import KINDS

RATES = {"initial": (1e-4, 1e-1), "value": (1e-4, 1e-1)}


def drawn(*arguments, values=None, **options):
    """What is drawn, and the hyperparameters that are asked for by name."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values or {})
    return tfkit.tunable(hp, *arguments, **options), {each.name: each for each in hp.space}


def test_one_of_several_plugins_with_parameters_of_its_own():
    names = [("cosine", {"steps": 100}), "constant"]
    (name, params), space = drawn("schedule", names, ranges=RATES)
    assert (name, params) == ("cosine", {"steps": 100, "initial": 1e-4})
    assert list(space) == ["schedule", "schedule/cosine/initial", "schedule/constant/value"]
    assert space["schedule"].values == ["cosine", "constant"]
    initial = space["schedule/cosine/initial"]
    assert (initial.min_value, initial.max_value, initial.sampling) == (1e-4, 1e-1, "log")
    assert [(each.name, each.values) for each in initial.conditions] == [("schedule", ["cosine"])]
    values = {"schedule": "constant", "schedule/constant/value": 0.02}
    (name, params), _ = drawn("schedule", names, ranges=RATES, values=values)
    assert float(tfkit.create("schedule", name, **params)(7)) == pytest.approx(0.02)


def test_one_plugin_alone_is_no_choice_and_stands_under_its_prefix():
    (name, params), space = drawn("regularizer", "l2", ranges={"l2": (0.0, 0.5)}, prefix="penalty")
    assert (name, params, list(space)) == ("l2", {"l2": 0.0}, ["penalty/l2/l2"])
    assert space["penalty/l2/l2"].sampling == "linear"


def test_bounds_defaults_and_kinds_come_from_the_schema():
    tune = ["clusters", "alpha", "task", "energy", "depthwise"]
    names = ["cluster", "distill", "low-rank", ("threshold", {"value": 0.1})]
    _, space = drawn("compressor", names, tune=tune)
    clusters = space["compressor/cluster/clusters"]
    assert (clusters.min_value, clusters.max_value, clusters.sampling, clusters.default) == (2, 256, "log", 16)
    alpha = space["compressor/distill/alpha"]
    assert (alpha.min_value, alpha.max_value, alpha.sampling, alpha.default) == (0.0, 1.0, "linear", 0.1)
    energy = space["compressor/low-rank/energy"]  # above 0, at most 1
    assert (energy.min_value, energy.max_value, energy.sampling) == (0.01, 1.0, "linear")
    assert space["compressor/distill/task"].values == ["auto", "softmax", "sigmoid", "regression"]
    assert isinstance(space["compressor/threshold/depthwise"], keras_tuner.engine.hyperparameters.Boolean)


def test_choices_that_keras_tuner_does_not_hold():
    ranges = {"sparsity": [0.5, 0.75], "block_size": [(1, 1), (1, 4)], "pattern": [None, "2:4"]}
    (_, params), space = drawn("compressor", "prune", ranges=ranges)
    assert params == {"sparsity": 0.5, "block_size": (1, 1), "pattern": None}
    assert space["compressor/prune/block_size"].values == ["(1, 1)", "(1, 4)"]
    values = {"compressor/prune/block_size": "(1, 4)", "compressor/prune/pattern": "2:4"}
    (_, params), _ = drawn("compressor", "prune", ranges=ranges, values=values)
    assert params == {"sparsity": 0.5, "block_size": (1, 4), "pattern": "2:4"}


def test_ranges_take_keras_tuners_arguments():
    ranges = {"clusters": {"min_value": 4, "max_value": 64, "step": 2, "sampling": "log", "default": 8}}
    (_, params), space = drawn("compressor", "cluster", ranges=ranges)
    assert params == {"clusters": 8}
    assert (space["compressor/cluster/clusters"].step, space["compressor/cluster/clusters"].sampling) == (2, "log")
    (_, params), _ = drawn(
        "compressor", "clip", ranges={"value": [0.1], "unit": ["std", "absolute"], "exclude": [("a",), ()]}
    )
    assert params == {"value": 0.1, "unit": "absolute", "exclude": ()}  # the defaults, where they are among the choices
    (_, params), _ = drawn("compressor", ("threshold", {"value": 0.1}), ranges={"depthwise": [True, False]})
    assert params["depthwise"] is False  # the schema's default; KerasTuner's own choice would be 0
    _, space = drawn("schedule", "constant", ranges={"value": (1e-4, 1e-1, "linear")})
    assert space["schedule/constant/value"].sampling == "linear"


def test_a_step_is_added_unless_the_sampling_says_otherwise():
    _, space = drawn("compressor", "cluster", ranges={"clusters": {"min_value": 2, "max_value": 256, "step": 2}})
    clusters = space["compressor/cluster/clusters"]
    assert (clusters.step, clusters.sampling) == (2, "linear")
    _, space = drawn("schedule", "constant", ranges={"value": {"min_value": 0.001, "max_value": 1, "step": 0.001}})
    value = space["schedule/constant/value"]
    assert (value.step, value.sampling) == (0.001, "linear")
    _, space = drawn(
        "schedule", "constant", ranges={"value": {"min_value": 0.001, "max_value": 1, "step": 10, "sampling": "log"}}
    )
    assert space["schedule/constant/value"].sampling == "log"
    _, space = drawn("schedule", "constant", ranges={"value": {"min_value": 0.001, "max_value": 1, "step": None}})
    assert space["schedule/constant/value"].sampling == "log"


def test_choices_take_keras_tuners_arguments():
    (_, params), space = drawn("schedule", "constant", ranges={"value": {"values": [0.1, 0.2], "default": 0.2}})
    assert (params, space["schedule/constant/value"].ordered) == ({"value": 0.2}, True)
    _, space = drawn("schedule", "constant", ranges={"value": {"values": (0.1, 0.2), "ordered": False}})
    assert space["schedule/constant/value"].ordered is False
    ranges = {"sparsity": [0.5], "pattern": {"values": ["2:4", None], "default": None}}
    (_, params), _ = drawn("compressor", "prune", ranges=ranges)
    assert params["pattern"] is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"step": -1}, "has a step that is a number above 0 if sampled 'linear'; got -1"),
        ({"step": "a"}, "has a step that is a number above 0 if sampled 'linear'; got 'a'"),
        ({"step": True}, "has a step that is a number"),
        ({"step": float("nan")}, "has a step that is a number"),
        ({"step": 0.5, "sampling": "log"}, "has a step that is a number above 1 if sampled 'log'; got 0.5"),
        ({"default": 9.0}, "has a default from 0.5 to 2.0; got 9.0"),
        ({"default": "a"}, "'value' of schedule 'constant' must be a float > 0; got 'a'"),
        ({"deflt": 1.0}, "takes default, max_value, min_value, sampling, step; got"),
        ({"values": []}, r"needs a list of one value or more; got \[\]"),
        ({"values": "ab"}, "needs a list of one value or more; got 'ab'"),
        ({"values": [0.1], "deflt": 0.1}, "takes default, ordered, values; got"),
        ({"values": [0.1, 0.2], "default": 0.3}, r"a default that is none of the values \[0.1, 0.2\]; got 0.3"),
        ({"values": [0.1], "ordered": "yes"}, r"is ordered \(True\) or not \(False\)"),
    ],
)
def test_arguments_that_keras_tuner_would_refuse_or_misread(given, told):
    whole = given if "values" in given else {"min_value": 0.5, "max_value": 2.0, **given}
    with pytest.raises(tfkit.ParameterError, match=told) as caught:
        drawn("schedule", "constant", ranges={"value": whole})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("more", [{"step": 0.5}, {"step": 1, "sampling": "log"}, {"default": 200}])
def test_a_range_of_ints_takes_whole_numbers(more):
    with pytest.raises(tfkit.ParameterError, match="the range of 'clusters' of compressor 'cluster' has a"):
        drawn("compressor", "cluster", ranges={"clusters": {"min_value": 8, "max_value": 128, **more}})


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        (
            ("schedule", ["cosine", "constant"]),
            {"ranges": {"initial": (1e-4, 1e-1)}},
            tfkit.ParameterError,
            r"no range to draw 'steps' of schedule 'cosine' \(an int >= 1\), 'value' of schedule 'constant' "
            r"\(a float > 0\) from: pass ranges=\{'steps': \(low, high\)\}",
        ),
        (
            ("schedule", "constant"),
            {"ranges": {"value": (0.0, 1.0)}},
            tfkit.ParameterError,
            "must be a float > 0; got 0.0",
        ),
        (("schedule", "constant"), {"ranges": {"value": (2.0, 1.0)}}, tfkit.ParameterError, "the lower one first"),
        (
            ("schedule", "constant"),
            {"ranges": {"value": "low"}},
            tfkit.ParameterError,
            r"must be \(low, high\), a list",
        ),
        (("schedule", "constant"), {"ranges": {"value": (1e-3, 1.0, "logg")}}, tfkit.ParameterError, "got 'logg'"),
        (
            ("regularizer", "l2"),
            {"ranges": {"l2": (0.0, 1.0, "log")}},
            tfkit.ParameterError,
            "above 0; got 'log' from 0",
        ),
        (("schedule", "constant"), {"ranges": {"valeu": (1.0, 2.0)}}, tfkit.ParameterError, "did you mean 'value'"),
        (("compressor", "cluster"), {"tune": ["cluster"]}, tfkit.ParameterError, "did you mean 'clusters'"),
        (("compressor", "cluster"), {"ranges": {"clusters": [1]}}, tfkit.ParameterError, "must be an int >= 2"),
        (("schedule", ["constant", "constant"]), {"ranges": RATES}, tfkit.ParameterError, "several different plugins"),
        (("schedule", []), {}, tfkit.ParameterError, "several different plugins"),
        (
            ("schedule", [("cosine", {"steps": 0}), "constant"]),
            {"ranges": RATES},
            tfkit.ParameterError,
            "'steps' .*; got 0",
        ),
        (("schedule", "cosin"), {}, tfkit.PluginNotFound, "did you mean 'cosine'"),
        (("shedule", "cosine"), {}, tfkit.PluginNotFound, "did you mean 'schedule'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, options, error, told):
    with pytest.raises(error, match=told):
        drawn(*arguments, **options)


@pytest.mark.parametrize(
    "row", [row for row in tfkit.plugins() if row.spec and row.distribution == "tfkit-keras"], ids=lambda row: row.name
)
def test_every_plugin_is_drawn_or_says_which_ranges_are_missing(row):
    known = parameters(row.spec.params)
    try:
        (_, params), _ = drawn(row.kind, row.name, tune=[each.name for each in known])
    except tfkit.ParameterError as error:
        wanted = [each.name for each in known if f"'{each.name}' of {row.kind} '{row.name}'" in str(error)]
        assert wanted
        # With those fixed, as the text says, or left at their defaults, the rest is drawn.
        fixed = {each.name: row.spec.examples[0][each.name] for each in known if each.required and each.name in wanted}
        tune = [each.name for each in known if each.name not in wanted]
        (_, params), _ = drawn(row.kind, (row.name, fixed), tune=tune)
        assert params.keys() == {*fixed, *tune}
    else:
        assert params.keys() == {each.name for each in known}
    assert row.kind in KINDS


def test_a_search_draws_a_schedule_a_regularizer_and_a_compressor(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype("float32")
    data = tfkit.Data((x[:32], x[:32, :1]), (x[32:], x[32:, :1]), batch_size=16)

    def build(hp):
        name, params = tfkit.tunable(hp, "schedule", ["constant", ("cosine", {"steps": 4})], ranges=RATES)
        schedule = tfkit.create("schedule", name, **params)
        penalty, params = tfkit.tunable(hp, "regularizer", ["l1", "l2"], ranges={"l1": (1e-4, 1.0), "l2": (1e-4, 1.0)})
        dense = keras.layers.Dense(1, kernel_regularizer=tfkit.create("regularizer", penalty, **params))
        model = keras.Sequential([keras.Input((4,)), dense])
        model.compile(keras.optimizers.SGD(schedule), "mse", run_eagerly=True)
        step, params = tfkit.tunable(hp, "compressor", ["clip", "threshold"], ranges={"value": (0.1, 0.5)})
        tfkit.create("compressor", step, **params).compress(model, data, epochs=0, directory=tmp_path)
        weights = np.abs(dense.kernel.numpy())
        kept = weights <= params["value"] if step == "clip" else (weights == 0) | (weights >= params["value"])
        assert kept.all()
        return model

    result = tfkit.search(build, data, searcher="random", objective="val_loss", trials=4)
    assert {trial.status for trial in result.trials} == {"COMPLETED"}
    for trial in result.trials:
        values = trial.values
        names = {kind: values[kind] for kind in ("schedule", "regularizer", "compressor")}
        inside = {name.rpartition("/")[0] for name in values if "/" in name}
        assert inside == {f"{kind}/{name}" for kind, name in names.items()}  # those of other plugins do not exist
    assert len({trial.values["schedule"] for trial in result.trials}) == 2
