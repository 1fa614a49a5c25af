"""All that a small trace says, on one line."""

from __future__ import annotations

from typing import Any

from kfgraph.model.calls import CallTable
from kfgraph.model.trace import Trace

FACTS = (
    "reader", "kernel", "host", "arch", "recorder", "clock", "clock_unit", "n_cpus", "n_records", "first_ns", "last_ns",
    "n_overrun", "buffers",
)  # fmt: skip


def listed(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else [str(value) for value in column]


def rows_of(table: Any, *names: str) -> list[str]:
    return [",".join(map(str, row)) for row in zip(*(listed(getattr(table, name)) for name in names), strict=True)]


def codes(told: Any) -> str:
    """The notices of a trace, or of what was paired: which ones, and how many of each."""
    return " ".join(f"{one.code}:{one.n}" for one in told.notices)


def described(trace: Trace) -> str:
    """Calls with all their columns, tasks, other events, losses, facts and notices; "" stands for the file's name."""
    calls, marks = trace.calls, trace.marks
    columns = [name for name in CallTable.declared() if isinstance(getattr(calls, name), type(calls.func))]
    labels = [trace.symbols.label(func) for func in calls.func.tolist()]
    rows = [f"{label}:{row}" for label, row in zip(labels, rows_of(calls, *columns), strict=True)]
    arguments = [calls.args.text(row) for row in range(len(calls))] if calls.args is not None else []
    events = rows_of(marks, "time_ns", "lane", "cpu", "name", "row", "parent", "text")
    losses = rows_of(trace.losses, "time_ns", "cpu", "n_lost", "lane", "row", "parent")
    told = [f"{name}={values}" for event in marks.names for name, values in fields_of(trace, event)]
    facts = [f"{name}={getattr(trace.meta, name)!r}" for name in FACTS]
    tasks = [f"{task.label}@{task.cpu}" for task in trace.tasks]
    parts = (rows, arguments, tasks, marks.names, events, told, losses, facts, [codes(trace)])
    text = " | ".join(" ".join(map(str, part)) for part in parts)
    return text.replace(trace.meta.path, "").replace("\n", "\\n") if trace.meta.path else text.replace("\n", "\\n")


def fields_of(trace: Trace, event: str) -> list[tuple[str, Any]]:
    """The fields of an event that can be told."""
    names = [*trace.marks.field_names(event)[:8], "common_pid"]
    found = [(name, trace.marks.field(event, name)) for name in names]
    return [(name, list(map(str, listed(field.values)))) for name, field in found if field is not None]
