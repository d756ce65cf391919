"""The command line: parses, calls, prints. A command's module is imported when the command is called."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from tfkit.cli.commands import Commands
from tfkit.errors import ConversionError, SearchError, TfkitError, VerificationError
from tfkit.interrupt import Terminated, heard_interrupts, heard_terminations

# What failed through no mistake of the user's.
_FAILURES = (ConversionError, SearchError, VerificationError)

_USAGE, _FAILURE, _INTERRUPTED = 2, 1, 130


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="--debug anywhere shows the traceback of an error.",
)
@click.version_option(package_name="tfkit-keras", prog_name="tfkit")
def tfkit() -> None:
    """Measure, train, search, compress, export and serve Keras models; every step is a plugin."""


def main() -> None:
    """Runs the command line: exit status 0, 2 for a user's mistake, 1 for a failure, 130 on Ctrl-C, 143 on SIGTERM."""
    execute(tfkit, sys.argv[1:])


def execute(command: click.Command, arguments: list[str]) -> NoReturn:
    """Runs a command and ends the process with its exit status; --debug among the arguments shows tracebacks."""
    debug = "--debug" in arguments
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(_run(command, [each for each in arguments if each != "--debug"], debug))


def _run(command: click.Command, arguments: list[str], debug: bool) -> int:
    try:
        with heard_interrupts(), heard_terminations():
            return int(command.main(arguments, prog_name=command.name, standalone_mode=False, obj=debug) or 0)
    except click.exceptions.Abort:
        return _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        print(f"error: {_in_one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except Terminated:
        print("terminated", file=sys.stderr)
        raise
    except Exception as error:
        if debug:
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return _USAGE if isinstance(error, TfkitError) and not isinstance(error, _FAILURES) else _FAILURE


def _in_one_line(error: click.ClickException) -> str:
    """What is wrong, and where help is; click itself prints three lines."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return text if context is None else f"{text.removesuffix('.')} ({context.command_path} --help shows the options)"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, TfkitError):
        return text
    return f"{type(error).__name__}: {text[:500]} (--debug shows the traceback)"
