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

    @property
    def tells_times(self) -> bool:
        """Whether it prints times of a trace."""
        return not self.passthrough and self.name != "doctor"


ON_NUMBERS = "What each number means, and which are exact: docs/truth.md in the source of kfgraph."

COMMANDS = (
    Command(
        "trace",
        "kfgraph.cli.trace",
        "Run COMMAND and record the kernel functions that it calls; returns its exit status.",
        passthrough=True,
    ),
    Command(
        "why",
        "kfgraph.cli.why",
        "Explain why the command failed: the failed call, and the origin and path of the error.",
        takes_command=True,
    ),
    Command(
        "show",
        "kfgraph.cli.show",
        "Show the call tree below a function, or of every task, with the time of each call.",
    ),
    Command(
        "ui",
        "kfgraph.cli.ui",
        "Explore a trace on the terminal: open and close calls, search, follow errors; ? lists the keys.",
    ),
    Command(
        "top",
        "kfgraph.cli.top",
        "Show which functions took the time: calls, self and total time, percentiles, hot paths.",
    ),
    Command(
        "flame",
        "kfgraph.cli.flame",
        "Draw a flame graph: on the terminal, or as an interactive SVG file.",
    ),
    Command(
        "errors",
        "kfgraph.cli.errorlist",
        "List every call that returned an error, how far the error propagated, and who handled it.",
    ),
    Command(
        "syscalls",
        "kfgraph.cli.syscalls",
        "List the system calls of the command, as strace does; -c prints a summary.",
    ),
    Command(
        "info",
        "kfgraph.cli.info",
        "Describe a trace: kernel, clock, tasks, calls, lost records, and how it was recorded.",
    ),
    Command(
        "export",
        "kfgraph.cli.export",
        "Convert a trace for other tools: Perfetto, speedscope, flamegraph.pl, spreadsheets and more.",
    ),
    Command(
        "html",
        "kfgraph.cli.html",
        "Write one HTML page with the whole trace: the answer, the call tree, the functions.",
    ),
    Command(
        "doctor",
        "kfgraph.cli.doctor",
        "Check whether tracing works here, natively and in a guest, and print remedies.",
    ),
)
