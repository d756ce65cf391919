"""Plugins that are wrong on purpose, each in one respect, and named after the check that must find it.

A figure at the end of a name tells further bad plugins for one check apart. The checks that are the
same for all kinds have theirs among the schedules.
"""

import bad_schemas as schemas

import tfkit
from tfkit.spec import NoParameters
from tfkit_searchers.schemas import Random

ONE = ({"value": 0.1},)


def spec(name, target, params=schemas.One, examples=ONE, summary="Wrong on purpose."):
    return tfkit.Spec(name, summary, target, params, examples)


def plain(name, target):
    return spec(name, target, NoParameters, ({},))


@tfkit.hookimpl
def tfkit_schedules():
    good = "bad_schedules:Good"
    yield spec("summary-is-one-sentence", good, summary="Two sentences. On a line.")
    yield spec("summary-is-one-sentence-2", good, summary="No full stop")
    yield spec("parameters-are-documented", good, schemas.Undocumented)
    yield spec("schema-is-frozen", good, schemas.Thawed)
    yield spec("defaults-are-within-bounds", "bad_schedules:WithOffset", schemas.OutOfItsBounds)
    yield spec("row-is-json", "bad_schedules:WithNames", schemas.NotJson)
    yield spec("target-is-importable", "bad_schedules:Missing")
    yield spec("target-is-importable-2", "no_such_module:Schedule")
    yield spec("arguments-equal-the-schema", "bad_schedules:OtherDefault", schemas.Optional)
    yield spec("arguments-equal-the-schema-2", "bad_schedules:Extra")
    yield spec("arguments-equal-the-schema-3", good, schemas.Optional)
    yield spec("examples-make-the-product", "bad_schedules:NoSchedule")
    yield spec("examples-make-the-product-2", good, examples=())
    yield spec("examples-make-the-product-3", good, examples=({"value": -1},))
    yield spec("bounds-are-enforced", "bad_schedules:Even", schemas.UnknownBound)
    yield spec("bounds-are-enforced-2", "bad_schedules:Rates", schemas.BoundOfItems)
    yield spec("serialized-by-keras", "bad_schedules:ConfigOfMore")
    given = ({"value": 0.1, "offset": 1.0},)
    yield spec("config-holds-the-parameters", "bad_schedules:ConfigOfLess", schemas.Optional, given)
    yield spec("float32-scalar", "bad_schedules:Float64")
    yield spec("finite-and-not-negative", "bad_schedules:BelowZero")
    yield spec("function-of-the-step", "bad_schedules:Remembers")
    yield spec("same-in-a-graph", "bad_schedules:OtherInAGraph")
    yield spec("sets-the-rates-of-a-fit", "bad_schedules:PythonBranch")
    yield spec("batch-sizes-of-a-fit", "bad_schedules:OneStepTooFew")


@tfkit.hookimpl
def tfkit_metrics():
    yield plain("measures-a-problem", "bad_metrics:NotANumber")
    yield plain("batches-change-nothing", "bad_metrics:MeanOfBatches")
    yield plain("reset-state-forgets", "bad_metrics:NeverForgets")
    yield plain("weights-of-one-change-nothing", "bad_metrics:CountsTheUnweighted")
    yield plain("weights-of-zero-leave-rows-out", "bad_metrics:CountsEveryRow")
    yield plain("measures-in-evaluate", "bad_metrics:OtherInAGraph")
    yield spec("measures-after-loading", "bad_metrics:ForgetsItsFactor")


@tfkit.hookimpl
def tfkit_regularizers():
    yield spec("penalty-is-a-scalar", "bad_regularizers:BelowZero")
    yield spec("gradient-is-finite", "bad_regularizers:RootOfZero")
    yield spec("constraint-keeps-the-shape", "bad_regularizers:AlwaysFloat32")
    yield spec("acts-in-one-fit", "bad_regularizers:PythonBranch")


@tfkit.hookimpl
def tfkit_searchers():
    def searcher(name, target):
        return spec(name, f"bad_searchers:{target}", Random, ({"objective": "val_loss"},))

    yield searcher("stops-at-the-end", "WaitsForever")
    yield searcher("keeps-to-max-trials", "OneTooMany")
    yield searcher("values-are-distinct", "RepeatsTheFirst")
    yield searcher("values-are-within-bounds", "RoundsUp")
    yield searcher("same-seed-gives-the-same-trials", "Unseeded")
    yield searcher("reload-restores-the-trials", "ForgetsScores")
    yield searcher("reload-of-nothing-does-nothing", "NeedsADatabase")
    yield searcher("interrupted-trial-comes-first", "ForgetsTheRunning")
    yield searcher("infinite-score-is-no-success", "TakesInfinity")


@tfkit.hookimpl
def tfkit_compressors():
    yield plain("result-predicts", "bad_compressors:NotANumber")
    yield plain("artifacts-are-files-in-the-directory", "bad_compressors:WritesBeside")
    yield plain("no-epochs-train-nothing", "bad_compressors:AlwaysTrains")
    yield plain("callback-leaves-nothing-behind", "bad_compressors:CallbackLeavesARate")


@tfkit.hookimpl
def tfkit_callbacks():
    yield plain("runs-in-a-fit", "bad_callbacks:FailsInTheSecondEpoch")
    yield plain("serves-two-fits", "bad_callbacks:ServesOneFit")
    yield plain("leaves-nothing-behind", "bad_callbacks:LeavesARate")


@tfkit.hookimpl
def tfkit_strategies():
    yield plain("scope-is-entered", "bad_strategies:EmptyScope")
    yield plain("fit-equals-one-without", "bad_strategies:RunsTwice")


@tfkit.hookimpl
def tfkit_exporters():
    yield plain("predicts-as-the-model", "bad_exporters:OtherValues")
    yield plain("takes-any-number-of-rows", "bad_exporters:RowsOfTheSample")
    yield plain("folder-can-be-moved", "bad_exporters:StaysWhereItIs")
    yield plain("holds-no-path-of-the-machine", "bad_exporters:TellsThePath")
    yield plain("writes-in-its-folder-alone", "bad_exporters:WritesBeside")
    yield plain("leaves-the-model-as-it-was", "bad_exporters:ChangesTheModel")
