"""The command line: the typer app, its one error boundary, and the list of commands."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from kfgraph.errors import KfgraphError, UsageError


# typer carries click inside since 0.26 and imports it before: this is the class that it raises.
ClickException: type = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


@dataclass(frozen=True)
class Command:
    """One command: ``module`` holds the function ``run``; ``passthrough``: its operand is a command line."""

    name: str
    module: str
    passthrough: bool = False


COMMANDS = (
    Command("trace", "kfgraph.cli.trace", passthrough=True),
    Command("show", "kfgraph.cli.show"),
    Command("top", "kfgraph.cli.top"),
    Command("info", "kfgraph.cli.info"),
    Command("doctor", "kfgraph.cli.doctor"),
)

app = typer.Typer(
    name="kfgraph",
    help="strace for the inside of the kernel: which kernel functions a command ran, who called whom, how long each took.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=False)
def _global(
    debug: bool = typer.Option(False, "--debug", help="Tracebacks for bugs, and check every table."),
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True, callback=lambda v: _version(v)),
) -> None:
    pass


def _version(wanted: bool) -> None:
    if wanted:
        from kfgraph import __version__

        typer.echo(f"kfgraph {__version__}")
        raise typer.Exit


def register(commands: Sequence[Command] = COMMANDS) -> None:
    """Put each command's ``run`` into the app."""
    for command in commands:
        module = importlib.import_module(command.module)
        settings = {"allow_interspersed_args": False} if command.passthrough else {}
        app.command(command.name, context_settings=settings, epilog=getattr(module, "EXAMPLES", None))(module.run)


def usage_hint(problem: Any) -> str:
    """Which help to ask for after a usage error."""
    context = problem.ctx
    return f"{context.command_path if context else 'kfgraph'} --help"


def fail(problem: KfgraphError) -> int:
    """Print the failure and its hint on stderr; its exit code."""
    print(f"kfgraph: {problem.message}", file=sys.stderr)
    if problem.hint:
        print(f"  hint: {problem.hint}", file=sys.stderr)
    return problem.exit_code


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code.

    Expected failures are one line and a hint, a closed pipe is no failure, Ctrl-C is 130. A bug keeps
    its traceback under ``--debug`` and is one line otherwise.
    """
    argv = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in argv
    try:
        register()
        result = app(args=argv, prog_name="kfgraph", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except KfgraphError as problem:
        return fail(problem)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except ClickException as problem:
        return fail(UsageError(problem.format_message(), hint=usage_hint(problem)))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (head, a pager): point stdout elsewhere so that the final flush is silent.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as bug:
        if debug:
            raise
        print(f"kfgraph: bug: {type(bug).__name__}: {bug}", file=sys.stderr)
        print("  hint: run again with --debug and report the traceback", file=sys.stderr)
        return 1


def entry_point() -> None:
    """The installed command ``kfgraph``."""
    sys.exit(main())
