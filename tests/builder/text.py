"""A built Trace as the text of ``trace-cmd report`` and of the tracefs file ``trace``."""

from __future__ import annotations

from collections.abc import Iterator

from builder.stream import Record, stream_of
from kfgraph.model.trace import Trace

_IRQ = {0: ".", 1: "s", 2: "h", 3: "Z"}
_MARKS = ((1_000_000_000, "$"), (100_000_000, "@"), (10_000_000, "*"), (1_000_000, "#"), (100_000, "!"), (10_000, "+"))


def _lines(trace: Trace) -> Iterator[tuple[Record, str, str]]:
    """(record, the duration's text, the function's text); an exit right after its entry is one leaf line."""
    records = stream_of(trace)
    leaf_of = -1
    for here, after in zip(records, [*records[1:], None], strict=False):
        indent = "  " * (here.depth + 1)
        name = here.name.removeprefix("0x")
        if here.row == leaf_of and not here.is_entry:
            continue
        if here.is_entry and after is not None and after.row == here.row:
            leaf_of = here.row
            yield here, _duration(after.duration_ns), f"{indent}{name}();"
        elif here.is_entry:
            yield here, "", f"{indent}{name}() {{"
        else:
            yield here, _duration(here.duration_ns), f"{indent}}}"


def _duration(ns: int) -> str:
    """As the kernel's trace_print_graph_duration: a mark, and at most seven characters of digits."""
    mark = next((mark for limit, mark in _MARKS if ns > limit), " ")
    return f"{mark} {f'{ns / 1_000:.3f}'[:7].rstrip('.') if ns < 1_000_000 else f'{ns / 1_000:.3f}'} us"


def report_text(trace: Trace, *, latency: bool = False, version_line: bool = False) -> str:
    """As trace-cmd 3.1 prints it; with ``latency`` the column that 3.3 and later add."""
    lines = ["version = 7"] if version_line else []
    lines.append(f"cpus={max((int(c) for c in trace.calls.cpu), default=0) + 1}")
    for record, duration, function in _lines(trace):
        seconds, rest = divmod(record.time_ns, 1_000_000_000)
        bits = f"..{_IRQ[record.context]}1. " if latency else ""
        event = "funcgraph_entry:" if record.is_entry else "funcgraph_exit: "
        time = f"{bits}{seconds:5d}.{rest // 1_000:06d}:"
        task = f"{record.comm:>16}-{record.pid:<5} [{record.cpu:03d}]"
        lines.append(f"{task} {time} {event}     {duration:>14s} |{function}")
    return "\n".join(lines) + "\n"


def ftrace_text(trace: Trace) -> str:
    """The tracefs file ``trace`` under funcgraph-abstime and funcgraph-proc."""
    lines = [
        "# tracer: function_graph",
        "#",
        "#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS",
        "#      |          |     |    |           |   |                     |   |   |   |",
    ]
    for record, duration, function in _lines(trace):
        seconds, rest = divmod(record.time_ns, 1_000_000_000)
        task = f"{record.comm[:7]:>7}-{record.pid:<6}"
        lines.append(f"{seconds:5d}.{rest // 1_000:06d} |{record.cpu:4d}) {task} | {duration:<14s}|{function}")
    return "\n".join(lines) + "\n"
