"""The stages of a run, in their order: each reads files of those before it and writes its own."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from tfkit.formats.named_model import NamedModel
from tfkit.pipeline.baseline import constant_outputs
from tfkit.pipeline.compress import compress
from tfkit.pipeline.context import Context
from tfkit.pipeline.diagnosis import FILE, HISTORY
from tfkit.pipeline.evaluate import evaluate
from tfkit.pipeline.export import export
from tfkit.pipeline.fit import build, train
from tfkit.pipeline.predictions import check_labels, predict, single_output
from tfkit.pipeline.provenance import described_data, export_rows
from tfkit.pipeline.recipe_parts import used_plugins
from tfkit.pipeline.rehearsal import as_line, rehearse
from tfkit.pipeline.report import matrices, versions, write_report
from tfkit.pipeline.rows import PATHS, Yardstick, higher_is_better
from tfkit.pipeline.search import search
from tfkit.pipeline.search_result import outcome
from tfkit.pipeline.sensitivity import sensitivity
from tfkit.pipeline.steps import AUTO, drop_allowed
from tfkit.pipeline.table import float_row, litert_rows, tested_row
from tfkit.pipeline.team import with_team
from tfkit.progress import say
from tfkit.recipe import Step, step_name

Metrics = dict[str, Any]


def run_baseline(context: Context) -> Metrics:
    """What the constant answer and the untrained model reach on the validation part."""
    data, recipe = context.data, context.recipe
    x, y, *weight = data.arrays(data.choosing)
    model = build(recipe, {})
    outputs = single_output(predict(model, x))
    train_labels = data.arrays("train")[1]
    check_labels(train_labels, outputs)
    constant = constant_outputs(train_labels, len(outputs), outputs.shape)
    untrained = evaluate(model, (x, y, *weight), recipe.metrics)
    always = evaluate(lambda rows: rows, (constant, y, *weight), recipe.metrics)
    return {"constant": always, "untrained": untrained}


def run_search(context: Context) -> Metrics:
    """Searches hyperparameters; an interrupted search goes on with its trials."""
    section = context.recipe.search
    result = search(
        context.recipe.model,
        context.data.without_test(),
        searcher=section.searcher,
        objective=section.objective,
        trials=section.trials,
        epochs=section.epochs,
        time_budget=section.time_budget,
        seed=context.recipe.seed,
        directory=context.path("search"),
        workers=section.workers,
        cross_validation=section.cross_validation,
        stop_early=section.stop_early,
        constraints=section.constraints,
        warm_start=section.warm_start,
    )
    trials = [{"values": each.values, **outcome(each)} for each in result.trials]
    found = {"objective": result.objective, "minimize": result.minimize, "best": result.best_values, "trials": trials}
    context.save("trials.json", found)
    return {"best_values": result.best_values, "trials": len(trials)}


def run_train(context: Context) -> Metrics:
    """Trains the model with the best hyperparameters and saves it."""
    context.clean("model.keras", HISTORY, FILE)
    values = context.read("trials.json", {"best": {}})["best"]
    recipe = context.recipe
    if context.team is not None:
        recipe = with_team(recipe, context.folder.path.resolve())
        context.team.tell({"values": values, "directory": str(context.folder.path.resolve())})
    model, history, findings = train(recipe, context.data.without_test(), values)
    model.save(context.path("model.keras"))
    context.save(HISTORY, history)
    context.save(FILE, findings)
    return {name: figures[-1] for name, figures in history.items()}


def run_evaluate(context: Context) -> Metrics:
    """The trained model's metrics on the validation part."""
    data = context.data
    return evaluate(context.model(), data.arrays(data.choosing), context.recipe.metrics)


