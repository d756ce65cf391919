"""`tfkit bench [NAME]`: the benchmarks of a checkout, and `tfkit bench serve URL`, load on a server."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from tfkit.cli.options import as_json, echo_json

_SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


class _Benchmarks(click.Group):
    """`serve`, and one command for each script of a checkout's benchmarks/."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_scripts()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        script = _scripts().get(cmd_name)
        return super().get_command(ctx, cmd_name) if script is None else _script_command(cmd_name, script)


@click.group(cls=_Benchmarks)
def bench() -> None:
    """Put load on a server, or run one of a checkout's benchmarks."""


@bench.command()
@click.argument("url")
@click.option("--model", metavar="NAME", help="The model, where the URL names none.")
@click.option("--signature", default="", help="The signature; default: serving_default.")
@click.option("--clients", default=32, show_default=True, type=click.IntRange(1), help="Connections.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Requests a second: an open loop; default: closed."
)
@click.option("--arrivals", default="poisson", show_default=True, type=click.Choice(["poisson", "uniform"]))
@click.option("--duration", default=10.0, show_default=True, type=click.FloatRange(0.1), help="Seconds that count.")
@click.option("--warm-up", default=1.0, show_default=True, type=click.FloatRange(0), help="Seconds before them.")
@click.option("--timeout", default=10.0, show_default=True, type=click.FloatRange(0.01), help="Seconds for one answer.")
@click.option("--rows", default=1, show_default=True, type=click.IntRange(1), help="Rows in a request.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="That make the load.")
@click.option("--body", type=click.Path(exists=True, dir_okay=False), help="A request to send instead of random rows.")
@click.option("--header", "headers", multiple=True, metavar="'Name: value'", help="To send along.")
@click.option(
    "--floor", type=click.Path(exists=True, file_okay=False), help="A version to call in process, to compare."
)
@as_json
def serve(url: str, model: str | None, signature: str, floor: str | None, as_json: bool, **load: Any) -> None:
    """Put load on the model at URL: http://host:8501/v1/models/NAME, or grpc://host:8500/NAME.

    A closed loop finds how many requests a second there are; an open one (--rate) how long they take at a rate, counted
    from when each was due. A key that the server asks for is taken from TFKIT_API_KEY. Do this to your own servers
    only.
    """
    from tfkit_serving.bench.floor import measure_floor
    from tfkit_serving.bench.text import in_words

    plan = _plan(url, model, signature, load)
    found = measure_floor(Path(floor), signature or "serving_default") if floor else None
    result = _run(plan, load["processes"])
    if as_json:
        echo_json(result.as_dict() | ({"floor": found} if found else {}))
    else:
        click.echo(in_words(plan, result, found))
    if not result.latencies.total:
        raise SystemExit(1)


def _plan(url: str, model: str | None, signature: str, load: dict[str, Any]) -> Any:
    from tfkit_serving.bench.plan import Plan
    from tfkit_serving.bench.target import make_bodies, parse_target

    try:
        target = parse_target(url, model)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    headers = _with_key(tuple(_header(each) for each in load["headers"]))
    try:
        bodies = (
            (Path(load["body"]).read_bytes(),)
            if load["body"]
            else make_bodies(target, signature, rows=load["rows"], headers=headers)
        )
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    kept = {name: load[name] for name in ("clients", "rate", "arrivals", "duration", "warm_up", "timeout")}
    return Plan(
        target.transport, target.host, target.port, target.call, bodies, tls=target.tls, headers=headers, **kept
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"--header {text!r} is no 'Name: value'")
    return name.strip(), value.strip()


def _with_key(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    from tfkit_serving.access.environment import environment_key

    key = environment_key()
    if key is None or any(name.lower() == "authorization" for name, _ in headers):
        return headers
    return (*headers, ("Authorization", f"Bearer {key}"))


def _run(plan: Any, processes: int) -> Any:
    from tfkit.progress import task
    from tfkit_serving.bench.load import run_load

    seconds = int(plan.warm_up + plan.duration)
    with task(f"load for {seconds} s") as advance:
        return run_load(plan, processes, lambda seen: advance(f"({seen:,} answers)"))


def _scripts() -> dict[str, Path]:
    if not _SCRIPTS.is_dir():
        return {}
    return {each.stem: each for each in sorted(_SCRIPTS.glob("*.py")) if not each.stem.startswith("_")}


def _script_command(name: str, script: Path) -> click.Command:
    text = ast.get_docstring(ast.parse(script.read_text())) or f"Run {script.name}."

    @click.command(name, help=text, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def run(arguments: tuple[str, ...]) -> None:
        raise SystemExit(subprocess.run([sys.executable, str(script), *arguments]).returncode)

    return run
