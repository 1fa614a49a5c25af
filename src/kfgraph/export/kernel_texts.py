"""The calls as text: that of ``trace-cmd report``, and that of the tracefs file ``trace``.

A call without callees is one line, another one has a line where it begins and one where it ends. Lines stand in the
order of time, those of a task in the order of its calls. Times have nanoseconds in the one (``report -t``),
microseconds in the other, durations the nanoseconds that the tracer recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice, notice
from kfgraph.export.tracks import structure
from kfgraph.model import steps
from kfgraph.model.calls import Flag
from kfgraph.model.names import SIGNS, split_label
from kfgraph.model.spelling import spelt_out

_EVENTS = 1 << 16
"""So many lines at once."""
_CONTEXTS = ".shZ"
"""Task, softirq, hardirq, NMI, as the latency columns have them."""
_MARKS = ((1_000_000_000, "$"), (100_000_000, "@"), (10_000_000, "*"), (1_000_000, "#"), (100_000, "!"), (10_000, "+"))
_IN_A_NAME = str.maketrans({";": ":", "{": "_", "}": "_", "\n": " "})
"""What would end a name, or be taken for a brace."""
_ALWAYS = np.iinfo(np.int64).max


def write_report(selection: Selection, out: TextIO) -> tuple[Notice, ...]:
    """As ``trace-cmd report -t`` of trace-cmd 3.3 and later prints it."""
    n_cpus = int(selection.trace.calls.cpu.max(initial=0)) + 1
    out.write(f"cpus={max(selection.trace.meta.n_cpus, n_cpus)}\n")

    def line(comm: str, pid: int, cpu: int, ns: int, context: str, depth: int, duration: str, text: str) -> str:
        event = "funcgraph_exit: " if text[0] == "}" else "funcgraph_entry:"
        time = f"{ns // 1_000_000_000:5d}.{ns % 1_000_000_000:09d}:"
        return (
            f"{comm:>16}-{pid:<5} [{cpu:03d}] ..{context}1. {time} {event}     {duration:>16s} |  "
            f"{'  ' * depth}{text}\n"
        )

    return _written(selection, out, line)


def write_ftrace(selection: Selection, out: TextIO) -> tuple[Notice, ...]:
    """As the kernel prints it with the options funcgraph-abstime, funcgraph-proc and funcgraph-tail."""
    out.write(
        "# tracer: function_graph\n#\n"
        "#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS\n"
        "#      |          |     |    |           |   |                     |   |   |   |\n"
    )

    def line(comm: str, pid: int, cpu: int, ns: int, context: str, depth: int, duration: str, text: str) -> str:
        time = f"{ns // 1_000_000_000:5d}.{ns % 1_000_000_000 // 1_000:06d}"
        return f"{time} |{cpu:4d}) {comm:>7}-{pid:<6} | {duration:<16s}|  {'  ' * depth}{text}\n"

    return _written(selection, out, line)


@dataclass(eq=False, repr=False)
class _Events:
    """Entries and exits of some slices, in the order in which they are written. ``key`` is the time."""

    key: Int64
    slice_: Int32
    is_exit: Bool

    def take(self, some: Bool | slice) -> _Events:
        return _Events(self.key[some], self.slice_[some], self.is_exit[some])

    def __len__(self) -> int:
        return len(self.key)


class _Lane:
    """The events of one task, made when they are needed; a time that goes back is held at the latest one."""

    def __init__(self, first: int, last: int, end: Int32, start_ns: Int64, end_ns: Int64) -> None:
        self._next, self._last = first, last
        self._end, self._start_ns, self._end_ns = end, start_ns, end_ns
        self._open = np.zeros(0, np.int32)
        self._latest = 0
        self.waiting = _Events(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.bool_))

    def refill(self, n: int) -> None:
        """Have events, if there are any."""
        while not len(self.waiting) and self._next < self._last:
            self.waiting = self._made(self._next, min(self._next + n, self._last))

    @property
    def is_over(self) -> bool:
        """Whether nothing comes behind what waits."""
        return self._next >= self._last

    def _made(self, first: int, last: int) -> _Events:
        self._next = last
        here = np.arange(first, last, dtype=np.int32)
        # A call without callees has no line for its exit, nor has one whose exit is not known.
        inside = np.concatenate((self._open, here[(self._end[here] > here + 1) & (self._end_ns[here] >= 0)]))
        closed = inside[self._end[inside] <= last]
        self._open = inside[self._end[inside] > last]
        closed = closed[np.lexsort((-closed, self._end[closed]))]
        ends = self._end[closed]
        n = len(here) + len(closed)
        at_entry = here - first + np.searchsorted(ends, here, side="right")
        at_exit = ends - first + np.arange(len(closed))
        key, slices, is_exit = np.empty(n, np.int64), np.empty(n, np.int32), np.zeros(n, np.bool_)
        key[at_entry], slices[at_entry] = self._start_ns[here], here
        key[at_exit], slices[at_exit], is_exit[at_exit] = self._end_ns[closed], closed, True
        key[0] = max(int(key[0]), self._latest)
        np.maximum.accumulate(key, out=key)
        self._latest = int(key[-1])
        return _Events(key, slices, is_exit)


def _merged(lanes: list[_Lane], n_slices: int) -> Iterator[_Events]:
    """The events of all lanes in the order of time, in pieces."""
    size = max(_EVENTS // max(len(lanes), 1), 64)
    steps.begin(total=n_slices)
    while lanes:
        for lane in lanes:
            lane.refill(size)
        lanes = [lane for lane in lanes if len(lane.waiting)]
        # Up to here nothing can come that is not there yet.
        until = min((_ALWAYS if lane.is_over else int(lane.waiting.key[-1]) for lane in lanes), default=_ALWAYS)
        parts = []
        for lane in lanes:
            n = len(lane.waiting) if lane.is_over else int(np.searchsorted(lane.waiting.key, until, side="right"))
            parts.append(lane.waiting.take(slice(0, n)))
            lane.waiting = lane.waiting.take(slice(n, None))
        if not parts:
            return
        columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("key", "slice_", "is_exit"))
        events = _Events(*columns)
        order = np.argsort(events.key, kind="stable")
        steps.advance(int(np.count_nonzero(~events.is_exit)))
        yield _Events(events.key[order], events.slice_[order], events.is_exit[order])


def _written(
    selection: Selection, out: TextIO, line: Callable[[str, int, int, int, str, int, str, str], str]
) -> tuple[Notice, ...]:
    trace, calls = selection.trace, selection.trace.calls
    rows, parent, end, level = structure(selection)
    taken = slice(None) if rows is None else rows
    n = len(parent)
    lane_of, start, lasted = calls.lane[taken], calls.start_ns[taken], calls.duration_ns[taken]
    flags, context, retval = calls.flags[taken], calls.context[taken], calls.retval
    cpu, exit_cpu, func = calls.cpu[taken], calls.exit_cpu[taken], calls.func[taken]
    end_ns = np.where((lasted < 0) | (start < 0), np.where(lasted < 0, -1, 0), start + lasted)
    bounds = np.flatnonzero(np.append(True, lane_of[1:] != lane_of[:-1])) if n else np.zeros(0, np.int64)
    stops = [*bounds[1:].tolist(), n] if n else []
    lanes = [_Lane(first, last, end, start, end_ns) for first, last in zip(bounds.tolist(), stops, strict=True)]
    names = [_name(label) for label in trace.symbols.labels]
    tasks = [(spelt_out(task.comm), max(task.pid, 0)) for task in trace.tasks.tasks]
    lines: list[str] = []
    for events in _merged(lanes, n):
        some = events.slice_
        leaf = end[some] == some + 1
        values = [""] * len(some)
        if retval is not None:
            told = (flags[some] & np.uint32(Flag.HAS_RETVAL)) != 0
            registers = retval[some if rows is None else rows[some]].astype(np.uint64)
            values = [f" (ret={r:#x})" if t else "" for t, r in zip(told.tolist(), registers.tolist(), strict=True)]
        columns = zip(
            events.key.tolist(), events.is_exit.tolist(), leaf.tolist(), lane_of[some].tolist(),
            np.where(events.is_exit, exit_cpu[some], cpu[some]).tolist(), context[some].tolist(), level[some].tolist(),
            func[some].tolist(), lasted[some].tolist(), values, (some if rows is None else rows[some]).tolist(),
            strict=True,
        )  # fmt: skip
        for ns, is_exit, is_leaf, lane, on_cpu, where, depth, code, took, value, row in columns:
            given = "" if calls.args is None or is_exit else (calls.args.text(row) or "").translate(_IN_A_NAME)
            if is_exit:
                text = f"}} /* {names[code]} */{value}"
            elif is_leaf and took >= 0:
                text = f"{names[code]}({given});{value}"
            else:
                text, took = f"{names[code]}({given}) {{", -1
            comm, pid = tasks[lane]
            context_letter = _CONTEXTS[where] if where < len(_CONTEXTS) else "."
            duration = _duration(took) if took >= 0 else ""
            lines.append(line(comm, pid, max(on_cpu, 0), max(ns, 0), context_letter, depth, duration, text))
        out.writelines(lines)
        lines.clear()
    found = {
        "export-no-start": int(np.count_nonzero(start < 0)),
        "export-inside": int(np.count_nonzero(flags & np.uint32(Flag.IN_TRACER))),
        "export-no-entry": int(np.count_nonzero(flags & np.uint32(Flag.NO_ENTRY))),
        "export-no-events": len(trace.marks),
        "export-no-losses": len(trace.losses),
    }
    return tuple(notice(kind, count) for kind, count in found.items() if count)


def _name(label: str) -> str:
    """A function's name in a line: without what would end it there."""
    name, module = split_label(spelt_out(label).translate(_IN_A_NAME))
    name = name.replace(" ", "_").removeprefix("0x") or "?"
    # No function begins with a sign: such a line would be read as another text.
    name = f"_{name}" if name[0] in SIGNS else name
    return f"{name} [{module}]" if module else name


def _duration(ns: int) -> str:
    mark = next((mark for limit, mark in _MARKS if ns > limit), " ")
    return f"{mark} {ns // 1_000}.{ns % 1_000:03d} us "
