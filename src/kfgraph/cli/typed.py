"""The typer app: every command line that is not plain (see fastparse.py), and all help."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args

import typer
from typer.models import OptionInfo

from kfgraph.cli.commands import COMMANDS, Command
from kfgraph.cli.fastparse import NUMBERS, Operands, Option
from kfgraph.errors import UsageError

# typer carries click inside since 0.26 and imports it before: this is the class that it raises.
ClickException: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def run(argv: Sequence[str], command_line: Sequence[str] = ()) -> int:
    """Run one command line; the exit code. ``command_line`` is what stood behind ``--``, for a command that takes it.

    Raises:
        UsageError: it means nothing.
        KeyboardInterrupt, BrokenPipeError: as they came.
    """
    streams = sys.stdout, sys.stderr
    try:
        result = build(argv, command_line=command_line)(args=list(argv), prog_name="kfgraph", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except SystemExit as left:
        # click's answer to a reader that has gone, and to a shell that completes.
        sys.stdout, sys.stderr = streams
        if isinstance(left.__context__, BrokenPipeError):
            raise BrokenPipeError from None
        raise
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _ReaderGone:
        raise BrokenPipeError from None
    except ClickException as problem:
        if not problem.format_message():  # no command at all: the help has been printed
            return UsageError.exit_code
        raise UsageError(problem.format_message(), hint=usage_hint(problem, argv)) from None


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


def build(
    argv: Sequence[str], commands: Sequence[Command] = COMMANDS, *, command_line: Sequence[str] = ()
) -> typer.Typer:
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
            _for_click(module.run, **({"command": tuple(command_line)} if command.takes_command else {}))
        )
    return app


def _listed() -> None:
    """Stands for a command in the list of commands."""


class _ReaderGone(Exception):
    """Standard output was closed by its reader (head, a pager)."""


def _for_click(run: Callable[..., int | None], **known: Any) -> Callable[..., int | None]:
    """``run`` as typer is to see it, without the parameters that are ``known``.

    Its BrokenPipeError is renamed: click would turn that into exit status 1.
    """

    @functools.wraps(run)
    def renamed(*args: Any, **options: Any) -> int | None:
        try:
            status = run(*args, **options, **known)
            sys.stdout.flush()
            return status
        except BrokenPipeError as problem:
            raise _ReaderGone from problem

    signature = inspect.signature(run, eval_str=True)
    parameters = [
        p.replace(annotation=_for_typer(p.annotation)) for p in signature.parameters.values() if p.name not in known
    ]
    renamed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return renamed


def _for_typer(annotation: Any) -> Any:
    kind, declared = get_args(annotation) if hasattr(annotation, "__metadata__") else (annotation, None)
    if isinstance(declared, Operands):
        return Annotated[kind, typer.Argument(metavar=declared.metavar, help=declared.help, show_default=False)]
    if isinstance(declared, Option):
        option = typer.Option(
            *declared.names, help=declared.help, rich_help_panel=declared.panel, metavar=declared.metavar
        )
        return Annotated[kind, _with_numbers(kind, option)]
    if isinstance(declared, OptionInfo):
        return Annotated[kind, _with_numbers(kind, declared)]
    return annotation


def _with_numbers(kind: Any, option: OptionInfo) -> OptionInfo:
    """The option, its numbers read as all commands read theirs: typer's own takes nan, inf and digits of any script."""
    kinds = {kind, *get_args(kind), *(inner for part in get_args(kind) for inner in get_args(part))}
    for number, parse in NUMBERS.items():
        if number in kinds and bool not in kinds:
            option = copy.copy(option)
            option.parser = _told(functools.partial(parse, **_limits(option)))
            option.min = option.max = None
    return option


def _limits(option: OptionInfo) -> dict[str, float]:
    given = {"least": option.min, "most": option.max}
    return {name: limit for name, limit in given.items() if limit is not None}


def _told(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def parsed(text: Any) -> Any:
        try:
            return parse(text) if isinstance(text, str) else text  # a default is a number
        except ValueError as problem:
            raise typer.BadParameter(str(problem)) from None

    return parsed


def usage_hint(problem: Any, argv: Sequence[str]) -> str:
    """Which help to ask for after a usage error."""
    context = problem.ctx
    if context is not None and context.parent is not None:
        return f"{context.command_path} --help"
    # Some problems of a command are told without it.
    named = next((word for word in argv if not word.startswith("-")), "")
    command = f" {named}" if any(command.name == named for command in COMMANDS) else ""
    return f"kfgraph{command} --help"
