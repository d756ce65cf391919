"""`tfkit serve [DIRECTORY] …`."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> int:
    """Serve models by TensorFlow Serving's REST and gRPC."""
    from tfkit_serving.configuration.flags import FlagError, Flags, describe

    if {"-h", "--help", "--helpfull"} & set(arguments):
        click.echo(f"Usage: tfkit serve [DIRECTORY] [FLAGS]\n\nDIRECTORY holds <model>/<version>/.\n\n{describe()}")
        return 0
    try:
        flags = Flags.parse(arguments)
        if flags.version:
            return _print_version()
        from tfkit_serving.embedded import main
        from tfkit_serving.protocol.errors import ServingError

        try:
            return main(flags, click.echo)
        except ServingError as error:
            raise FlagError(error.message) from error
    except FlagError as error:
        raise click.UsageError(str(error)) from error


def _print_version() -> int:
    from importlib.metadata import version

    click.echo(f"tfkit {version('tfkit-keras')}")
    return 0
