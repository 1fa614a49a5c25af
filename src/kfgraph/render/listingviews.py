"""Tables of functions, calls, errors and system calls, for a library user: as the commands print them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.analyze.listings import CallRows, ErrorTable, SystemCallSums, SystemCallTable
from kfgraph.analyze.top import Top
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.kernel.returns import error_name
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import plural
from kfgraph.render.errorlist import ErrorsView
from kfgraph.render.syscalls import SystemCallSumsView, SystemCallsView
from kfgraph.render.table import Column, Table
from kfgraph.render.top import TopView, time_cells

Listing = ErrorTable | SystemCallTable | SystemCallSums | CallRows


def view_of(
    result: Top | Listing, limit: int | None
) -> TopView | ErrorsView | SystemCallsView | SystemCallSumsView | CallsView:
    """The first ``limit`` rows (None: all)."""
    if isinstance(result, Top):
        return TopView(result, limit)
    if isinstance(result, ErrorTable):
        return ErrorsView(result.trace, result.rows, limit)
    if isinstance(result, SystemCallTable):
        return SystemCallsView(result.trace, result.rows, limit)
    if isinstance(result, SystemCallSums):
        return SystemCallSumsView(result.rows, limit)
    return CallsView(result, limit)


@dataclass(frozen=True)
class CallsView:
    """One line for each call, in table order; ``limit`` lines (None: all)."""

    calls: CallRows
    limit: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """The lines, each at most ``width`` columns."""
        selection, trace, every = self.calls.selection, self.calls.trace, self.calls.rows
        rows = every[: self.limit]
        calls, tasks = trace.calls, trace.tasks.tasks
        yield Text(f"{plural(len(every), 'call')}, {plural(len(np.unique(calls.lane[every])), 'task')}", "dim")
        first, starts = trace.meta.first_ns, calls.start_ns[rows].tolist()
        columns = [
            Column("start s", [f"{(ns - first) / 1e9:.6f}" if ns >= first >= 0 else "?" for ns in starts], 3),
            Column("total", time_cells(selection.total_ns[rows]), 0, "bold"),
            Column("self", time_cells(selection.self_ns[rows]), 1),
            Column("CPU", [str(cpu) if cpu >= 0 else "?" for cpu in calls.cpu[rows].tolist()], 4),
            Column("task", [spelt_out(tasks[lane].label) for lane in calls.lane[rows].tolist()], 2),
        ]
        names = [trace.symbols.label(code) for code in calls.func[rows].tolist()]
        told = error_columns(trace, rows)
        if told:
            errors = zip(told["error"].tolist(), told["error_sure"].tolist(), strict=True)
            words = [_error(error, sure, trace.meta.arch) for error, sure in errors]
            names = [f"{name}{word}" for name, word in zip(names, words, strict=True)]
        yield from Table(columns, "function", names, how_to_see="to_pandas()").lines(width)
        if len(rows) < len(every):
            yield Text(f"… {plural(len(every) - len(rows), 'more call')}", "dim")


def _error(error: int, sure: bool, arch: str) -> str:
    """`` = -19 ENODEV``, `` = -19 ENODEV?`` where it looks like one."""
    name = error_name(error, sure=sure, arch=arch) if error else ""
    return f" = {error} {name}".rstrip() + ("?" if name and not sure else "") if error else ""
