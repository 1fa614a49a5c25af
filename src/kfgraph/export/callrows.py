"""Calls as comma-separated values, a row each."""

from __future__ import annotations

import csv
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.callsites import CallSites, callers_of
from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice
from kfgraph.export.csv import cell
from kfgraph.export.tracks import chunks
from kfgraph.export.values import details_of, flag_names
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import CONTEXTS

COLUMNS = (
    "row", "parent", "level", "function", "module", "pid", "comm", "cpu", "start_ns", "duration_ns", "total_ns",
    "self_ns", "context", "flags",
)  # fmt: skip
RECORDED = ("ret", "error", "args")
"""Further columns, where the trace recorded such things."""


def write_rows(selection: Selection, out: TextIO, *, sites: CallSites | None = None) -> tuple[Notice, ...]:
    """A head line and a line per call in the order of the table; what is not known is an empty cell.

    The columns are those of JSON lines, see :func:`kfgraph.export.jsonl.write_calls`.
    """
    trace, calls = selection.trace, selection.trace.calls
    details, callers = details_of(trace), callers_of(trace, sites)
    nothing = np.zeros(0, np.int32)
    recorded = RECORDED if calls.retval is not None or calls.args is not None else ()
    symbols, tasks = trace.symbols, trace.tasks.tasks
    functions = [cell(name) for name in symbols.names]
    modules = [cell(name) for name in symbols.modules]
    contexts = [*CONTEXTS, *[""] * (256 - len(CONTEXTS))]
    flags = {int(one): " ".join(flag_names(int(one))) for one in distinct(calls.flags)}
    comms, pids = [cell(task.comm) for task in tasks], ["" if task.pid < 0 else task.pid for task in tasks]
    writer = csv.writer(out, lineterminator="\n")
    nth = np.array(trace.tasks.nth)
    reused = ["pid_nth"] * bool(len(nth))
    writer.writerow([*COLUMNS, *recorded, *callers(nothing), *selection.further_columns(nothing), *reused])
    for part in chunks(len(selection.keep), 1 << 14):
        rows = (np.flatnonzero(selection.keep[part]) + part.start).astype(np.int32)
        func, lane = calls.func[rows].tolist(), calls.lane[rows].tolist()
        columns: list[Any] = [
            rows.tolist(), _known(selection.parent[rows]), calls.level[rows].tolist(),
            [functions[code] for code in func], [modules[code] for code in func],
            [pids[one] for one in lane], [comms[one] for one in lane], _known(calls.cpu[rows]),
            _known(calls.start_ns[rows]), _known(calls.duration_ns[rows]), _known(selection.total_ns[rows]),
            _known(selection.self_ns[rows]), [contexts[one] for one in calls.context[rows].tolist()],
            [flags[one] for one in calls.flags[rows].tolist()],
        ]  # fmt: skip
        if recorded:
            told = details(rows) or [{}] * len(rows)
            columns += [[_told(one.get(name, "")) for one in told] for name in recorded]
        columns += [["" if one is None else _told(one) for one in column] for column in callers(rows).values()]
        columns += [_known(column) for column in selection.further_columns(rows).values()]
        columns += [nth[lane].tolist() for _ in reused]
        writer.writerows(zip(*columns, strict=True))
    return ()


def _known(column: npt.NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if len(column) and column.min() < 0:
        return ["" if value < 0 else value for value in values]
    return values


def _told(value: Any) -> Any:
    return cell(value) if isinstance(value, str) else value
