"""``kfgraph syscalls``: a strace of the trace."""

from __future__ import annotations

from typing import Annotated

from kfgraph.analyze.filters import OF_SYSTEM_CALLS, Filters
from kfgraph.cli import notes, options
from kfgraph.cli.declared import Group, Option
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.spelling import json_text

EXAMPLES = """Examples:

kfgraph syscalls examples/cat-enoent.dat --failed

kfgraph syscalls examples/cat-enoent.dat -c

kfgraph syscalls examples/cat-enoent.dat --slowest 5
"""
ROWS = 40
IDLE = (*options.IDLE, Idle("json_", ("limit",)))


def run(
    filters: Annotated[Filters, Group(OF_SYSTEM_CALLS)],
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    name: Annotated[
        list[str] | None,
        Option(("-e", "--name"), "Only this system call: a name or a glob; repeatable.", metavar="NAME"),
    ] = None,
    failed: Annotated[bool, Option(("--failed",), "Only those that returned an error.")] = False,
    slowest: Annotated[
        int | None, Option(("--slowest",), "The N that took longest, slow to fast.", metavar="N", least=1)
    ] = None,
    count: Annotated[bool, Option(("-c", "--count"), "A row for each system call, and where its time went.")] = False,
    limit: Annotated[
        int | None, Option(("--limit",), f"Rows to show; 0: all. Default: {ROWS}.", metavar="N", least=0)
    ] = None,
    compensate: options.Compensate = False,
    json_: options.Json = False,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """List the system calls of the command, as strace does; -c prints a summary."""
    idle = without_effect(run, locals())
    if count and slowest is not None:
        raise UsageError("-c sums up, --slowest lists", "give one of them")
    loaded = options.open_trace(trace, reading)
    from kfgraph.analyze.syscalls import chosen_calls, sum_to_dict, summed, to_dict, why_none

    calls = chosen_calls(loaded, names=name or (), failed=failed, slowest=slowest, compensate=compensate, **filters)
    if not calls:
        none = why_none(loaded, names=name or (), **filters)
        raise NoMatchError(f"{trace}: {none}", none.hint)
    sums = summed(loaded, calls, compensate=compensate) if count else ()
    if json_:
        for record in (
            map(sum_to_dict, sums) if count else [to_dict(loaded, call, compensate=compensate) for call in calls]
        ):
            print(json_text(record))
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.syscalls import SystemCallSumsView, SystemCallsView, lines_below

        shown = ROWS if limit is None else limit or None
        if count:
            stdout_console().print(SystemCallSumsView(sums, shown), *lines_below(calls, loaded), sep="")
        else:
            stdout_console().print(SystemCallsView(loaded, calls, shown))
    notes.conclude(loaded, idle, lambda: notes.damage_in(loaded, filters), strict=reading.strict)
