"""`tfkit export MODEL DIRECTORY`, and what checks and configures what it wrote: verify, config, batching."""

from __future__ import annotations

import click

from tfkit.cli.options import as_json, echo_json, existing, parse_steps


class _ModelOrVerb(click.Group):
    """A group whose first argument is a verb, or else the model that is to be exported."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb's command; without a verb the one that exports."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return _model.name, _model, args

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leaves options before the model to the command that exports it."""
        is_bare = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if is_bare else ["--", *args])


@click.group(cls=_ModelOrVerb, options_metavar="MODEL DIRECTORY [OPTIONS], or", subcommand_metavar="VERB [ARGS]...")
def export() -> None:
    """Write MODEL as DIRECTORY/<version>, verified.

    The options of this: tfkit export model --help. With a verb: check a version folder, or print what a server
    is configured with.
    """


@export.command("model")
@click.argument("model")
@click.argument("directory")
@click.option(
    "--format", "format_", default="saved-model", show_default=True, metavar="F", help="Exporter: name or name(x=1)."
)
@click.option("--version", type=int, help="Version number; default: the highest + 1.")
@click.option("--data", "recipe", metavar="RECIPE.py", help="A recipe whose rows verify and warm up the export.")
@click.option("--labels", metavar="A,B,…", help="Names of the classes, in the order of the scores.")
def _model(
    model: str, directory: str, format_: str, version: int | None, recipe: str | None, labels: str | None
) -> None:
    """Export MODEL as DIRECTORY/<version>, verified: a .keras or .h5; or a .tflite, which --format litert copies."""
    from tfkit.cli.options import open_recipe
    from tfkit.pipeline.export import export as export_model
    from tfkit.pipeline.provenance import export_rows

    chosen = parse_steps(format_)
    if len(chosen) != 1:
        raise click.UsageError(f"--format takes one exporter; got {format_!r}")
    rows = export_rows(open_recipe(recipe).data()) if recipe else {}
    made = export_model(
        existing(model),
        directory,
        format=chosen[0],
        version=version,
        labels=labels.split(",") if labels else None,
        **rows,
    )
    click.echo(f"{made.path} (version {made.version}, verified)")


@export.command("verify")
@click.argument("directory", type=click.Path())
@as_json
def _verify(directory: str, as_json: bool) -> None:
    """Check a version folder: whole, unchanged, running, fit for a server. Exit status 1 on damage."""
    from tfkit.pipeline.export import verify

    found = verify(existing(directory))
    if as_json:
        echo_json(found.as_dict())
        return
    click.echo(f"{directory} is complete, unchanged and runs" if found.files else f"{directory} loads")
    for told in found.advice:
        click.echo(f"warning: {told}")


@export.command("config")
@click.argument("directory", type=click.Path())
@click.option("--label", "labels", multiple=True, metavar="[MODEL:]LABEL=VERSION", help="A version's label.")
@click.option("--base-path", metavar="PATH", help="Where the server sees DIRECTORY; default: its absolute path.")
def _config(directory: str, labels: tuple[str, ...], base_path: str | None) -> None:
    """Print a models.config for every <model>/<version> in DIRECTORY."""
    from tfkit.pipeline.model_config import FLAG, model_config, models_in, named_labels

    folder = existing(directory)
    named = named_labels(dict(map(_label, labels)), list(models_in(folder)))
    click.echo(model_config(folder, labels=named, base_path=base_path), nl=False)
    if named:
        click.echo(f"a server that starts with these labels needs {FLAG}=true", err=True)


@export.command("batching")
@click.argument("directory", type=click.Path())
@click.option("--max-latency", type=float, default=10.0, show_default=True, metavar="MS", help="Of a whole batch.")
def _batching(directory: str, max_latency: float) -> None:
    """Measure a version folder and print a batching_parameters.txt for it."""
    from tfkit.pipeline.batching_parameters import measure_batches

    found = measure_batches(existing(directory), max_latency_ms=max_latency)
    click.echo(found.as_text(), nl=False)


def _label(text: str) -> tuple[str, int]:
    label, _, version = text.partition("=")
    if not label or not version.isascii() or not version.isdigit():
        raise click.UsageError(f"--label takes LABEL=VERSION, such as stable=1; got {text!r}")
    return label, int(version)
