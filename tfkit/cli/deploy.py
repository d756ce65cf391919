"""`tfkit deploy status|canary|promote|rollback|edge`: labels of a models.config, and bundles for devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tfkit.cli.options import as_json, echo_json
from tfkit.errors import ParameterError, PluginNotFound, VerificationError
from tfkit.missing import explain_missing

_config = click.argument("config", type=click.Path(exists=True, dir_okay=False), metavar="MODELS.CONFIG")
_model = click.argument("model", required=False)
_server = click.option(
    "--server",
    metavar="HOST:PORT",
    help="gRPC of a running server, told of the change at once; TFKIT_API_KEY holds its key.",
)
_paths = click.option(
    "--path", "paths", multiple=True, metavar="THEIRS=HERE", help="Where a base_path lies here: /models=runs/…/serving."
)
_label = click.option("--label", default="stable", show_default=True, help="The label that moves.")
_kubernetes = click.option(
    "--kubernetes", metavar="NAMESPACE[/CONFIGMAP]", help="Print the kubectl command that brings the file to a cluster."
)


@click.group()
def deploy() -> None:
    """See which versions are served under which label, move a label to a new version, and back."""


@deploy.command()
@_config
@_server
@_paths
@click.option("--check", is_flag=True, help="Exit with 1 where a server could not follow the file.")
@as_json
def status(config: str, server: str | None, paths: tuple[str, ...], check: bool, as_json: bool) -> None:
    """Versions, labels and, with --server, states of each model; and what is wrong with the file."""
    found = _working(lambda: _status(config, server, paths))
    if as_json:
        echo_json(found)
    else:
        _echo_status(found)
    if check and found["findings"]:
        raise SystemExit(1)


@deploy.command()
@_config
@click.argument("model")
@click.argument("version", type=click.IntRange(0))
@click.option("--label", default="canary", show_default=True, help="The label that is set.")
@_server
@_paths
@_kubernetes
@as_json
def canary(config: str, model: str, version: int, label: str, **options: Any) -> None:
    """Set the label canary of MODEL to VERSION, whose folder is verified first."""
    _move(config, options, lambda moves, file, disk: moves.set_label(file, model, version, disk, _verify, label=label))


@deploy.command()
@_config
@_model
@_label
@click.option("--from", "source", default="canary", show_default=True, help="The label whose version is taken.")
@_server
@_paths
@_kubernetes
@as_json
def promote(config: str, model: str | None, label: str, source: str, **options: Any) -> None:
    """Move the label stable to the version of canary; rollback undoes it."""
    _move(
        config,
        options,
        lambda moves, file, disk: moves.promote(file, model, disk, _verify, source=source, label=label),
    )


@deploy.command()
@_config
@_model
@_label
@_server
@_paths
@_kubernetes
@as_json
def rollback(config: str, model: str | None, label: str, **options: Any) -> None:
    """Move the label stable back to the version before the last promote."""
    _move(config, options, lambda moves, file, disk: moves.roll_back(file, model, disk, _verify, label=label))


@deploy.command()
@click.argument("model", type=click.Path(exists=True))
@click.argument("directory")
def edge(model: str, directory: str) -> None:
    """Write a bundle for a device: MODEL (a .tflite, or a version that the litert exporter wrote) and its runner."""
    from tfkit_serving.deployment.bundle import write_bundle

    try:
        made = write_bundle(Path(model), Path(directory))
    except ValueError as error:
        raise ParameterError(str(error)) from error
    except ModuleNotFoundError as error:
        raise PluginNotFound(explain_missing("tfkit deploy edge", error)) from error
    click.echo(f"{made}: pip install -r requirements.txt, then python run.py --check")


def _working(work: Callable[[], Any]) -> Any:
    """What work gives, with its errors as the command line's."""
    from tfkit_serving.deployment.models_file import DeploymentError
    from tfkit_serving.protocol.errors import ServingError

    try:
        return work()
    except DeploymentError as error:
        raise ParameterError(str(error)) from error
    except ServingError as error:
        raise click.ClickException(f"the server answers {error.code}: {error.message}") from error


def _status(config: str, server: str | None, paths: tuple[str, ...]) -> dict[str, Any]:
    from tfkit_serving.deployment.models_file import ModelsFile
    from tfkit_serving.deployment.overview import overview

    return overview(ModelsFile.read(Path(config)), _disk(paths), server)


def _move(config: str, options: dict[str, Any], make: Callable[[Any, Any, Any], Any]) -> None:
    from tfkit.pipeline.versions import alone_in
    from tfkit_serving.deployment import moves
    from tfkit_serving.deployment.apply import apply, kubectl
    from tfkit_serving.deployment.models_file import ModelsFile

    def work() -> Any:
        # Another deploy reads the file only once this one has written it.
        with alone_in(Path(config).resolve().parent):
            move = make(moves, ModelsFile.read(Path(config)), _disk(options["paths"]))
            apply(move, options["server"])
        return move

    move = _working(work)
    command = kubectl(Path(config), options["kubernetes"]) if options["kubernetes"] else None
    if options["as_json"]:
        echo_json({"model": move.model, "label": move.label, "version": move.version, "before": move.old})
        return
    was = "" if move.old is None else f", was {move.old}"
    click.echo(f"{move.label} of {move.model} is version {move.version}{was}")
    if options["server"] is None and command is None:
        click.echo(
            f"a server that reads {config} again takes it: --model_config_file_poll_wait_seconds=10, or --server"
        )
    click.echo(f"labels at a server's first start need {moves.FLAG}")
    if command:
        click.echo(command)


def _echo_status(found: dict[str, Any]) -> None:
    for model in found["models"]:
        click.echo(f"{model['name']}  {model['base_path']}")
        for row in model["versions"]:
            labels = ", ".join(row["labels"])
            words = [str(row["version"]), row["state"] or row["policy"], labels, row["message"] or ""]
            click.echo("  " + "  ".join(word for word in words if word))
    for text in found["findings"]:
        click.echo(f"! {text}")
    if found["labels"]:
        click.echo(f"labels at a server's first start need {found['flag']}")


def _disk(paths: tuple[str, ...]) -> Any:
    from tfkit_serving.deployment.moves import Disk

    pairs = [text.partition("=") for text in paths]
    for theirs, equals, ours in pairs:
        if not equals or not theirs or not ours:
            raise click.UsageError(f"--path {theirs!r} is no THEIRS=HERE, such as /models=runs/digits/1/serving")
    return Disk({theirs: Path(ours) for theirs, _, ours in pairs})


def _verify(folder: Path) -> None:
    """A version that tfkit exported is checked as `tfkit export verify` does."""
    from tfkit.pipeline.export import verify

    try:
        verify(folder)
    except VerificationError as error:
        raise VerificationError(f"the label was not moved: {error}") from error