def run_compress(context: Context) -> Metrics:
    """Compresses the trained model; the float model as a LiteRT file stands beside, to compare like with like."""
    section, data = context.recipe.compress, context.data.without_test()
    # An automatic search goes on with the candidates that it has.
    context.clean("compress.json", "sensitivity.json", *([] if section.steps == AUTO else ["compress"]))
    metric = section.metric or context.recipe.metrics[0]
    model = context.model()
    result = compress(
        model,
        section.steps,
        data,
        metric=metric,
        max_drop=section.max_drop,
        epochs=section.epochs,
        target=section.target,
        time_budget=section.time_budget,
        searcher=section.searcher,
        seed=context.recipe.seed,
        directory=context.path("compress"),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    first = float_row(result.table[0], context.path("model.keras"))
    rows = [first, *litert_rows(first, model, data, metric), *result.table[1:]]
    rows = _relative(context, rows)
    kept = [row for row in rows if row["kept"]]
    paths = [row.get("keras_path", row["path"]) for row in kept]
    found = {
        "rows": rows,
        "model": [path for path in paths if path.endswith(".keras")][-1],
        "metric": step_name(metric)[0],
        "bound": _bound(rows[0]["metric"], drop_allowed(section.steps, section.max_drop), metric),
        "target": section.target,
        "front": result.front and _relative(context, result.front),
        "candidates": result.candidates and _relative(context, result.candidates),
    }
    context.save("compress.json", found)
    if section.sensitivity:
        context.save("sensitivity.json", sensitivity(model, data, metric=metric))
    return {row["step"]: row["metric"] for row in kept}


def _bound(value: float, max_drop: float | None, metric: Step) -> float | None:
    """The worst value of the metric that is kept."""
    if max_drop is None:
        return None
    return value - max_drop if higher_is_better(metric) else value + max_drop


def _relative(context: Context, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with paths below the run's folder."""
    named = [{key: context.relative(row[key]) for key in PATHS if row.get(key)} for row in rows]
    return [{**row, **paths} for row, paths in zip(rows, named)]


def run_export(context: Context) -> Metrics:
    """Exports the compressed Keras model, else the trained one, for a server."""
    context.clean("serving")
    section = context.recipe.export
    made = export(
        context.model(context.read("compress.json", {"model": "model.keras"})["model"]),
        context.path("serving") / context.recipe.name,
        format=section.format,
        inputs=section.inputs,
        outputs=section.outputs,
        labels=section.labels,
        task=section.task,
        metadata={
            "recipe": context.recipe.name,
            "metrics": _measured(context),
            "data": described_data(context.data),
            "plugins": used_plugins(context.recipe),
        },
        **export_rows(context.data),
    )
    return {"path": context.relative(made.path), "version": made.version, "verified": made.verified}


def run_serve(context: Context) -> Metrics:
    """Serves what was exported for a moment, and asks it rows of the validation part in the words of its task."""
    section = context.recipe.export
    model = context.model(context.read("compress.json", {"model": "model.keras"})["model"])
    sample = context.data.sample(context.recipe.serve.rows)
    named = NamedModel(model, sample=sample, inputs=section.inputs, outputs=section.outputs)
    rows = named.arrange(sample)
    outputs = {name: values.numpy() for name, values in named(rows).items()}
    answers = rehearse(context.path("serving"), context.recipe.name, rows, outputs)
    for each in answers:
        say(f"POST /{context.recipe.name} {as_line(each.request)} -> {as_line(each.answer)}")
    return {"rows": len(answers), "p50_ms": 1e3 * statistics.median(each.seconds for each in answers)}


def _measured(context: Context) -> Metrics:
    """The trained model's metrics on the validation part."""
    record = context.folder.finished("evaluate")
    return {} if record is None else record["metrics"]


def run_report(context: Context) -> Metrics:
    """Measures the test part, which nothing before has read, and writes report.html."""
    compressed = context.read("compress.json")
    if compressed is None:
        model = context.model()
        row = Yardstick(model, context.data.without_test(), context.recipe.metrics[0]).row("float", model)
        compressed = {"rows": [{**row, "path": "model.keras"}]}
    rows = [tested_row(context, row) for row in compressed["rows"] if row["kept"]]
    context.save("table.json", rows)
    context.save("report.json", {"smoke": context.smoke, "versions": versions(), "matrices": matrices(context, rows)})
    write_report(context.folder.path)
    return {row["step"]: row["test"] for row in rows}


STAGES: tuple[tuple[str, Callable[[Context], Metrics]], ...] = (
    ("baseline", run_baseline),
    ("search", run_search),
    ("train", run_train),
    ("evaluate", run_evaluate),
    ("compress", run_compress),
    ("export", run_export),
    ("serve", run_serve),
    ("report", run_report),
)
