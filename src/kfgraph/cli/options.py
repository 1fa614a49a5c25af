"""The options that several commands share, each written once, and what goes with them.

A command takes ``trace: TraceArgument = DEFAULT_TRACE`` and the options below by their types; the
defaults stand in the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kfgraph.cli import invocation, memory, notes
from kfgraph.cli.idle import Idle
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.spelling import shell_word

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace

DEFAULT_TRACE = "trace.dat"
_WHICH = "Which calls"

TraceArgument = Annotated[
    str, typer.Argument(metavar="TRACE", help="A trace.dat, a report text (.gz, .xz, .zst too), or - for stdin.")
]
Reader = Annotated[
    str | None, typer.Option("--reader", metavar="NAME", help="Read it with this reader (default: as the file says).")
]
BufferName = Annotated[
    str | None, typer.Option("--buffer-name", metavar="NAME", help="The buffer to read (default: the main one).")
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        metavar="FILE",
        help="A module's file (.ko, .xz, .zst, .gz, or a directory of them): it names functions of a module that was "
        "gone when the trace was written; repeatable.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 5 when there are problems in the data.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

Root = Annotated[
    list[str] | None,
    typer.Option(
        "--root",
        metavar="FUNC",
        help="The calls of FUNC and what they call: a name, a glob, 'name \\[module]'; repeatable.",
        rich_help_panel=_WHICH,
    ),
]
TaskNames = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="COMM", help="Only tasks of this name or glob; repeatable.", rich_help_panel=_WHICH),
]
Pids = Annotated[
    list[int] | None,
    typer.Option("--pid", metavar="PID", help="Only the task with this pid; repeatable.", rich_help_panel=_WHICH),
]
Cpus = Annotated[
    list[int] | None,
    typer.Option("--cpu", metavar="CPU", help="Only calls entered on this CPU; repeatable.", rich_help_panel=_WHICH),
]
From = Annotated[
    float | None,
    typer.Option(
        "--from", metavar="SECONDS", help="Only calls that overlap the time after this.", rich_help_panel=_WHICH
    ),
]
To = Annotated[
    float | None,
    typer.Option(
        "--to",
        metavar="SECONDS",
        help="Only calls that overlap the time before this (both count from the start of the trace).",
        rich_help_panel=_WHICH,
    ),
]
NoIrq = Annotated[
    bool, typer.Option("--no-irq", help="Leave out interrupts, and their time.", rich_help_panel=_WHICH)
]
AllTasks = Annotated[
    bool,
    typer.Option("--all-tasks", help="Also the stray calls of tasks other than the command's.", rich_help_panel=_WHICH),
]
PreExec = Annotated[
    bool,
    typer.Option(
        "--pre-exec", help="Also what kfgraph's launcher ran in the task, up to the exec.", rich_help_panel=_WHICH
    ),
]

IDLE = (
    # A task that is asked for is shown, whoever's it is.
    Idle("task", ("all_tasks",)),
    Idle("pid", ("all_tasks",)),
)


def error_number(word: str) -> int:
    """22 for ``EINVAL``, ``-EINVAL``, ``-22`` and ``22``.

    Raises:
        UsageError: no error is called so.
    """
    from kfgraph.kernel.errnos import errno_number

    number = errno_number(word.lstrip("-"))
    if number is None:
        raise UsageError(f"--ret {word}: no error number or name", "--ret EINVAL")
    return number


def open_trace(
    path: str,
    *,
    reader: str | None = None,
    buffer: str | None = None,
    modules: Sequence[str] | None = None,
    may_be_empty: bool = False,
) -> Trace:
    """The trace at ``path``; under ``--debug`` its tables are checked.

    Raises:
        NoMatchError: it holds no function call, unless it ``may_be_empty``.
    """
    memory.prepare_for_numpy()
    from kfgraph.parse import load

    trace = load(path, reader=reader, buffer=buffer, modules=modules or ())
    if invocation.current().debug:
        trace.check()
    if not (len(trace.calls) or may_be_empty):
        hint = f"kfgraph info {shell_word(path)} says what it holds"
        if trace.notices:
            # What is damaged may be why: no guess at how it was recorded beside that.
            notes.tell([], trace.notices)
        else:
            hint += "; was it recorded with -p function_graph?"
        raise NoMatchError(f"{path}: no function call was recorded", hint)
    return trace
