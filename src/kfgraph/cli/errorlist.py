"""``kfgraph errors``: every call that returned an error."""

from __future__ import annotations

from typing import Annotated

import typer

from kfgraph.cli import notes, options
from kfgraph.cli.idle import Idle, without_effect
from kfgraph.errors import NoMatchError
from kfgraph.model.spelling import json_text

EXAMPLES = """Examples:

kfgraph errors examples/cat-enoent.dat

kfgraph errors examples/insmod-foo-fail19.dat --of foo

kfgraph errors examples/cat-enoent.dat --ret ENOENT --json
"""
ROWS = 20
IDLE = (*options.IDLE, Idle("json_", ("limit",)))


def run(
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    ret: Annotated[
        list[str] | None, typer.Option("--ret", metavar="ERR", help="Only this error (EINVAL, -22); repeatable.")
    ] = None,
    of: Annotated[
        list[str] | None, typer.Option("--of", metavar="MODULE", help="Only functions of this module; repeatable.")
    ] = None,
    unsure: Annotated[
        bool, typer.Option("--unsure", help="Also values that may be numbers: the function's type is not known.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help=f"Rows to show; 0: all. Default: {ROWS}.")
    ] = None,
    root: options.Root = None,
    task: options.TaskNames = None,
    pid: options.Pids = None,
    all_tasks: options.AllTasks = False,
    pre_exec: options.PreExec = False,
    json_: options.Json = False,
    strict: options.Strict = False,
    reader: options.Reader = None,
    buffer: options.BufferName = None,
    module: options.Modules = None,
) -> None:
    """Every call that returned an error: where it began, how far it came up, and who handled it."""
    idle = without_effect(run, locals())
    numbers = [options.error_number(word) for word in ret or ()]
    loaded = options.open_trace(trace, reader=reader, buffer=buffer, modules=module)
    from kfgraph.analyze.errorlist import errors

    rows = errors(
        loaded,
        ret=numbers,
        module=of or (),
        unsure=unsure,
        root=root or (),
        task=task or (),
        pid=pid or (),
        all_tasks=all_tasks,
        pre_exec=pre_exec,
    )
    if not rows:
        raise NoMatchError(f"{trace}: no call returned an error", "" if unsure else "--unsure shows what may be one")
    if json_:
        for row in rows:
            print(json_text(row.to_dict(loaded.meta.arch)))
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.errorlist import ErrorsView

        stdout_console().print(ErrorsView(loaded, rows, ROWS if limit is None else limit or None))
    notes.tell(idle, () if strict else [notice for notice in loaded.notices if not notice.flag])
    if strict:
        notes.refuse_problems(loaded)
