"""The typer app: every command line that is not plain (see fastparse.py), and all help."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kfgraph.cli import completing
from kfgraph.cli.commands import COMMANDS, ON_NUMBERS, Command
from kfgraph.cli.declared import NUMBERS, Operand, Option, Parameter, gathered, parameters
from kfgraph.cli.fastparse import takes_value
from kfgraph.cli.options import DEFAULT_TRACE
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
        hint = usage_hint(problem, argv)
        # Of an option without its value click tells the name, too.
        unknown = problem.option_name if type(problem).__name__ == "NoSuchOption" else ""
        if named := who_has(unknown):
            hint = f"it is one of kfgraph {named}; {hint}"
            raise UsageError(f"No such option '{unknown}'.", hint) from None
        raise UsageError(problem.format_message(), hint=hint) from None


def who_has(option: str) -> str:
    """The commands that have this long option: ``show, top``; "" for none."""
    return ", ".join(
        command.name
        for command in COMMANDS
        for one in parameters(importlib.import_module(command.module).run)
        if option.startswith("--") and isinstance(one.declared, Option) and option in one.declared.names
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
        known = {"command": tuple(command_line)} if command.takes_command else {}
        app.command(
            command.name,
            cls=_command_class(module.run),
            context_settings=settings,
            epilog=getattr(module, "EXAMPLES", "") + (f"\n{ON_NUMBERS}\n" if command.tells_times else ""),
        )(_for_click(module.run, completing.RECORDING if command.passthrough else completing.READING, **known))
    return app


def _listed() -> None:
    """Stands for a command in the list of commands."""


class _ReaderGone(Exception):
    """Standard output was closed by its reader (head, a pager)."""


def _command_class(run: Callable[..., Any]) -> type[TyperCommand]:
    """Its help is the same with every typer and click: they put brackets and dots around operands, or not, and typer
    before 0.26 loses the help of operands to click from 8.5 on, whose arguments have one of their own.
    """
    operands = [one.declared for one in parameters(run) if not isinstance(one.declared, Option)]
    usage = [f"[{one.metavar}]" if isinstance(one, Operand) else one.metavar for one in operands]

    class Stable(TyperCommand):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            arguments: list[Any] = [one for one in self.params if one.param_type_name == "argument"]
            for argument, operand in zip(arguments, operands, strict=True):
                argument.help = argument.help or operand.help

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            # A shell completes the value of the last option: click would give up before the operands.
            if ctx.resilient_parsing and args and takes_value(run, args[-1]):
                args = args[:-1]
            return super().parse_args(ctx, args)

        def collect_usage_pieces(self, ctx: Any) -> list[str]:
            return [self.options_metavar or "", *usage]

    return Stable


def _for_click(
    run: Callable[..., int | None], completers: Mapping[str, completing.Completer], **known: Any
) -> Callable[..., int | None]:
    """``run`` as typer is to see it: what it declares, and not the parameters that are ``known``.

    Its BrokenPipeError is renamed: click would turn that into exit status 1.
    """

    def renamed(**options: Any) -> int | None:
        try:
            status = run(**gathered(run, options), **known)
            sys.stdout.flush()
            return status
        except BrokenPipeError as problem:
            raise _ReaderGone from problem

    renamed.__name__, renamed.__doc__ = run.__name__, run.__doc__
    seen = [
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=_for_typer(one, completers)
        )
        for one in parameters(run)
    ]
    renamed.__signature__ = inspect.Signature(seen)  # type: ignore[attr-defined]
    return renamed


def _for_typer(parameter: Parameter, completers: Mapping[str, completing.Completer]) -> Any:
    declared = parameter.declared
    if not isinstance(declared, Option):
        show_default = isinstance(declared, Operand)
        typed = typer.Argument(metavar=declared.metavar, help=declared.help, show_default=show_default)
        return Annotated[parameter.annotation, typed]
    # typer's own numbers take nan, inf and digits of any script.
    parser = _told(parameter.parse) if parameter.kind in NUMBERS else None
    # From 0.26 on, a switch would have its type shown.
    metavar = "" if parameter.kind is bool else declared.metavar
    return Annotated[
        parameter.annotation,
        typer.Option(
            *declared.names,
            help=declared.help,
            rich_help_panel=declared.panel,
            metavar=metavar,
            parser=parser,
            autocompletion=_completion(completers.get(declared.metavar or "")),
        ),
    ]


def _completion(completer: completing.Completer | None) -> Callable[..., list[str]] | None:
    if completer is None:
        return None
    chosen = completer

    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        return completing.words(chosen, ctx.params.get("trace") or DEFAULT_TRACE, incomplete)

    return offered


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
