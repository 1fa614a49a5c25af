"""``kfgraph top``: where the time went, by function."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from kfgraph.cli import notes, options, progressbar
from kfgraph.cli.declared import Option
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.errors import UsageError
from kfgraph.model.spelling import json_text

EXAMPLES = """Examples:

kfgraph top examples/insmod-fail19.dat

kfgraph top examples/insmod-dummy.report.txt.xz --root do_init_module --by total

kfgraph top examples/cat-enoent.dat --group module

kfgraph top examples/insmod-fail19.dat --csv > functions.csv
"""
ROWS = 20
PATHS = 5
IDLE = (Idle("csv", ("paths",)), *options.IDLE)


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    by: Annotated[
        Literal["self", "total", "calls", "errors", "avg", "max", "oncpu", "asleep", "preempted", "irq"],
        Option(("--by",), "The column to sort by; oncpu, asleep, preempted need sched_switch."),
    ] = "self",
    group: Annotated[
        Literal["function", "module"], Option(("--group",), "One row per function, or per module.")
    ] = "function",
    limit: Annotated[
        int | None,
        Option(
            ("--limit",), f"Rows to show; 0: all. Default: {ROWS}, all with --json and --csv.", metavar="N", least=0
        ),
    ] = None,
    paths: Annotated[
        int | None, Option(("--paths",), f"Hot paths to show. Default: {PATHS}.", metavar="N", least=0)
    ] = None,
    own_cost: Annotated[
        bool, Option(("--own-cost",), "A last row of what kfgraph itself took: setting return probes.")
    ] = False,
    json_: options.Json = False,
    csv: Annotated[bool, Option(("--csv",), "The table as comma-separated values.")] = False,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Show which functions took the time: calls, self and total time, percentiles, hot paths."""
    idle = without_effect(run, locals())
    if json_ and csv:
        raise UsageError("--json and --csv are two outputs", "give one of them")
    loaded = options.open_trace(trace, reading)
    from kfgraph.analyze.top import top

    with progressbar.shown("summing up", quiet=reading.quiet):
        result = top(
            loaded,
            by=by,
            group=group,
            limit=limit or None,
            n_paths=PATHS if paths is None else paths,
            own_cost=own_cost,
            **filters,
        )
    if json_:
        print(json_text(result.to_dict()))
    elif csv:
        from kfgraph.export.csv import write_csv

        write_csv(result.records(), result.columns, sys.stdout)
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.top import TopView

        stdout_console().print(TopView(result, limit=ROWS if limit is None else None))
    from kfgraph.analyze.notice_counts import problems_in

    notes.tell([*idle, *result.selection.notices], () if reading.strict else problems_in(result.selection))
    if reading.strict:
        notes.refuse_problems(loaded)
