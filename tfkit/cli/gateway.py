"""`tfkit gateway --models DIRECTORY --server URL`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfkit.cli.options import existing

if TYPE_CHECKING:
    from tfkit_serving.gateway.options import GatewayOptions


@click.command()
@click.option("--models", required=True, metavar="DIRECTORY", help="Holds <model>/<version>/tfkit.json.")
@click.option(
    "--server",
    required=True,
    metavar="URL",
    help="The model server, such as http://localhost:8501; TFKIT_API_KEY holds its key.",
)
@click.option("--transport", type=click.Choice(["rest", "grpc"]), default="rest", show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, metavar="SECONDS")
@click.option("--split", multiple=True, metavar="[TASK:]LABEL=W,…", help="Weights of labels: stable=90,canary=10.")
@click.option(
    "--shadow", multiple=True, metavar="[TASK:]LABEL[=%]", help="A label that is sent requests too: canary=10."
)
@click.option("--sticky", default="X-Sticky-Key", show_default=True, help="Header that keeps a caller; or api-key.")
@click.option("--api_keys_file", metavar="FILE", help="A key per line: NAME SHA256 [rate=N] [tasks=A,B].")
@click.option("--tls_certificate", metavar="FILE", help="Serve HTTPS with this certificate.")
@click.option("--tls_key", metavar="FILE", help="The certificate's key.")
@click.option("--max_body_bytes", type=click.IntRange(1), default=16 << 20, show_default=True)
@click.option("--max_rows", type=click.IntRange(1), default=1024, show_default=True, help="Rows of one request.")
@click.option("--max_concurrent", type=click.IntRange(1), default=256, show_default=True, help="Requests at a time.")
@click.option("--log_share", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Successes logged.")
def gateway(models: str, server: str, transport: str, host: str, port: int, **settings: Any) -> None:
    """Serve an API in the words of each model's task, in front of a model server."""
    from tfkit.errors import ParameterError

    try:
        _run(models, server, transport, host, port, settings)
    except ValueError as error:
        raise ParameterError(str(error)) from error


def _run(models: str, server: str, transport: str, host: str, port: int, settings: dict[str, Any]) -> None:
    from tfkit_serving.access.environment import environment_key
    from tfkit_serving.gateway.catalog import Catalog
    from tfkit_serving.gateway.logs import RequestLog
    from tfkit_serving.gateway.run import run_gateway
    from tfkit_serving.gateway.task import read_tasks

    directory = existing(models)
    tasks, left_out = read_tasks(directory)
    for reason in left_out.values():
        click.echo(f"left out: {reason}", err=True)

    options = _options(settings)
    if unknown := options.routing.models() - {*tasks}:
        raise ValueError(f"--split and --shadow know no task {sorted(unknown)[0]!r}; there are {', '.join(tasks)}")

    def ready(url: str) -> None:
        click.echo(f"{', '.join(f'POST {url}/{name}' for name in tasks)}; docs on {url}/docs", err=True)

    run_gateway(
        Catalog(tasks, directory),
        server,
        options,
        transport=transport,
        host=host,
        port=port,
        certificate=_path(settings["tls_certificate"]),
        key=_path(settings["tls_key"]),
        log=RequestLog(share=settings["log_share"]),
        ready=ready,
        api_key=environment_key(),
    )


def _options(settings: dict[str, Any]) -> GatewayOptions:
    from tfkit_serving.access import read_keys
    from tfkit_serving.gateway.options import GatewayOptions
    from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits

    return GatewayOptions(
        timeout=settings["timeout"],
        max_body_bytes=settings["max_body_bytes"],
        max_rows=settings["max_rows"],
        max_concurrent=settings["max_concurrent"],
        routing=RoutingOptions(_read("split", parse_splits, settings), _read("shadow", parse_shadows, settings)),
        sticky=settings["sticky"],
        keys=read_keys(Path(settings["api_keys_file"]), "tasks") if settings["api_keys_file"] else None,
    )


def _read(option: str, parse: Callable[[tuple[str, ...]], dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    try:
        return parse(settings[option])
    except ValueError as error:
        raise ValueError(f"--{option} {error}") from error


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)
