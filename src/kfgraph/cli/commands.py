"""The list of commands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command: ``module`` holds the function ``run``; ``passthrough``: its operand is a command line, and its
    options are declared so that plain ones are understood without typer. ``takes_command``: what stands behind the
    first ``--`` is a command line, which ``run`` gets as ``command``.

    ``summary`` begins the docstring of ``run``: the list of commands needs it and not the module.
    """

    name: str
    module: str
    summary: str
    passthrough: bool = False
    takes_command: bool = False


COMMANDS = (
    Command(
        "trace",
        "kfgraph.cli.trace",
        "Run COMMAND and record the kernel functions it runs; its exit status is passed on.",
        passthrough=True,
    ),
    Command(
        "why",
        "kfgraph.cli.why",
        "Why the command failed: which call failed, where the error was born, and how it came up.",
        takes_command=True,
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
        "errors",
        "kfgraph.cli.errorlist",
        "Every call that returned an error: where it began, how far it came up, and who handled it.",
    ),
    Command(
        "syscalls",
        "kfgraph.cli.syscalls",
        "The system calls of the command, as strace shows them: arguments, result, time; -c sums them up.",
    ),
    Command(
        "info",
        "kfgraph.cli.info",
        "What a trace is: kernel, clock, tasks, calls, losses, and how it was recorded.",
    ),
    Command(
        "export",
        "kfgraph.cli.export",
        "Write a trace in a format of other tools: Perfetto, speedscope, flamegraph.pl, spreadsheets and more.",
    ),
    Command(
        "html",
        "kfgraph.cli.html",
        "One HTML page with the whole trace: the answer, the call tree, the functions; it needs nothing else.",
    ),
    Command(
        "doctor",
        "kfgraph.cli.doctor",
        "Check whether tracing works here, natively and in a guest, each obstacle with its remedy.",
    ),
)
