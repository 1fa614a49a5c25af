"""``kfgraph top``: where the time went, by function."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from kfgraph.cli import notes, options
from kfgraph.cli.idle import Idle, without_effect
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
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    by: Annotated[
        Literal["self", "total", "calls", "avg", "max"], typer.Option("--by", help="The column to sort by.")
    ] = "self",
    group: Annotated[
        Literal["function", "module"], typer.Option("--group", help="One row per function, or per module.")
    ] = "function",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=0, help=f"Rows to show; 0: all. Default: {ROWS}, all with --json and --csv."
        ),
    ] = None,
    paths: Annotated[
        int | None, typer.Option("--paths", metavar="N", min=0, help=f"Hot paths to show. Default: {PATHS}.")
    ] = None,
    own_cost: Annotated[
        bool, typer.Option("--own-cost", help="A last row of what kfgraph itself took: setting return probes.")
    ] = False,
    root: options.Root = None,
    task: options.TaskNames = None,
    pid: options.Pids = None,
    cpu: options.Cpus = None,
    from_: options.From = None,
    to: options.To = None,
    no_irq: options.NoIrq = False,
    all_tasks: options.AllTasks = False,
    pre_exec: options.PreExec = False,
    json_: options.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="The table as comma-separated values.")] = False,
    strict: options.Strict = False,
    reader: options.Reader = None,
    buffer: options.BufferName = None,
    module: options.Modules = None,
) -> None:
    """Which functions the time went into: calls, self and total time, percentiles, and the hot paths."""
    idle = without_effect(run, locals())
    if json_ and csv:
        raise UsageError("--json and --csv are two outputs", "give one of them")
    loaded = options.open_trace(trace, reader=reader, buffer=buffer, modules=module)
    from kfgraph.analyze.top import top

    result = top(
        loaded,
        by=by,
        group=group,
        limit=limit or None,
        n_paths=PATHS if paths is None else paths,
        own_cost=own_cost,
        root=root or (),
        task=task or (),
        pid=pid or (),
        cpu=cpu or (),
        from_s=from_,
        to_s=to,
        no_irq=no_irq,
        all_tasks=all_tasks,
        pre_exec=pre_exec,
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
    from kfgraph.analyze.problems import problems_in

    notes.tell([*idle, *result.selection.notices], () if strict else problems_in(result.selection))
    if strict:
        notes.refuse_problems(loaded)
