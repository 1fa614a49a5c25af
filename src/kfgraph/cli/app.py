"""The command line: the typer app, its one error boundary, and the list of commands."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated, Any

import typer

from kfgraph.errors import KfgraphError, MachineError, UsageError

# typer carries click inside since 0.26 and imports it before: this is the class that it raises.
ClickException: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


@dataclass(frozen=True)
class Command:
    """One command: ``module`` holds the function ``run``; ``passthrough``: its operand is a command line.

    ``summary`` begins the docstring of ``run``: the list of commands needs it and not the module.
    """

    name: str
    module: str
    summary: str
    passthrough: bool = False


COMMANDS = (
    Command(
        "trace",
        "kfgraph.cli.trace",
        "Run COMMAND and record the kernel functions it runs; its exit status is passed on.",
        passthrough=True,
    ),
    Command(
        "show",
        "kfgraph.cli.show",
        "The call tree below a function, or of every task: who called whom, and how long each call took.",
    ),
    Command(
        "top",
        "kfgraph.cli.top",
        "Which functions the time went into: calls, self and total time, percentiles, and the hot paths.",
    ),
    Command(
        "info",
        "kfgraph.cli.info",
        "What a trace is: kernel, clock, tasks, calls, losses, and how it was recorded.",
    ),
    Command(
        "doctor",
        "kfgraph.cli.doctor",
        "Check whether tracing works here, natively and in a guest, each obstacle with its remedy.",
    ),
)


def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks for bugs, and check every table.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=lambda v: _version(v))
    ] = False,
) -> None:
    pass


def _version(wanted: bool) -> None:
    if wanted:
        from kfgraph import __version__

        typer.echo(f"kfgraph {__version__}")
        raise typer.Exit


def build(argv: Sequence[str], commands: Sequence[Command] = COMMANDS) -> typer.Typer:
    """The typer app, with the commands that ``argv`` names; if it names none, with what a list of them needs.

    A command line that runs one command need not import the others, and the list of commands none. Only a
    shell that completes a line needs all (it passes the line in the environment).
    """
    app = typer.Typer(
        name="kfgraph",
        help="strace for the inside of the kernel: which kernel functions a command ran, who called whom, "
        "how long each took.",
        no_args_is_help=True,
        # click suggests too.
        suggest_commands=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global)
    named = [command for command in commands if command.name in argv]
    if not named and "_KFGRAPH_COMPLETE" not in os.environ:
        for command in commands:
            app.command(command.name, help=command.summary)(_listed)
        return app
    for command in named or commands:
        module = importlib.import_module(command.module)
        settings = {"allow_interspersed_args": False} if command.passthrough else {}
        app.command(command.name, context_settings=settings, epilog=getattr(module, "EXAMPLES", None))(
            _past_click(module.run)
        )
    return app


def _listed() -> None:
    """Stands for a command in the list of commands."""


class ReaderGone(Exception):
    """Standard output was closed by its reader (head, a pager)."""


def _past_click(run: Callable[..., int | None]) -> Callable[..., int | None]:
    """``run``, its BrokenPipeError renamed: click would turn that into exit status 1."""

    @functools.wraps(run)
    def renamed(*args: Any, **options: Any) -> int | None:
        try:
            status = run(*args, **options)
            sys.stdout.flush()
            return status
        except BrokenPipeError as problem:
            raise ReaderGone from problem

    return renamed


def usage_hint(problem: Any, argv: Sequence[str]) -> str:
    """Which help to ask for after a usage error."""
    context = problem.ctx
    if context is not None and context.parent is not None:
        return f"{context.command_path} --help"
    # Some problems of a command are told without it.
    named = next((word for word in argv if not word.startswith("-")), "")
    command = f" {named}" if any(command.name == named for command in COMMANDS) else ""
    return f"kfgraph{command} --help"


def fail(problem: KfgraphError) -> int:
    """Print the failure and its hint on stderr; its exit code."""
    print(f"kfgraph: {problem.message}", file=sys.stderr)
    if problem.hint:
        print(f"  hint: {problem.hint}", file=sys.stderr)
    return problem.exit_code


def _never_fail_on_a_letter() -> None:
    """Where the locale cannot write a letter (a tree line, a name from the trace), write ``?`` for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_stdout() -> None:
    """Point stdout elsewhere, so that the flush at exit is silent."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code.

    Expected failures are one line and a hint, a closed pipe is no failure, Ctrl-C is 130. A bug keeps
    its traceback under ``--debug`` and is one line otherwise.
    """
    argv = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in takewhile(lambda word: word.startswith("-"), argv)
    _never_fail_on_a_letter()
    try:
        result = build(argv)(args=argv, prog_name="kfgraph", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KfgraphError as problem:
        return fail(problem)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except ClickException as problem:
        if not problem.format_message():  # no command at all: the help has been printed
            return UsageError.exit_code
        return fail(UsageError(problem.format_message(), hint=usage_hint(problem, argv)))
    except KeyboardInterrupt:
        return 130
    except ReaderGone:
        _drop_stdout()
        return 0
    except OSError as problem:
        if debug:
            raise
        _drop_stdout()
        return fail(MachineError(": ".join(filter(None, (problem.filename, problem.strerror or str(problem))))))
    except MemoryError:
        return fail(MachineError("not enough memory", "give a smaller trace; kfgraph info says what this one holds"))
    except Exception as bug:
        if debug:
            raise
        print(f"kfgraph: bug: {type(bug).__name__}: {bug}", file=sys.stderr)
        print("  hint: run again with --debug and report the traceback", file=sys.stderr)
        return 1


def entry_point() -> None:
    """The installed command ``kfgraph``."""
    sys.exit(main())
